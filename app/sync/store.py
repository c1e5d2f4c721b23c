"""Run rows and the queue of Locations that were asked to be read again: SQL and only SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from app.db import tables
from app.db.statements import Statements


@dataclass(frozen=True, slots=True)
class SyncStore:
    """Reads and writes inside one transaction."""

    sql: Statements

    def start_run(self, run_id: str, source: str, now: datetime) -> None:
        """Record that a run of a source began."""
        self.sql.insert(
            tables.run,
            ["id", "source", "state", "started_at", "counts"],
            [(run_id, source, "running", now, "{}")],
        )

    def finish_run(
        self, run_id: str, state: str, counts: Mapping[str, int], error: str | None, now: datetime
    ) -> None:
        """Record how a run ended."""
        self.sql.update(
            tables.run,
            ["state", "finished_at", "counts", "error"],
            [(state, now, orjson.dumps(counts).decode(), error, run_id)],
        )

    def abandon_runs(self, now: datetime) -> int:
        """Mark runs that never ended: their process died."""
        return self.sql.execute(
            "UPDATE run SET state = 'stopped', finished_at = ? WHERE state = 'running'", now
        )

    def record_run(
        self, run_id: str, source: str, started_at: datetime, counts: Mapping[str, int]
    ) -> None:
        """Record a run that is over: what was read of a source at somebody's request."""
        now = datetime.now(UTC)
        row = (run_id, source, "done", started_at, now, orjson.dumps(counts).decode())
        columns = ["id", "source", "state", "started_at", "finished_at", "counts"]
        self.sql.insert(tables.run, columns, [row])

    def forget_runs(self, before: datetime, limit: int) -> int:
        """Remove the rows of some runs that ended long ago; answer how many those were."""
        sql = "DELETE FROM run WHERE id IN (SELECT id FROM run WHERE finished_at < ? LIMIT ?)"
        return self.sql.execute(sql, before, limit)

    def asked(self, limit: int) -> dict[int, str]:
        """Answer Locations to be read again, the longest waiting first, and which call asked."""
        sql = "SELECT ref_id, request FROM refresh ORDER BY asked_at, ref_id LIMIT ?"
        return dict(self.sql.rows(sql, limit))

    def answer(self, asked: Mapping[int, str]) -> None:
        """Take Locations off the queue, unless they were asked for once more since."""
        for ref_id, request in asked.items():
            self.sql.execute(
                "DELETE FROM refresh WHERE ref_id = ? AND request = ?", ref_id, request
            )
