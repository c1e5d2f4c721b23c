"""Times between a database and its readers: how they come out of one, and how answers have them.

PostgreSQL answers values, SQLite the text it was given.
"""

from __future__ import annotations

from datetime import UTC, datetime


def read_instant(value: object) -> datetime:
    """Read the time that a column holds, in UTC."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        raise TypeError(f"{value!r} is not a time")
    return moment.astimezone(UTC)


def instant(moment: datetime) -> str:
    """Write a time as answers have it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
