"""The old listing: several order fields, entities without one last (CONTRACT, GET /entities).

Every order field multiplies the rows of an entity by the values it has, as the reference
implementation's joins do; null and missing values make one row without a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pyroaring import FrozenBitMap

from app.errors import InputError
from app.index.arrays import U32, Places, mask, spans
from app.index.base import Base
from app.index.columns import Column, Field
from app.index.overlay import Overlay, present_texts
from app.index.text import utf8

# Fields of several values multiply; more rows than this take more memory than there is to give.
MAX_ROWS = 5_000_000
_LAST = np.iinfo(np.intp).max


@dataclass(frozen=True, slots=True)
class SortField:
    """One order field, with its column and what it needs of the base."""

    name: str
    column: Column
    is_descending: bool


def sort_rows(base: Base, overlay: Overlay, owners: U32, fields: Sequence[SortField]) -> U32:
    """Sort entities, given by uid, by several fields."""
    selection = FrozenBitMap(owners.tolist())
    size = int(owners.max(initial=0)) + 1
    rows: Places = np.arange(len(owners))
    keys: list[Places] = []
    for field in fields:
        own, ranks = _entries(base, overlay, field, selection)
        counts = np.bincount(own, minlength=size)
        order = np.argsort(own, kind="stable")
        starts = (np.cumsum(counts) - counts)[owners[rows]]
        counts = counts[owners[rows]]
        filled = np.maximum(counts, 1)
        if int(filled.sum()) > MAX_ROWS:
            raise InputError(
                f"Ordering by {field.name} as well makes more than {MAX_ROWS} rows: too many "
                "entities have several values in these fields"
            )
        joined = np.full(int(filled.sum()), _LAST, np.intp)
        begins = np.cumsum(filled) - filled
        joined[spans(begins, counts)] = ranks[order[spans(starts, counts)]]
        keys = [np.repeat(key, filled) for key in keys]
        rows = np.repeat(rows, filled)
        keys.append(joined)
    return owners[rows[np.lexsort((rows, *reversed(keys)))]]


def _entries(
    base: Base, overlay: Overlay, field: SortField, selection: FrozenBitMap
) -> tuple[U32, Places]:
    """All entries of a field: whose they are, and a number to sort them by."""
    column = field.column
    texts = present_texts(field.name, column.patches, overlay)
    hidden = overlay.touched | FrozenBitMap(column.patches)
    marks = mask(selection - hidden, base.entities.size)
    kept = np.flatnonzero(marks.take(column.ranking.ids))
    extras = [
        (utf8(value) if value is not None else None, owner)
        for owner, values in texts.items()
        if owner in selection
        for value, _ in values
    ]
    fresh = sorted({v for v, _ in extras if v is not None and not column.texts.seek(v)[1]})
    gaps = np.asarray([column.texts.seek(value)[0] for value in fresh], np.intp)
    entries_per_text = np.diff(column.ends, prepend=np.uint32(0))
    ranks = np.repeat(np.arange(len(entries_per_text)), entries_per_text)[kept]
    ranks = ranks + gaps.searchsorted(ranks, side="right")
    numbers = {
        value: int(gap) + number
        for number, (value, gap) in enumerate(zip(fresh, gaps, strict=True))
    }
    for value in {v for v, _ in extras if v is not None} - numbers.keys():
        rank = column.texts.seek(value)[0]
        numbers[value] = rank + int(gaps.searchsorted(rank, side="right"))
    extra_ranks = [_LAST if value is None else numbers[value] for value, _ in extras]
    nulls = _nulls(base, field.name)
    nulls = nulls[marks.take(nulls)]
    all_ranks = np.concatenate(
        [ranks, np.full(len(nulls), _LAST), np.asarray(extra_ranks, np.intp)]
    )
    if field.is_descending:
        all_ranks = np.where(all_ranks == _LAST, _LAST, -all_ranks)
    own = np.asarray([owner for _, owner in extras], np.uint32)
    return np.concatenate([column.ranking.ids[kept], nulls, own]), all_ranks.astype(np.intp)


def _nulls(base: Base, name: str) -> U32:
    """List the entities with a null row under a key."""
    field = Field.of(base, name)
    ordinal = field.postings.find(field.key)
    return field.postings.of(ordinal) if ordinal >= 0 else field.items[:0]
