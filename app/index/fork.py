"""What an index was at one moment: the start of another index that goes its own way.

The arrays of a base never change, so a fork shares them. What it is told differs from then on is an
overlay of its own, or if that is much, a base of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.index.answers import Answers
from app.index.base import Base
from app.index.build import IndexRow, rebuild
from app.index.columns import Column
from app.index.facets import Facet
from app.index.library import Library, Wanted
from app.index.overlay import Overlay

OVERLAY_SHARE = 50
OVERLAY_LEAST = 2000


@dataclass(frozen=True, slots=True)
class Fork:
    """A base, what had changed since it was made, and what was known of its texts."""

    base: Base
    rows: Mapping[int, IndexRow | None]
    columns: Mapping[str, Column]
    facets: Mapping[str, Facet]
    room: int

    def answers(self, changes: Iterable[tuple[int, IndexRow | None]]) -> Answers:
        """Answer for the same entities, but for those given."""
        rows = {**self.rows, **dict(changes)}
        library = Library(self.room, Wanted())
        if len(rows) > max(OVERLAY_LEAST, len(self.base.entities.all) // OVERLAY_SHARE):
            return Answers(rebuild(self.base, rows), Overlay(), library)
        overlay = Overlay()
        for owner, row in rows.items():
            overlay.put(owner, row)
        # Where a text was read from a document newer than the base, the column says so for that
        # entity; this is good for another moment only if the entity does not count there.
        for name, column in self.columns.items():
            if column.patches.keys() <= rows.keys():
                library.columns[name] = column
        for name, facet in self.facets.items():
            if facet.patches.keys() <= rows.keys():
                library.facets[name] = facet
        return Answers(self.base, overlay, library)
