"""Runs as undoing needs them: SQL and only SQL, inside the transaction that is given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import orjson

from app.db.instants import read_instant
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
        """Yield the runs of a source, newest first, but for those that say they wrote nothing.

        One that did not come to its end cannot say that.
        """
        sql = (
            "SELECT id, started_at, finished_at, state, counts FROM run WHERE source = ? "
            "ORDER BY started_at DESC, id DESC LIMIT ?"
        )
        for run_id, started, finished, state, counts in self.sql.rows(sql, source, MOST_RUNS):
            said = orjson.loads(counts)
            if state != "done" or said.get("written") or said.get("removed"):
                yield RunRow(run_id, read_instant(started), finished and read_instant(finished))
