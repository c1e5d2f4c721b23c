"""Recording runs that are over: a row for each attempt of a source (SQL and only SQL)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import orjson

from app.db import tables
from app.db.statements import Statements

_COLUMNS = ["id", "source", "state", "started_at", "finished_at", "counts", "error"]


def record_run(  # noqa: PLR0913, PLR0917 (what a run is)
    sql: Statements,
    run_id: str,
    source: str,
    started_at: datetime,
    counts: Mapping[str, int],
    error: str | None = None,
) -> None:
    """Record a run that has just ended, with an `error` if it failed."""
    state = "done" if error is None else "failed"
    written = orjson.dumps(counts).decode()
    row = (run_id, source, state, started_at, datetime.now(UTC), written, error)
    sql.insert(tables.run, _COLUMNS, [row])
