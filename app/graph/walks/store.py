"""The relations of the present: SQL and only SQL, inside the transaction that is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from app.db.statements import Statements

Edge: TypeAlias = tuple[int, str, int]
Types: TypeAlias = frozenset[str] | None
"""Types of relations; None stands for all there are."""


@dataclass(frozen=True, slots=True)
class WalkStore:
    """Reads inside one snapshot of the database."""

    sql: Statements

    def refs(self, ids: Sequence[int]) -> dict[int, str]:
        """Answer the refs behind numbers."""
        return dict(self.sql.rows("SELECT id, ref FROM ref WHERE id = ANY(?)", list(ids)))

    def written_by(self, ids: Sequence[int], types: Types, most: int) -> list[Edge]:
        """Answer edges that the authors of these wrote: (this one, type, peer)."""
        return self._edges("origin", "target", ids, types, most)

    def written_about(self, ids: Sequence[int], types: Types, most: int) -> list[Edge]:
        """Answer edges that others' authors wrote to these: (this one, type, peer)."""
        return self._edges("target", "origin", ids, types, most)

    def _edges(
        self, here: str, there: str, ids: Sequence[int], types: Types, most: int
    ) -> list[Edge]:
        if most <= 0 or (types is not None and not types):
            return []
        sql = f"SELECT {here}, type, {there} FROM relation WHERE {here} = ANY(?)"
        values: list[Any] = [list(ids)]
        if types is not None:
            sql += " AND type = ANY(?)"
            values.append(sorted(types))
        edges: list[Any] = self.sql.rows(f"{sql} LIMIT ?", *values, most)
        return edges
