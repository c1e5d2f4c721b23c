"""The columns of one base: which there are, and which have to go when they take too much memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from typing import TypeAlias

from app.index.columns import Column, FacetColumn

Wanted: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]
"""Keys of columns and keys of facets."""


class Library:
    """Columns and facets by key. Those that are not `kept` make room for others, oldest use first."""

    def __init__(self, room: int, kept: Collection[str] = ()) -> None:
        """Allow `room` bytes for what is not kept."""
        self.columns: OrderedDict[str, Column] = OrderedDict()
        self.facets: OrderedDict[str, FacetColumn] = OrderedDict()
        self.kept = set(kept)
        self._room = room

    @property
    def nbytes(self) -> int:
        """The size of everything."""
        parts = [*self.columns.values(), *self.facets.values()]
        return sum(part.nbytes for part in parts)

    def lacking(self, wanted: Wanted) -> Wanted:
        """Tell what of the wanted is not there, and mark the rest as used."""
        columns, facets = wanted
        for name in columns:
            if name in self.columns:
                self.columns.move_to_end(name)
        for name in facets:
            if name in self.facets:
                self.facets.move_to_end(name)
        return (
            tuple(name for name in columns if name not in self.columns),
            tuple(name for name in facets if name not in self.facets),
        )

    def shrink(self, used: Wanted) -> list[str]:
        """Drop columns until the others fit, except those in use; return the keys left without."""
        dropped = []
        for shelf, needed in ((self.columns, used[0]), (self.facets, used[1])):
            optional = [name for name in shelf if name not in self.kept and name not in needed]
            size = sum(shelf[name].nbytes for name in optional)
            for name in optional:
                if size <= self._room // 2:
                    break
                size -= shelf.pop(name).nbytes
                dropped.append(name)
        return [name for name in dropped if name not in self.columns and name not in self.facets]
