"""Bring a database to the schema of this release, exactly once however many processes start.

The lock is the writing transaction itself: SQLite admits one writer, PostgreSQL takes an advisory
lock that ends with the transaction. A migration that fails leaves the database as it was.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from app.db.engine import Database

# Any constant will do, as long as nothing else in the same database uses it.
ADVISORY_LOCK = 0x0CA11B0A
# Another process's migrations may take long, and so may our own. But while ours wait for a table
# that somebody uses, everybody waits for it.
PATIENCE = (
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    "SET LOCAL lock_timeout = 0",
)
IMPATIENCE = "SET LOCAL lock_timeout = '30s'"


def migrate(database: Database) -> str:
    """Upgrade to the newest revision and answer its name."""
    config = _config()
    head = str(ScriptDirectory.from_config(config).get_current_head())
    if current_revision(database) == head:
        return head
    with database.begin() as connection:
        if not database.is_sqlite:
            for setting in PATIENCE:
                connection.execute(text(setting))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
            connection.execute(text(IMPATIENCE))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return head


def current_revision(database: Database) -> str | None:
    """Answer the revision the database is at, or None if it is empty."""
    with database.snapshot() as connection:
        return _revision(connection)


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
