"""Pushed versions, and what is known of every source: SQL and only SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from app.db import tables
from app.db.instants import read_instant
from app.db.statements import Row, Statements

_RUN = "r.id, r.source, r.state, r.started_at, r.finished_at, r.counts, r.error"


class PushRow(NamedTuple):
    """What a source pushed last: the version, what stands for its content, who, and when."""

    source: str
    version: int
    digest: str
    actor: str
    at: datetime


class RunRow(NamedTuple):
    """One attempt of one source; `counts` is JSON."""

    id: str
    source: str
    state: str
    started_at: datetime
    finished_at: datetime | None
    counts: str
    error: str | None


@dataclass(frozen=True, slots=True)
class PushStore:
    """Reads and writes inside one transaction."""

    sql: Statements

    def find(self, source: str) -> PushRow | None:
        """Answer what a source pushed last."""
        sql = "SELECT source, version, digest, actor, at FROM push WHERE source = ?"
        row = self.sql.row(sql, source)
        return _push(row) if row else None

    def pushes(self) -> dict[str, PushRow]:
        """Answer what every source pushed last."""
        rows = self.sql.rows("SELECT source, version, digest, actor, at FROM push")
        return {row[0]: _push(row) for row in rows}

    def save(self, push: PushRow) -> None:
        """Remember what a source pushed."""
        self.sql.insert(
            tables.push,
            ["source", "version", "digest", "actor", "at"],
            [push],
            conflict="(source) DO UPDATE SET version = excluded.version, "
            "digest = excluded.digest, actor = excluded.actor, at = excluded.at",
        )

    def counts(self) -> dict[str, int]:
        """Count the entities that every source holds, Locations below it included."""
        sql = "SELECT source, count(*) FROM emission WHERE claimed GROUP BY source"
        return dict(self.sql.rows(sql))

    def last_runs(self, *, failed: bool = False) -> dict[str, RunRow]:
        """Answer the last run of every source, or the last that failed."""
        test = "state = 'failed'" if failed else "state <> 'running'"
        sql = (
            f"SELECT {_RUN} FROM run r JOIN (SELECT source, max(started_at) AS last FROM run "
            f"WHERE {test} GROUP BY source) l ON l.source = r.source AND l.last = r.started_at "
            f"WHERE r.{test} ORDER BY r.id"
        )
        return {row[1]: _run(row) for row in self.sql.rows(sql)}


def _push(row: Row) -> PushRow:
    return PushRow._make((*row[:4], read_instant(row[4])))


def _run(row: Row) -> RunRow:
    started, finished = read_instant(row[3]), row[4] and read_instant(row[4])
    return RunRow._make((*row[:3], started, finished, *row[5:]))
