"""Run rows and the queue of Locations that were asked to be read again: SQL and only SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

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
        """Record how a run ended, unless somebody else had to end it."""
        self.sql.execute(
            "UPDATE run SET state = ?, finished_at = ?, counts = ?, error = ? "
            "WHERE id = ? AND state = 'running'",
            state, now, orjson.dumps(counts).decode(), error, run_id,
        )  # fmt: skip

    def running(self) -> list[str]:
        """Answer the sources of which a run has not ended."""
        sql = "SELECT DISTINCT source FROM run WHERE state = 'running'"
        return [row[0] for row in self.sql.rows(sql)]

    def abandon_runs(self, sources: Iterable[str], now: datetime) -> int:
        """Mark runs of these sources that never ended: their process died."""
        return self.sql.execute(
            "UPDATE run SET state = 'stopped', finished_at = ? "
            "WHERE state = 'running' AND source = ANY(?)",
            now, list(sources),
        )  # fmt: skip

    def fail_runs(self, source: str, error: str, now: datetime) -> int:
        """Mark a run of this source that does not end as failed."""
        return self.sql.execute(
            "UPDATE run SET state = 'failed', finished_at = ?, error = ? "
            "WHERE state = 'running' AND source = ?",
            now, error, source,
        )  # fmt: skip

    def forget_runs(self, before: datetime, limit: int) -> int:
        """Remove the rows of some runs that ended long ago; answer how many those were."""
        sql = "DELETE FROM run WHERE id IN (SELECT id FROM run WHERE finished_at < ? LIMIT ?)"
        return self.sql.execute(sql, before, limit)

    def is_asked(self) -> bool:
        """Tell whether there are Locations to be read again that nobody has taken on."""
        return self.sql.row("SELECT 1 FROM refresh WHERE holder IS NULL LIMIT 1") is not None

    def take_on(self, holder: str, limit: int) -> dict[int, str]:
        """Take Locations on, the longest waiting first; answer them and which call asked."""
        # Others take theirs at the same time, and do not have to wait for it.
        lock = "" if self.sql.is_sqlite else " FOR UPDATE SKIP LOCKED"
        rows = self.sql.rows(
            "SELECT ref_id, request FROM refresh WHERE holder IS NULL "
            f"ORDER BY asked_at, ref_id LIMIT ?{lock}",
            limit,
        )
        sql = "UPDATE refresh SET holder = ? WHERE ref_id = ANY(?)"
        self.sql.execute(sql, holder, [row[0] for row in rows])
        return dict(rows)

    def answer(self, holder: str, asked: Mapping[int, str]) -> None:
        """Take Locations off the queue, unless they were asked for once more since."""
        for ref_id, request in asked.items():
            self.sql.execute(
                "DELETE FROM refresh WHERE ref_id = ? AND request = ? AND holder = ?",
                ref_id, request, holder,
            )  # fmt: skip

    def drop(self, holder: str) -> int:
        """Take off the queue what was taken on, answered or not."""
        return self.sql.execute("DELETE FROM refresh WHERE holder = ?", holder)

    def let_go(self, holder: str) -> None:
        """Leave to anybody what was taken on and not answered."""
        self.sql.execute("UPDATE refresh SET holder = NULL WHERE holder = ?", holder)

    def taken_on(self) -> list[str]:
        """Answer who has taken on something."""
        sql = "SELECT DISTINCT holder FROM refresh WHERE holder IS NOT NULL"
        return [row[0] for row in self.sql.rows(sql)]
