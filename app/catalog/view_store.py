"""The graph's tables as the read side sees them: the few statements behind every answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from app.db import sequence
from app.db.statements import Statements
from app.index.build import IndexRow

_LOAD_BATCH = 20_000


@dataclass(frozen=True, slots=True)
class ViewStore:
    """Reads inside one snapshot of the database."""

    sql: Statements

    def newest(self) -> int:
        """Answer the newest sequence number this snapshot sees."""
        return sequence.newest(self.sql)

    def lineage(self) -> str:
        """Answer what tells the database from others."""
        return sequence.lineage(self.sql)

    def etag_at(self, seq: int) -> str | None:
        """Answer what the entity that was changed at `seq` became then."""
        row = self.sql.row("SELECT etag FROM change WHERE seq = ?", seq)
        return row[0] if row else None

    def count(self) -> int:
        """Count the entities."""
        row = self.sql.row("SELECT count(*) FROM searchable")
        return int(row[0]) if row else 0

    def oldest(self) -> int:
        """Answer the sequence number after which every change is there."""
        return sequence.oldest(self.sql)

    def changed_since(self, seq: int, limit: int) -> list[int] | None:
        """Answer the entities changed after `seq`, each once; None beyond `limit` changes."""
        sql = "SELECT entity_id FROM change WHERE seq > ? LIMIT ?"
        rows = self.sql.rows(sql, seq, limit + 1)
        return None if len(rows) > limit else list(dict.fromkeys(row[0] for row in rows))

    def index_rows(self, ids: Sequence[int]) -> list[IndexRow]:
        """Answer what the index needs to know of entities."""
        sql = (
            "SELECT s.id, r.ref, s.uid, s.terms FROM searchable s JOIN ref r ON r.id = s.id "
            "WHERE s.id = ANY(?)"
        )
        return [IndexRow(*row) for row in self.sql.rows(sql, list(ids))]

    def all_rows(self) -> Iterator[IndexRow]:
        """Answer what the index needs to know of every entity, by id."""
        last = 0
        sql = (
            "SELECT s.id, r.ref, s.uid, s.terms FROM searchable s JOIN ref r ON r.id = s.id "
            "WHERE s.id > ? ORDER BY s.id LIMIT ?"
        )
        while rows := self.sql.rows(sql, last, _LOAD_BATCH):
            yield from (IndexRow(*row) for row in rows)
            last = rows[-1][0]

    def documents(self, ids: Sequence[int]) -> dict[int, bytes]:
        """Answer the ready JSON of entities by id."""
        sql = "SELECT id, document FROM entity WHERE id = ANY(?)"
        return dict(self.sql.rows(sql, list(ids)))

    def document_by_ref(self, ref: str) -> bytes | None:
        """Answer the ready JSON of one entity."""
        sql = "SELECT e.document FROM ref r JOIN entity e ON e.id = r.id WHERE r.ref = ?"
        row = self.sql.row(sql, ref)
        return row[0] if row else None

    def documents_by_ref(self, refs: Sequence[str]) -> dict[str, bytes]:
        """Answer the ready JSON of entities by ref."""
        sql = (
            "SELECT r.ref, e.document FROM ref r JOIN entity e ON e.id = r.id WHERE r.ref = ANY(?)"
        )
        return dict(self.sql.rows(sql, list(dict.fromkeys(refs))))

    def document_by_uid(self, uid: str) -> bytes | None:
        """Answer the ready JSON of the entity with this uid."""
        sql = "SELECT e.document FROM searchable s JOIN entity e ON e.id = s.id WHERE s.uid = ?"
        row = self.sql.row(sql, uid)
        return row[0] if row else None

    def id_of(self, ref: str) -> int | None:
        """Answer the number of a ref that has an entity."""
        sql = "SELECT e.id FROM ref r JOIN entity e ON e.id = r.id WHERE r.ref = ?"
        row = self.sql.row(sql, ref)
        return row[0] if row else None

    def parents(self, ids: Iterable[int]) -> dict[int, list[int]]:
        """Answer which refs emit these, the oldest emission first."""
        sql = "SELECT ref_id, parent FROM emission WHERE ref_id = ANY(?) AND parent > 0 ORDER BY id"
        found = dict[int, list[int]]()
        for ref_id, parent in self.sql.rows(sql, list(ids)):
            found.setdefault(ref_id, []).append(parent)
        return found
