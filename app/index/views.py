"""Orders as they are now, base and overlay together, and the pages cut out of them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, repeat
from typing import NamedTuple, TypeAlias

import numpy as np
from pyroaring import FrozenBitMap

from app.index.arrays import U32, Mask, Places
from app.index.base import Base
from app.index.columns import Column
from app.index.like import LikePattern, like
from app.index.overlay import Overlay, SortKey, sort_keys
from app.index.ranking import Ranking, window
from app.index.strings import Strings
from app.index.text import from_utf8, utf8
from app.model.query import Position

_MANY = 20_000
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
class Cut:
    """Which part of an order makes a page; see `EntityIndex.page`."""

    limit: int
    offset: int = 0
    position: Position | None = None
    term: str | None = None


@dataclass(frozen=True, slots=True)
class View:
    """One order: a ranking of the base, and the entries of `hidden` entities as they are now.

    `extras` are `(sort key, id)` in ascending order. `seek` tells how many entries of the base come
    before a sort key, and how many up to it.
    """

    base: Base
    ranking: Ranking
    hidden: FrozenBitMap
    extras: list[tuple[SortKey, int]]
    seek: Callable[[SortKey], tuple[int, int]]
    column: Column | None = None

    def before(self, number: int) -> int:
        """Count the entries of the base that come before an extra."""
        key = self.extras[number][0]
        known = self.ranking.below
        if key not in known:
            if len(known) > _MANY:
                known.clear()
            known[key] = self.seek(key)[0]
        return known[key]

    def chosen(self, selection: FrozenBitMap) -> FrozenBitMap:
        """Narrow a selection to those for which the base counts."""
        return selection - self.hidden if self.hidden else selection

    def walk(self, start: SortKey | None, *, is_downwards: bool) -> tuple[int, range]:
        """Find where in the base a walk beyond a sort key begins, and which extras it meets."""
        if is_downwards:
            place, high = len(self.ranking.ids), len(self.extras)
            if start is not None:
                place, high = self.seek(start)[0], bisect_left(self.extras, start, key=_sort_key)
            return place - 1, range(high - 1, -1, -1)
        place, low = 0, 0
        if start is not None:
            place, low = self.seek(start)[1], bisect_right(self.extras, start, key=_sort_key)
        return place, range(low, len(self.extras))


def _sort_key(extra: tuple[SortKey, int]) -> SortKey:
    return extra[0]


def ref_view(base: Base, overlay: Overlay) -> View:
    """Order by ref."""
    seek = _seek_text(base.entities.refs)
    return View(base, base.entities.by_ref, overlay.touched, overlay.by_ref().all, seek)


def uid_view(base: Base, overlay: Overlay) -> View:
    """Order by uid."""
    seek = _seek_text(base.entities.uids)
    return View(base, base.entities.by_uid, overlay.touched, overlay.by_uid().all, seek)


def _seek_text(texts: Strings) -> Callable[[SortKey], tuple[int, int]]:
    def seek(key: SortKey) -> tuple[int, int]:
        place, is_there = texts.seek(key[0])
        return place, place + is_there

    return seek


def field_view(base: Base, overlay: Overlay, name: str, column: Column) -> View:
    """Order by the values of a key, then by uid."""
    extras = overlay.entries(name).all
    hidden = overlay.touched
    if column.patches:
        extras = sorted(extras + _patched(base, overlay, column))
        hidden |= FrozenBitMap(column.patches)
    seek = _seek_entry(base, column)
    return View(base, column.ranking, hidden, extras, seek, column)


def _patched(base: Base, overlay: Overlay, column: Column) -> list[tuple[SortKey, int]]:
    return [
        (key, owner)
        for owner, values in column.patches.items()
        if owner not in overlay.rows
        for key in sort_keys(values, base.entities.uid(owner))
    ]


def _seek_entry(base: Base, column: Column) -> Callable[[SortKey], tuple[int, int]]:
    entities, ids = base.entities, column.ranking.ids
    uid_places = entities.by_uid.places

    def seek(key: SortKey) -> tuple[int, int]:
        value, uid = key
        rank, has_value = column.texts.seek(value)
        low = column.start(rank)
        if not has_value:
            return low, low
        wanted, has_uid = entities.uids.seek(uid)
        entries = range(low, column.start(rank + 1))
        low += bisect_left(entries, wanted, key=lambda place: int(uid_places[ids[place]]))
        is_there = has_uid and low < entries.stop and int(uid_places[ids[low]]) == wanted
        return low, low + is_there

    return seek


def read_page(
    view: View, selection: FrozenBitMap, marks: Marks, cut: Cut, *, is_descending: bool
) -> Page:
    """Cut a page of the selected entities out of an order."""
    position = cut.position
    is_backwards = position is not None and position.backwards
    start: SortKey | None = None
    if position is not None:
        start = (utf8(position.uid),)
        if view.column is not None:
            if position.value is None:
                return Page((), has_more=False)
            start = (utf8(position.value), *start)
    is_downwards = is_descending != is_backwards
    place, numbers = view.walk(start, is_downwards=is_downwards)
    step = -1 if is_downwards else 1
    wanted = cut.offset + cut.limit + 1
    within = None if cut.term is None or view.column is None else like(cut.term)
    places = _walk(view, selection, marks, (place, wanted, step), within)
    picked = list(islice(_selected(view, selection, numbers, within), wanted))
    befores = [view.before(number) for number in picked]
    lines = window(places, befores, cut.offset, cut.limit + 1, step)
    shown = lines[: cut.limit]
    base_entries = _base_entries(view, [number for is_extra, number in shown if not is_extra])
    entries = tuple(
        _extra_entry(view, picked[number]) if is_extra else next(base_entries)
        for is_extra, number in shown
    )
    return Page(entries[::-1] if is_backwards else entries, len(lines) > cut.limit)


def _walk(
    view: View,
    selection: FrozenBitMap,
    marks: Marks,
    way: tuple[int, int, int],
    within: LikePattern | None,
) -> Places:
    """List the places of selected entries of the base, on the way `(start, wanted, step)`."""
    start, wanted, step = way
    if within is None or view.column is None:
        return view.ranking.walk(view.chosen(selection), marks, start, wanted, step)
    found = view.column.places(view.column.texts.matching(within))
    found = found[marks().take(view.ranking.ids[found])]
    return found[found >= start] if step > 0 else found[found <= start][::-1]


def _selected(
    view: View, selection: FrozenBitMap, numbers: range, within: LikePattern | None
) -> Iterator[int]:
    """Yield the numbers of the selected extras."""
    for number in numbers:
        key, owner = view.extras[number]
        if owner in selection and (within is None or within.matches(from_utf8(key[0]))):
            yield number


def _extra_entry(view: View, number: int) -> Entry:
    key, owner = view.extras[number]
    return Entry(owner, None if view.column is None else from_utf8(key[0]), from_utf8(key[-1]))


def _base_entries(view: View, places: list[int]) -> Iterator[Entry]:
    column, entities = view.column, view.base.entities
    owners = view.ranking.ids[places]
    uids = map(entities.uids.text, entities.by_uid.places[owners].tolist())
    values: Iterator[str | None] = repeat(None)
    if column is not None:
        ranks = column.ends.searchsorted(np.asarray(places, np.uint32), side="right")
        values = map(column.texts.text, ranks.tolist())
    return map(Entry, owners.tolist(), values, uids)


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
