"""An order of the base's entities, and walking it: what is the same for every order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pyroaring import FrozenBitMap

from app.index.arrays import U32, Mask, Places, ids_in

_SPARSE = 16
_SCAN = 256
_STRIDE = 1024


class Ranking:
    """Ids in ascending order of something; an id occurs once for each value it has.

    `below` remembers how many of them come before a sort key.
    """

    __slots__ = ("_places", "below", "ids", "is_unique", "size")

    def __init__(self, ids: U32, size: int, *, is_unique: bool = True) -> None:
        """Take the ids, all below `size`; `is_unique` if none occurs twice."""
        self.ids = ids
        self.is_unique = is_unique
        self.size = size
        self._places: U32 | None = None
        self.below: dict[tuple[bytes, ...], int] = {}

    @property
    def nbytes(self) -> int:
        return self.ids.nbytes + (0 if self._places is None else self._places.nbytes)

    @property
    def places(self) -> U32:
        """The place of each id, if none occurs twice; `len(ids)` for those not in the order."""
        if self._places is None:
            places = np.full(self.size, len(self.ids), np.uint32)
            places[self.ids] = np.arange(len(self.ids), dtype=np.uint32)
            self._places = places
        return self._places

    def walk(
        self, chosen: FrozenBitMap, marks: Callable[[], Mask], start: int, wanted: int, step: int
    ) -> Places:
        """List the places of chosen ids from `start` on, upwards or downwards (`step` 1 or -1).

        At least `wanted` of them if there are so many, and maybe more. `marks` makes the mask of
        the chosen ids, which costs more than to look at the first few one by one.
        """
        total, size = len(self.ids), len(chosen)
        if not size or wanted <= 0 or not 0 <= start < total:
            return np.empty(0, np.intp)
        if self.is_unique and size * _SPARSE < total:
            return self._gather(chosen, start, step)
        view = self.ids[start:] if step > 0 else self.ids[start::-1]
        reach = wanted * total // size
        at = 0
        if reach <= _SCAN:
            head = view[: 2 * _SCAN].tolist()
            hits = [place for place, owner in enumerate(head) if owner in chosen]
            if len(hits) >= wanted or len(head) == len(view):
                return start + step * np.asarray(hits, np.intp)
        found: list[Places] = []
        count, stride = 0, max(reach + reach // 2, _STRIDE)
        while count < wanted and at < len(view):
            places = np.flatnonzero(marks().take(view[at : at + stride])) + at
            found.append(places)
            count += len(places)
            at += stride
            stride *= 2
        return start + step * np.concatenate(found)

    def _gather(self, chosen: FrozenBitMap, start: int, step: int) -> Places:
        """Look up the places of a few ids instead of passing by all the others."""
        places = self.places[ids_in(chosen)].astype(np.intp)
        places.sort()
        places = places[: places.searchsorted(len(self.ids))]
        if step > 0:
            return places[places.searchsorted(start) :]
        return places[: places.searchsorted(start, side="right")][::-1]


def window(
    places: Places, befores: list[int], offset: int, count: int, step: int
) -> list[tuple[bool, int]]:
    """Merge a walk through the base with entries from elsewhere, and cut a page out of it.

    `befores` tells, for each of those entries in the direction of the walk, how many entries of the
    base are below it. The page names entries as `(is_extra, place in the base or number)`.
    """
    if not befores:
        return [(False, place) for place in places[offset : offset + count].tolist()]
    upwards = places if step > 0 else places[::-1]
    below = upwards.searchsorted(np.asarray(befores, np.intp))
    passed = below if step > 0 else len(places) - below
    ranks = passed + np.arange(len(befores))
    first, last = ranks.searchsorted([offset, offset + count]).tolist()
    page: list[tuple[bool, int]] = [
        (False, place) for place in places[offset - first : offset + count - last].tolist()
    ]
    for number, rank in enumerate(ranks[first:last].tolist(), first):
        page.insert(rank - offset, (True, number))
    return page
