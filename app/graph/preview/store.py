"""What a preview asks of the graph's tables, before and inside of its trial: SQL and only SQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.db import sequence
from app.db.statements import Statements


class RootRow(NamedTuple):
    """Something that a source itself emits."""

    source: str
    location: str
    ref: str


class ChangeRow(NamedTuple):
    """A change: which entity, and "create", "update" or "delete"."""

    entity_id: int
    ref: str
    operation: str


class EdgeRow(NamedTuple):
    """A relation as its origin's author wrote it, by refs, and whether its ends have entities."""

    origin: str
    type: str
    target: str
    is_dangling: bool


class WaitingRow(NamedTuple):
    """A description that waits: of what, where, and the place that has the name."""

    ref: str
    location: str
    line: int
    holder: str


@dataclass(frozen=True, slots=True)
class PreviewStore:
    """Reads inside one transaction, whichever it is."""

    sql: Statements

    def roots_at(self, places: Sequence[str]) -> list[RootRow]:
        """Answer what sources themselves emit from these places."""
        sql = (
            "SELECT DISTINCT e.source, e.location, r.ref FROM emission e "
            "JOIN ref r ON r.id = e.ref_id WHERE e.parent = 0 AND e.location = ANY(?) "
            "ORDER BY e.source, e.location, r.ref"
        )
        return [RootRow(*row) for row in self.sql.rows(sql, list(places))]

    def problems(self) -> set[tuple[str, str]]:
        """Answer every problem that is known: the place, and the error as it is kept."""
        return {(row[0], row[1]) for row in self.sql.rows("SELECT location, error FROM problem")}

    def conflicts(self, refs: Iterable[str]) -> set[WaitingRow]:
        """Answer what is described in one place while another has the name."""
        sql = (
            "SELECT r.ref, e.location, e.line, h.location FROM emission e "
            "JOIN ref r ON r.id = e.ref_id JOIN emission h ON h.ref_id = e.ref_id AND h.claimed "
            "WHERE r.ref = ANY(?) AND NOT e.claimed AND e.document IS NOT NULL "
            "AND e.location <> h.location"
        )
        return {WaitingRow(*row) for row in self.sql.rows(sql, list(refs))}

    def set_waiting_aside(self) -> None:
        """Let what others want stitched be none of ours; for transactions that end in nothing."""
        self.sql.execute("DELETE FROM stitch")

    def newest(self) -> int:
        """Answer the newest sequence number."""
        return sequence.newest(self.sql)

    def count_waiting(self) -> int:
        """Count what waits to be stitched."""
        row = self.sql.row("SELECT count(*) FROM stitch")
        return int(row[0]) if row else 0

    def unread(self) -> list[int]:
        """Answer the Locations among what waits to be stitched that have to be read (again).

        They are those that the worker would find when it looks after all that was ever read: itself
        or below such a one.
        """
        sql = (
            "SELECT s.ref_id FROM stitch s JOIN ref r ON r.id = s.ref_id "
            "JOIN emission e ON e.ref_id = s.ref_id AND e.claimed "
            "LEFT JOIN reading d ON d.ref_id = s.ref_id "
            "LEFT JOIN reading p ON p.ref_id = e.parent "
            "WHERE r.ref LIKE 'location:%' "
            "AND (d.fingerprint = '' OR (d.ref_id IS NULL AND p.ref_id IS NOT NULL)) "
            "ORDER BY s.ref_id"
        )
        return [row[0] for row in self.sql.rows(sql)]

    def changes_since(self, seq: int) -> list[ChangeRow]:
        """Answer the changes after `seq`, in their order."""
        sql = (
            "SELECT c.entity_id, r.ref, c.operation FROM change c "
            "JOIN ref r ON r.id = c.entity_id WHERE c.seq > ? ORDER BY c.seq"
        )
        return [ChangeRow(*row) for row in self.sql.rows(sql, seq)]

    def documents(self, refs: Iterable[str]) -> dict[str, bytes]:
        """Answer the ready JSON of entities by ref."""
        sql = (
            "SELECT r.ref, e.document FROM ref r JOIN entity e ON e.id = r.id WHERE r.ref = ANY(?)"
        )
        return dict(self.sql.rows(sql, list(refs)))

    def edges_around(self, refs: Sequence[str]) -> set[EdgeRow]:
        """Answer the edges from and to these refs whose origin has an entity."""
        ids = [row[0] for row in self.sql.rows("SELECT id FROM ref WHERE ref = ANY(?)", list(refs))]
        found = set[EdgeRow]()
        for end in ("origin", "target"):
            sql = (
                "SELECT o.ref, e.type, t.ref, n.id IS NULL FROM relation e "
                "JOIN ref o ON o.id = e.origin JOIN ref t ON t.id = e.target "
                "JOIN entity s ON s.id = e.origin LEFT JOIN entity n ON n.id = e.target "
                f"WHERE e.{end} = ANY(?)"
            )
            rows = self.sql.rows(sql, ids)
            found |= {EdgeRow(row[0], row[1], row[2], bool(row[3])) for row in rows}
        return found
