"""The graph: refs, emissions, relations, entities and their history; keys and runs.

Revision ID: 0001
"""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# PostgreSQL would try its slow compression on every large value. What is compressed already, or is
# all hashes, is left alone, and ready JSON gets the quick one where this server has it.
POSTGRES_STORAGE = (
    "ALTER TABLE searchable ALTER COLUMN terms SET STORAGE EXTERNAL",
    "ALTER TABLE change ALTER COLUMN document SET STORAGE EXTERNAL",
    "ALTER TABLE emission ALTER COLUMN document SET STORAGE EXTERNAL",
    "ALTER TABLE emission ALTER COLUMN unprocessed SET STORAGE EXTERNAL",
    """
    DO $$ BEGIN
        ALTER TABLE entity ALTER COLUMN document SET COMPRESSION lz4;
    EXCEPTION WHEN feature_not_supported THEN
        ALTER TABLE entity ALTER COLUMN document SET STORAGE EXTERNAL;
    END $$
    """,
)


def upgrade() -> None:
    op.create_table(
        "change",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entity_id", ID, nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_change")),
    )
    op.create_index("ix_change_entity_id", "change", ["entity_id", "seq"], unique=False)
    op.create_table(
        "dictionary",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dictionary")),
    )
    op.create_table(
        "location",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("entity_ref", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_location")),
        sa.UniqueConstraint("type", "target", name=op.f("uq_location_type_target")),
    )
    op.create_table(
        "reading",
        sa.Column(
            "ref_id",
            ID,
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("good", sa.Boolean(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("ref_id", name=op.f("pk_reading")),
    )
    op.create_table(
        "ref",
        sa.Column("id", ID, nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ref")),
        sa.UniqueConstraint("ref", name=op.f("uq_ref_ref")),
    )
    op.create_table(
        "refresh",
        sa.Column(
            "ref_id",
            ID,
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("ref_id", name=op.f("pk_refresh")),
    )
    op.create_table(
        "relation",
        sa.Column(
            "origin",
            ID,
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column(
            "target",
            ID,
            autoincrement=False,
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("origin", "type", "target", name=op.f("pk_relation")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_relation_target", "relation", ["target", "type", "origin"], unique=False)
    op.create_table(
        "run",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    op.create_index("ix_run_source", "run", ["source", "started_at"], unique=False)
    op.create_table(
        "sequence",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("lineage", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sequence")),
    )
    op.create_table(
        "signing_key",
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("plugin", sa.Text(), nullable=False),
        sa.Column("jwk", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_key")),
    )
    op.create_table(
        "stitch",
        sa.Column(
            "ref_id",
            ID,
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("ref_id", name=op.f("pk_stitch")),
    )
    op.create_table(
        "user_info",
        sa.Column("user_ref", sa.Text(), nullable=False),
        sa.Column("claims", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_ref", name=op.f("pk_user_info")),
    )
    op.create_table(
        "emission",
        sa.Column("id", ID, nullable=False),
        sa.Column("ref_id", ID, nullable=False),
        sa.Column("parent", ID, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("claimed", sa.Boolean(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=True),
        sa.Column("unprocessed", sa.LargeBinary(), nullable=True),
        sa.Column("discovered_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["ref_id"], ["ref.id"], name=op.f("fk_emission_ref_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_emission")),
        sa.UniqueConstraint(
            "ref_id", "parent", "source", name=op.f("uq_emission_ref_id_parent_source")
        ),
    )
    op.create_index("ix_emission_parent", "emission", ["parent", "source"], unique=False)
    op.create_index(
        "uq_emission_claimed",
        "emission",
        ["ref_id"],
        unique=True,
        sqlite_where=sa.text("claimed"),
        postgresql_where=sa.text("claimed"),
    )
    op.create_table(
        "entity",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["ref.id"], name=op.f("fk_entity_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entity")),
    )
    op.create_table(
        "searchable",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("terms", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["entity.id"], name=op.f("fk_searchable_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_searchable")),
        sa.UniqueConstraint("uid", name=op.f("uq_searchable_uid")),
    )
    op.create_table(
        "problem",
        sa.Column("id", ID, nullable=False),
        sa.Column("emission_id", ID, nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("column", sa.Integer(), nullable=False),
        sa.Column("pointer", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["emission_id"],
            ["emission.id"],
            name=op.f("fk_problem_emission_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_problem")),
    )
    op.create_index("ix_problem_emission_id", "problem", ["emission_id"], unique=False)
    op.execute(f"INSERT INTO sequence (id, seq, lineage) VALUES (1, 0, '{uuid.uuid4()}')")
    if op.get_bind().dialect.name == "postgresql":
        for statement in POSTGRES_STORAGE:
            op.execute(statement)


def downgrade() -> None:
    tables = (
        "problem",
        "searchable",
        "entity",
        "emission",
        "user_info",
        "stitch",
        "signing_key",
        "sequence",
        "run",
        "relation",
        "refresh",
        "ref",
        "reading",
        "location",
        "dictionary",
        "change",
    )
    for table in tables:
        op.drop_table(table)
