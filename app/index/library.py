"""The columns and facets of one base, and which of them go when they take too much memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from app.index.columns import Column
from app.index.facets import Facet
from app.index.searches import KNOWN_KEYS


@dataclass(frozen=True, slots=True)
class Wanted:
    """Keys whose columns, and keys whose facets, are needed."""

    columns: frozenset[str] = frozenset()
    facets: frozenset[str] = frozenset()

    @classmethod
    def of(cls, columns: Iterable[str] = (), facets: Iterable[str] = ()) -> Wanted:
        return cls(frozenset(columns), frozenset(facets))

    @property
    def keys(self) -> frozenset[str]:
        """All keys."""
        return self.columns | self.facets

    def without_documents(self) -> Wanted:
        """Narrow to what can be made of what the base holds anyway."""
        return Wanted(self.columns & KNOWN_KEYS)

    def __bool__(self) -> bool:
        return bool(self.columns or self.facets)

    def __or__(self, other: Wanted) -> Wanted:
        return Wanted(self.columns | other.columns, self.facets | other.facets)


class Library:
    """Columns and facets by key. What is not `kept` makes room for others, oldest use first."""

    __slots__ = ("_room", "columns", "facets", "kept")

    def __init__(self, room: int, kept: Wanted) -> None:
        """Allow `room` bytes for the columns that are not kept, and as many for facets."""
        self.columns: OrderedDict[str, Column] = OrderedDict()
        self.facets: OrderedDict[str, Facet] = OrderedDict()
        self.kept = kept
        self._room = room

    @property
    def nbytes(self) -> int:
        """The size of everything."""
        shelves = (self.columns.values(), self.facets.values())
        return sum(part.nbytes for shelf in shelves for part in shelf)

    def lacking(self, wanted: Wanted) -> Wanted:
        """Tell what of the wanted is not there; the rest counts as used."""
        for name in wanted.columns & self.columns.keys():
            self.columns.move_to_end(name)
        for name in wanted.facets & self.facets.keys():
            self.facets.move_to_end(name)
        return Wanted(wanted.columns - self.columns.keys(), wanted.facets - self.facets.keys())

    def present(self) -> Wanted:
        """Tell what is there."""
        return Wanted.of(self.columns, self.facets)

    def shrink(self, needed: Wanted) -> list[str]:
        """Drop what is too much; return the keys of which nothing is left."""
        needed |= self.kept
        before = self.present().keys
        _drop(self.columns, needed.columns, self._room)
        _drop(self.facets, needed.facets, self._room)
        return list(before - self.present().keys)


def _drop(
    shelf: OrderedDict[str, Column] | OrderedDict[str, Facet], needed: frozenset[str], room: int
) -> None:
    optional = [name for name in shelf if name not in needed]
    size = sum(shelf[name].nbytes for name in optional)
    for name in optional:
        if size <= room:
            return
        size -= shelf.pop(name).nbytes
