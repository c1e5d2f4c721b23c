"""The doctor's look at the database: reachable, writable, up to date, how large, what time it has.

Nothing is made and nothing changed: the one write there is is rolled back.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from app.cli.database import DRIVERS, found, is_to_be_made, look, name_of, reason_of
from app.cli.doctor_checks import Check, fail, ok, size, warn
from app.db.engine import Database
from app.errors import CallboardError
from app.settings import DatabaseSettings, Settings, SqliteDatabase

OLDEST_POSTGRES = 14
LARGE_LOG = 1_000_000_000
SKEW, MUCH_SKEW = 2.0, 30.0
_BUSY = "another process has been writing for very long"


def database(settings: Settings) -> Iterator[Check]:
    """Look at the configured database."""
    chosen = settings.backend.database
    if isinstance(chosen, SqliteDatabase) and not chosen.path.exists():
        yield ok("database", f"{name_of(chosen)} (will be made)")
        return
    try:
        with found(settings) as opened:
            if opened is not None:
                yield from _look_at(opened, settings)
    except (CallboardError, *DRIVERS) as error:
        yield _unreachable(chosen, error)


def _unreachable(chosen: DatabaseSettings, error: Exception) -> Check:
    reason = str(error) if isinstance(error, CallboardError) else reason_of(error)
    if is_to_be_made(chosen, reason):
        return warn("database", reason, "Nothing: serve and migrate make it, if they may")
    return fail("database", reason, "Look at backend.database, and whether the database runs")


def _look_at(opened: Database, settings: Settings) -> Iterator[Check]:
    chosen = settings.backend.database
    with opened.snapshot() as connection:
        yield _version(connection, name_of(chosen), is_sqlite=opened.is_sqlite)
        if isinstance(chosen, SqliteDatabase):
            yield from _sqlite_files(chosen.path)
        else:
            total = _value(connection, "SELECT pg_database_size(current_database())")
            yield ok("size", size(int(total)))
            yield _clock(_value(connection, "SELECT clock_timestamp()"))
    yield _writable(opened)
    state = look(settings)
    if state.is_current:
        yield ok("migrations", f"up to date, revision {state.revision}")
    else:
        found_there = f"at revision {state.revision}" if state.revision else "empty"
        yield warn(
            "migrations", f"{found_there}, {state.wanted} is wanted", "Run callboard migrate"
        )


def _version(connection: Connection, name: str, *, is_sqlite: bool) -> Check:
    if is_sqlite:
        mode = str(_value(connection, "PRAGMA journal_mode"))
        release = _value(connection, "SELECT sqlite_version()")
        shown = f"{name}, {release}, journal mode {mode}"
        if mode.lower() != "wal":
            return warn("database", shown, "Keep it on a file system on which WAL works")
        return ok("database", shown)
    release = str(_value(connection, "SHOW server_version"))
    shown = f"{name}, {release}"
    if int(release.split(".", maxsplit=1)[0].split()[0]) < OLDEST_POSTGRES:
        return warn("database", shown, f"Use PostgreSQL {OLDEST_POSTGRES} or newer")
    return ok("database", shown)


def _sqlite_files(path: Path) -> Iterator[Check]:
    log = path.with_name(f"{path.name}-wal")
    logged = log.stat().st_size if log.exists() else 0
    shown = f"{size(path.stat().st_size)}, and {size(logged)} in the write-ahead log"
    if logged > LARGE_LOG:
        advice = "A reader holds an old state for very long; restart the processes"
        yield warn("size", shown, advice)
    else:
        yield ok("size", shown)


def _writable(opened: Database) -> Check:
    """Take the right to write, make a table, and give both back."""
    try:
        with opened.engine.connect() as connection:
            if opened.is_sqlite:
                connection.execute(text("PRAGMA busy_timeout = 3000"))
                connection.execute(text("BEGIN IMMEDIATE"))
            connection.execute(text("CREATE TABLE callboard_doctor (id INTEGER)"))
            connection.rollback()
    except DRIVERS as error:
        reason = reason_of(error)
        if "locked" in reason:
            return warn("writing", _BUSY, "Look for a process that hangs")
        return fail("writing", reason, "Give the user of the database the right to write")
    return ok("writing", "allowed")


def _clock(theirs: Any) -> Check:
    return clock_check("the database", theirs)


def clock_check(whose: str, theirs: datetime) -> Check:
    """Compare a clock with this machine's."""
    apart = abs((datetime.now(UTC) - theirs.astimezone(UTC)).total_seconds())
    shown = f"{apart:.1f} s apart from {whose}"
    advice = "Synchronise the clock (NTP); tokens are refused when clocks differ by a minute"
    if apart > MUCH_SKEW:
        return fail("clock", shown, advice)
    return warn("clock", shown, advice) if apart > SKEW else ok("clock", shown)


def _value(connection: Connection, sql: str) -> Any:
    return connection.execute(text(sql)).scalar_one()
