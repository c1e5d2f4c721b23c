"""The configured database as commands use it: opened, looked at, its failures in plain words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import files

import psycopg
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from app.bootstrap.database import connect, open_configured
from app.db.engine import Database
from app.db.migrate import current_revision
from app.errors import ServiceUnavailableError
from app.settings import DatabaseSettings, Settings, SqliteDatabase

DRIVERS = (DBAPIError, psycopg.Error, sqlite3.Error)


@dataclass(frozen=True, slots=True)
class State:
    """The revision a database is at (none if it is empty or missing), and the one wanted."""

    revision: str | None
    wanted: str

    @property
    def is_current(self) -> bool:
        """Tell whether there is nothing to do."""
        return self.revision == self.wanted


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    """Open the database, bring it up to date, and close it again."""
    where = name_of(settings.backend.database)
    with plain_failures(where, OSError):
        database = open_configured(settings.backend.database, settings.callboard.data_directory)
    try:
        with plain_failures(where):
            yield database
    finally:
        database.close()


@contextmanager
def found(settings: Settings) -> Iterator[Database | None]:
    """Open the database as it is; None if there is none. Nothing is made and nothing changed."""
    chosen = settings.backend.database
    if isinstance(chosen, SqliteDatabase):
        if not chosen.path.exists():
            yield None
            return
    else:
        chosen = replace(chosen, should_create=False, should_create_schema=False)
    with plain_failures(name_of(chosen), OSError):
        database = connect(chosen, settings.callboard.data_directory)
        try:
            yield database
        finally:
            database.close()


def look(settings: Settings) -> State:
    """Look at which revision the database is, without making it."""
    wanted = str(ScriptDirectory(str(files("app.db.migrations"))).get_current_head())
    try:
        with found(settings) as database:
            return State(current_revision(database) if database else None, wanted)
    except ServiceUnavailableError as error:
        if is_to_be_made(settings.backend.database, str(error)):
            return State(None, wanted)
        raise


def is_to_be_made(chosen: DatabaseSettings, reason: str) -> bool:
    """Tell whether a database could only not be opened because it was not made yet."""
    if isinstance(chosen, SqliteDatabase) or not chosen.should_create:
        return False
    return f'database "{chosen.database}" does not exist' in reason


@contextmanager
def plain_failures(where: str, *others: type[Exception]) -> Iterator[None]:
    """Turn what drivers (and `others`) raise into one sentence that says which database it is."""
    kinds: tuple[type[Exception], ...] = (*DRIVERS, *others)
    try:
        yield
    except kinds as error:
        raise ServiceUnavailableError(f"{where}: {reason_of(error)}") from error


def reason_of(error: Exception) -> str:
    """Take the driver's own words out of an exception, without SQL and addresses of manuals."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    if isinstance(cause, OSError) and cause.strerror:
        return f"{cause.strerror} ({cause.filename})" if cause.filename else cause.strerror
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return "; ".join(lines[:3]) or type(cause).__name__


def name_of(settings: DatabaseSettings) -> str:
    """Say which database it is, without secrets."""
    if isinstance(settings, SqliteDatabase):
        return f"SQLite database {settings.path}"
    port = f":{settings.port}" if settings.port else ""
    return f"PostgreSQL database {settings.database or ''} at {settings.host or 'localhost'}{port}"
