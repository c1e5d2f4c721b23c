"""The `change` table as the feed reads it: what happened, and what was served around it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from app.catalog.change_store import ChangeStore, Span
from app.db.documents import DocumentCodec
from app.db.instants import read_instant
from app.db.statements import Statements


class ChangeRow(NamedTuple):
    """A change without documents; `cause` is JSON."""

    seq: int
    entity_id: int
    ref: str
    operation: str
    etag: str
    cause: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ChangeLog:
    """Reads inside one snapshot of the database."""

    sql: Statements
    codec: DocumentCodec

    @property
    def _history(self) -> ChangeStore:
        return ChangeStore(self.sql, self.codec)

    def span(self) -> Span:
        """Answer which sequence numbers can be followed from: every change since is there."""
        return self._history.span()

    def after(self, seq: int, limit: int) -> list[ChangeRow]:
        """Answer the first changes after `seq`, in order."""
        sql = (
            "SELECT c.seq, c.entity_id, r.ref, c.operation, c.etag, c.cause, c.at "
            "FROM change c JOIN ref r ON r.id = c.entity_id "
            "WHERE c.seq > ? ORDER BY c.seq LIMIT ?"
        )
        rows = self.sql.rows(sql, seq, limit)
        return [ChangeRow._make((*row[:-1], read_instant(row[-1]))) for row in rows]

    def before(self, rows: Sequence[ChangeRow], after: int) -> dict[int, int]:
        """Answer, of these, the change of the same entity before each; `rows` are all `after` one.

        What is not in the answer has none.
        """
        ids = list({row.entity_id for row in rows if row.operation != "create"})
        last = self._history.states(ids, after) if ids else {}
        found = dict[int, int]()
        for row in rows:
            if row.entity_id in last:
                found[row.seq] = last[row.entity_id]
            last[row.entity_id] = row.seq
        return found

    def documents(self, seqs: Iterable[int]) -> dict[int, bytes]:
        """Answer the ready JSON after changes, by their numbers; nothing after a deletion."""
        return self._history.documents(seqs)
