"""Runs as undoing needs them: SQL and only SQL, inside the transaction that is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import orjson

from app.db import tables
from app.db.statements import Statements

# A source whose last so many runs changed nothing has to be looked at by hand.
MOST_RUNS = 200


class RunRow(NamedTuple):
    """A run: what it is called, and when it was."""

    id: str
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class RunStore:
    """Reads and writes runs."""

    sql: Statements

    def runs_of(self, source: str) -> Iterator[RunRow]:
        """Yield the runs of a source that say they wrote something, newest first."""
        sql = (
            "SELECT id, started_at, finished_at, counts FROM run WHERE source = ? "
            "ORDER BY started_at DESC, id DESC LIMIT ?"
        )
        for run_id, started, finished, counts in self.sql.rows(sql, source, MOST_RUNS):
            written = orjson.loads(counts)
            if not written or written.get("written") or written.get("removed"):
                yield RunRow(run_id, _instant(started), finished and _instant(finished))

    def record(self, run: RunRow, source: str, counts: Mapping[str, int]) -> None:
        """Record a run that is over."""
        self.sql.insert(
            tables.run,
            ["id", "source", "state", "started_at", "finished_at", "counts"],
            [
                (
                    run.id,
                    source,
                    "done",
                    run.started_at,
                    run.finished_at,
                    orjson.dumps(counts).decode(),
                )
            ],
        )


def _instant(value: datetime | str) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.astimezone(UTC)
