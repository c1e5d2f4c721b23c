"""Times as they come out of a database: PostgreSQL answers values, SQLite the text it was given."""

from __future__ import annotations

from datetime import UTC, datetime


def read_instant(value: object) -> datetime:
    """Read the time that a column holds, in UTC."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        raise TypeError(f"{value!r} is not a time")
    return moment.astimezone(UTC)
