"""The history as it is stored: changes, and the documents that were served after them.

A document is kept whole, or as what differs from the last one of its entity that is whole (`base`):
one step leads to every version, however many there are. SQL and only SQL, inside the transaction of
the `Statements` that are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from app.db import sequence
from app.db.documents import DocumentCodec, pack_against, unpack_against
from app.db.instants import read_instant
from app.db.statements import Row, Statements

_COLUMNS = "seq, entity_id, operation, etag, cause, at"
BATCH = 500
# A frame that needs another document is to be so many times smaller than one that does not.
WORTH = 2


class ChangeRow(NamedTuple):
    """A change without its document; `cause` is JSON."""

    seq: int
    entity_id: int
    operation: str
    etag: str
    cause: str
    at: datetime

    @classmethod
    def of(cls, row: Row) -> ChangeRow:
        """Read a row of either database."""
        seq, entity_id, operation, etag, cause, at = row
        return cls(seq, entity_id, operation, etag, cause, read_instant(at))


class Span(NamedTuple):
    """The sequence numbers whose states can be told, both included."""

    oldest: int
    newest: int


@dataclass(frozen=True, slots=True)
class Anchor:
    """A whole document that others may be written against."""

    seq: int
    document: bytes


@dataclass(frozen=True, slots=True)
class ChangeStore:
    """Reads the history inside one transaction."""

    sql: Statements
    codec: DocumentCodec

    # -- when -------------------------------------------------------------------------------------

    def span(self) -> Span:
        """Answer which states can be told."""
        return Span(sequence.oldest(self.sql), sequence.newest(self.sql))

    def at(self, seq: int) -> datetime | None:
        """Answer when the first change from `seq` on was made."""
        row = self.sql.row("SELECT at FROM change WHERE seq >= ? ORDER BY seq LIMIT 1", seq)
        return read_instant(row[0]) if row else None

    def seq_at(self, moment: datetime) -> int:
        """Answer the last change made until `moment`, 0 if there was none.

        Numbers and times grow together, so this is a search by halves.
        """
        low, high = 0, sequence.newest(self.sql)
        while low < high:
            middle = (low + high + 1) // 2
            row = self.sql.row(
                "SELECT seq, at FROM change WHERE seq >= ? ORDER BY seq LIMIT 1", middle
            )
            if row is None or read_instant(row[1]) > moment:
                high = middle - 1
            else:
                low = max(middle, row[0])
        return low

    # -- changes ----------------------------------------------------------------------------------

    def known_id(self, ref: str) -> int | None:
        """Answer the number of a ref that was ever mentioned."""
        row = self.sql.row("SELECT id FROM ref WHERE ref = ?", ref)
        return int(row[0]) if row else None

    def refs(self, ids: Iterable[int]) -> dict[int, str]:
        """Answer the refs behind numbers."""
        return dict(self.sql.rows("SELECT id, ref FROM ref WHERE id = ANY(?)", list(ids)))

    def change(self, seq: int) -> ChangeRow | None:
        """Answer one change."""
        row = self.sql.row(f"SELECT {_COLUMNS} FROM change WHERE seq = ?", seq)
        return ChangeRow.of(row) if row else None

    def changes_of(self, entity_id: int, until: int, limit: int) -> list[ChangeRow]:
        """Answer changes of an entity that are not newer than `until`, newest first."""
        sql = (
            f"SELECT {_COLUMNS} FROM change WHERE entity_id = ? AND seq <= ? "
            "ORDER BY seq DESC LIMIT ?"
        )
        return [ChangeRow.of(row) for row in self.sql.rows(sql, entity_id, until, limit)]

    def between(self, after: int, until: int, mention: str) -> Iterator[ChangeRow]:
        """Yield, in order, the changes in a range whose cause mentions some text."""
        sql = (
            f"SELECT {_COLUMNS} FROM change WHERE seq > ? AND seq <= ? AND cause LIKE ? "
            "ORDER BY seq LIMIT ?"
        )
        while rows := self.sql.rows(sql, after, until, f"%{mention}%", BATCH):
            yield from map(ChangeRow.of, rows)
            after = rows[-1][0]

    def changed_after(self, seq: int, limit: int) -> list[int]:
        """Answer up to `limit` entities that changed after `seq`, each once."""
        sql = "SELECT DISTINCT entity_id FROM change WHERE seq > ? LIMIT ?"
        return [row[0] for row in self.sql.rows(sql, seq, limit)]

    def states(self, ids: Sequence[int], seq: int) -> dict[int, int]:
        """Answer, of entities that had changed by `seq`, the last change until then."""
        sql = (
            "SELECT entity_id, max(seq) FROM change WHERE entity_id = ANY(?) AND seq <= ? "
            "GROUP BY entity_id"
        )
        return dict(self.sql.rows(sql, list(ids), seq))

    def previous(self, seqs: Sequence[int]) -> dict[int, int]:
        """Answer, by the numbers of changes, the change of the same entity before each."""
        sql = (
            "SELECT c.seq, (SELECT max(p.seq) FROM change p WHERE p.entity_id = c.entity_id "
            "AND p.seq < c.seq) FROM change c WHERE c.seq = ANY(?)"
        )
        rows = self.sql.rows(sql, list(seqs))
        return {seq: before for seq, before in rows if before is not None}

    # -- documents --------------------------------------------------------------------------------

    def documents(self, seqs: Iterable[int]) -> dict[int, bytes]:
        """Answer the ready JSON after changes, by their numbers; nothing after a deletion."""
        sql = (
            "SELECT c.seq, c.document, b.document FROM change c "
            "LEFT JOIN change b ON b.seq = c.base "
            "WHERE c.seq = ANY(?) AND c.document IS NOT NULL"
        )
        return {
            seq: self._unpack(frame, base) for seq, frame, base in self.sql.rows(sql, list(seqs))
        }

    def documents_at(self, ids: Sequence[int], seq: int) -> dict[int, bytes]:
        """Answer the ready JSON of entities, by id, as they were at `seq`."""
        sql = "SELECT id, document FROM entity WHERE id = ANY(?) AND seq <= ?"
        found = dict[int, bytes](self.sql.rows(sql, list(ids), seq))
        states = self.states([one for one in ids if one not in found], seq)
        documents = self.documents(states.values())
        for entity_id, state in states.items():
            if state in documents:
                found[entity_id] = documents[state]
        return found

    def anchors(self, ids: Sequence[int]) -> dict[int, Anchor]:
        """Answer, of entities that are served, the whole document to write the next one against."""
        sql = (
            "SELECT e.id, b.seq, b.document FROM entity e JOIN change c ON c.seq = e.seq "
            "JOIN change b ON b.seq = coalesce(c.base, c.seq) "
            "WHERE e.id = ANY(?) AND b.document IS NOT NULL"
        )
        rows = self.sql.rows(sql, list(ids))
        return {row[0]: Anchor(row[1], self.codec.unpack(row[2])) for row in rows}

    def _unpack(self, frame: bytes, base: bytes | None) -> bytes:
        if base is None:
            return self.codec.unpack(frame)
        return unpack_against(frame, self.codec.unpack(base))


def pack_change(
    codec: DocumentCodec, document: bytes, anchor: Anchor | None
) -> tuple[bytes, int | None]:
    """Pack a document for the history: the frame, and the change that it needs if it does."""
    whole = codec.pack(document)
    if anchor is not None:
        differing = pack_against(document, anchor.document)
        if WORTH * len(differing) < len(whole):
            return differing, anchor.seq
    return whole, None
