"""Leases, pushed sources, outgoing webhooks; how far back history reaches, and in which form.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column(
        "sequence", sa.Column("oldest", sa.BigInteger(), server_default="0", nullable=False)
    )
    op.add_column("change", sa.Column("base", sa.BigInteger(), nullable=True))
    op.add_column(
        "problem", sa.Column("notice", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.create_table(
        "lease",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )
    op.add_column("reading", sa.Column("reader", sa.Text(), nullable=False, server_default=""))
    op.add_column("refresh", sa.Column("holder", sa.Text(), nullable=True))
    op.create_table(
        "push",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_push")),
    )
    op.create_table(
        "hook",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_hook")),
    )
    op.create_table(
        "dead_letter",
        sa.Column("id", ID, nullable=False),
        sa.Column("hook", sa.Text(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letter")),
    )
    op.create_index("ix_dead_letter_hook", "dead_letter", ["hook", "id"], unique=False)


def downgrade() -> None:
    for table in ("dead_letter", "hook", "push", "lease"):
        op.drop_table(table)
    op.drop_column("change", "base")
    op.drop_column("sequence", "oldest")
    op.drop_column("problem", "notice")
    op.drop_column("refresh", "holder")
    op.drop_column("reading", "reader")
