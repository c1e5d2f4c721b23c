"""Orders as they are now, base and overlay together, and the pages cut out of them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple, TypeAlias

import numpy as np
from pyroaring import FrozenBitMap

from app.index.arrays import U32, Mask
from app.index.base import Base
from app.index.columns import Column
from app.index.like import LikePattern
from app.index.overlay import Overlay, present_texts
from app.index.ranking import Ranking, window
from app.index.strings import Strings
from app.index.text import from_utf8, utf8

SortKey: TypeAlias = tuple[bytes, ...]
Marks: TypeAlias = Callable[[], Mask]
"""Makes the mask of the part of a selection for which the base counts."""


class Entry(NamedTuple):
    """One line of a page: an entity, and the value that it was sorted by (None: by its uid)."""

    id: int
    value: str | None
    uid: str


@dataclass(frozen=True, slots=True)
class Page:
    """Entries in the order asked for; `has_more` in the direction in which the page was read."""

    entries: tuple[Entry, ...]
    has_more: bool


@dataclass(frozen=True, slots=True)
class View:
    """One order: a ranking of the base, and the entries of `hidden` entities as they are now.

    `extras` are `(sort key, id)` in ascending order. `below` counts the entries of the base below a
    sort key, or up to it.
    """

    ranking: Ranking
    hidden: FrozenBitMap
    extras: list[tuple[SortKey, int]]
    below: Callable[[SortKey, bool], int]
    column: Column | None = None
    _befores: dict[int, int] = field(default_factory=dict)

    def before(self, number: int) -> int:
        """How many entries of the base come before an extra."""
        found = self._befores.get(number)
        if found is None:
            found = self._befores[number] = self.below(self.extras[number][0], False)
        return found

    def chosen(self, selection: FrozenBitMap) -> FrozenBitMap:
        """The part of a selection for which the base counts."""
        return selection - self.hidden if self.hidden else selection

    def numbers(self, start: SortKey | None, *, is_descending: bool) -> Iterator[int]:
        """The numbers of the extras that lie beyond a sort key."""
        if is_descending:
            high = len(self.extras) if start is None else bisect_left(self.extras, (start,))
            return iter(range(high - 1, -1, -1))
        low = 0 if start is None else bisect_right(self.extras, start, key=_sort_key)
        return iter(range(low, len(self.extras)))

    def first_place(self, start: SortKey | None, *, is_descending: bool) -> int:
        """The place in the base where a walk begins."""
        if is_descending:
            return (len(self.ranking.ids) if start is None else self.below(start, False)) - 1
        return 0 if start is None else self.below(start, True)


def _sort_key(extra: tuple[SortKey, int]) -> SortKey:
    return extra[0]


def _view(
    ranking: Ranking,
    hidden: FrozenBitMap,
    extras: list[tuple[SortKey, int]],
    below: Callable[[SortKey, bool], int],
    column: Column | None = None,
) -> View:
    extras.sort()
    return View(ranking, hidden, extras, below, column)


def ref_view(base: Base, overlay: Overlay) -> View:
    """Order by ref."""
    extras: list[tuple[SortKey, int]] = [((utf8(row.ref),), row.id) for row in overlay.alive()]
    ranking, hidden = base.entities.by_ref, overlay.touched
    return _view(ranking, hidden, extras, _below_text(base.entities.refs))


def uid_view(base: Base, overlay: Overlay) -> View:
    """Order by uid."""
    extras: list[tuple[SortKey, int]] = [((utf8(row.uid),), row.id) for row in overlay.alive()]
    ranking, hidden = base.entities.by_uid, overlay.touched
    return _view(ranking, hidden, extras, _below_text(base.entities.uids))


def _below_text(texts: Strings) -> Callable[[SortKey, bool], int]:
    def below(key: SortKey, is_inclusive: bool) -> int:
        place, is_there = texts.seek(key[0])
        return place + (is_there and is_inclusive)

    return below


def field_view(base: Base, overlay: Overlay, name: str, column: Column) -> View:
    """Order by the values of a key, then by uid."""
    extras: list[tuple[SortKey, int]] = []
    for owner, values in present_texts(name, column.patches, overlay).items():
        row = overlay.rows.get(owner)
        uid = utf8(row.uid if row else base.entities.uid(owner))
        extras += [((utf8(value), uid), owner) for value, _ in values if value is not None]
    hidden = overlay.touched | FrozenBitMap(column.patches) if column.patches else overlay.touched
    return _view(column.ranking, hidden, extras, _below_entry(base, column), column)


def _below_entry(base: Base, column: Column) -> Callable[[SortKey, bool], int]:
    entities, ids = base.entities, column.ranking.ids

    def below(key: SortKey, is_inclusive: bool) -> int:
        value, uid = key
        rank, is_there = column.texts.seek(value)
        low = column.start(rank)
        if not is_there:
            return low
        limit, is_known = entities.uids.seek(uid)
        limit += is_known and is_inclusive
        places = entities.by_uid.places
        entries = range(low, column.start(rank + 1))
        return low + bisect_left(entries, limit, key=lambda place: int(places[ids[place]]))

    return below


def read_page(
    view: View,
    base: Base,
    overlay: Overlay,
    selection: FrozenBitMap,
    marks: Marks,
    *,
    start: SortKey | None,
    is_descending: bool,
    offset: int,
    limit: int,
    within: LikePattern | None = None,
) -> Page:
    """Read up to `limit` entries of the selected entities, from beyond a sort key on.

    `within` narrows the entries of a column to the values it matches.
    """
    step = -1 if is_descending else 1
    chosen = view.chosen(selection)
    first = view.first_place(start, is_descending=is_descending)
    if within is None or view.column is None:
        places = view.ranking.walk(chosen, marks, first, offset + limit + 1, step)
    else:
        found = view.column.places(view.column.texts.matching(within))
        found = found[marks().take(view.ranking.ids[found])]
        places = found[found >= first] if step > 0 else found[found <= first][::-1]
    numbers = (
        number
        for number in view.numbers(start, is_descending=is_descending)
        if view.extras[number][1] in selection and _matches(view.extras[number][0], within)
    )
    picked = list(islice(numbers, offset + limit + 1))
    befores = [view.before(number) for number in picked]
    lines = window(places, befores, offset, limit + 1, step)
    entries = tuple(
        _extra_entry(view, overlay, base, picked[number])
        if is_extra
        else _base_entry(view, base, number)
        for is_extra, number in lines[:limit]
    )
    return Page(entries, len(lines) > limit)


def _matches(key: SortKey, within: LikePattern | None) -> bool:
    return within is None or within.matches(from_utf8(key[0]))


def _extra_entry(view: View, overlay: Overlay, base: Base, number: int) -> Entry:
    key, owner = view.extras[number]
    value = from_utf8(key[0]) if view.column is not None else None
    row = overlay.rows.get(owner)
    return Entry(owner, value, row.uid if row else base.entities.uid(owner))


def _base_entry(view: View, base: Base, place: int) -> Entry:
    column = view.column
    owner = int(view.ranking.ids[place])
    value = None if column is None else column.texts.text(column.rank(place))
    return Entry(owner, value, base.entities.uid(owner))


def read_ids(view: View, selection: FrozenBitMap, marks: Marks) -> U32:
    """List all entries of the selected entities in ascending order, by id."""
    chosen = view.chosen(selection)
    total = len(view.ranking.ids)
    places = view.ranking.walk(chosen, marks, 0, total, 1)
    picked = [number for number, extra in enumerate(view.extras) if extra[1] in selection]
    if not picked:
        return view.ranking.ids[places]
    befores = np.asarray([view.before(number) for number in picked], np.intp)
    owners = np.asarray([view.extras[number][1] for number in picked], np.uint32)
    return np.insert(view.ranking.ids[places], places.searchsorted(befores), owners)
