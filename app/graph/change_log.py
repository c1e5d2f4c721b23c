"""The `change` table as the feed reads it: what happened, and what was served around it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from app.catalog.change_store import ChangeStore
from app.db import sequence
from app.db.documents import DocumentCodec
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


class Span(NamedTuple):
    """What can be followed: from `oldest` on every change is there, up to `newest`."""

    oldest: int
    newest: int


@dataclass(frozen=True, slots=True)
class ChangeLog:
    """Reads inside one snapshot of the database."""

    sql: Statements
    codec: DocumentCodec

    def span(self) -> Span:
        """Answer which sequence numbers can be followed from."""
        return Span(sequence.oldest(self.sql), sequence.newest(self.sql))

    def after(self, seq: int, limit: int) -> list[ChangeRow]:
        """Answer the first changes after `seq`, in order."""
        sql = (
            "SELECT c.seq, c.entity_id, r.ref, c.operation, c.etag, c.cause, c.at "
            "FROM change c JOIN ref r ON r.id = c.entity_id "
            "WHERE c.seq > ? ORDER BY c.seq LIMIT ?"
        )
        rows = self.sql.rows(sql, seq, limit)
        return [ChangeRow._make((*row[:-1], _instant(row[-1]))) for row in rows]

    def before(self, rows: Sequence[ChangeRow], after: int) -> dict[int, int]:
        """Answer, of these, the change of the same entity before each; `rows` are all `after` one.

        What is not in the answer has none.
        """
        last = dict[int, int]()
        ids = list({row.entity_id for row in rows if row.operation != "create"})
        if ids:
            sql = (
                "SELECT entity_id, max(seq) FROM change WHERE entity_id = ANY(?) AND seq <= ? "
                "GROUP BY entity_id"
            )
            last.update(self.sql.rows(sql, ids, after))
        found = dict[int, int]()
        for row in rows:
            if row.entity_id in last:
                found[row.seq] = last[row.entity_id]
            last[row.entity_id] = row.seq
        return found

    def documents(self, seqs: Iterable[int]) -> dict[int, bytes]:
        """Answer the ready JSON after changes, by their numbers; nothing after a deletion."""
        return ChangeStore(self.sql, self.codec).documents(list(seqs))


def _instant(value: object) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        raise TypeError(f"{value!r} is not a time")
    return moment.astimezone(UTC)
