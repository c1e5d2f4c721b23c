"""The values of one key as they were written, and how many entities have each."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from pyroaring import FrozenBitMap

from app.index.arrays import U32, Mask, Places
from app.index.base import Base
from app.index.blobs import TRUE, original_hash, term_hash
from app.index.columns import Field, Values
from app.index.strings import Strings
from app.index.text import utf8, utf16
from app.model.query import FacetCount

_FEW = 4096
"""Up to so many values are also kept as strings, which saves decoding them for every answer."""


@dataclass(frozen=True, slots=True)
class Facet:
    """The values of a key as they were written, in the order of JavaScript's strings.

    `ordinals` says which term of the base each belongs to; for terms with several spellings `spelt`
    has `(value, spelling of each posting of the term, the value's own spelling)`. `true` is the
    value to which array items count, or -1. If there are few values, they are `decoded` and have
    `numbers`.
    """

    field: Field
    values: Strings
    ordinals: Places
    spelt: tuple[tuple[int, U32, int], ...]
    true: int
    decoded: tuple[str, ...] | None
    numbers: Mapping[str, int]
    patches: Mapping[int, Values]

    @property
    def nbytes(self) -> int:
        return self.values.nbytes + self.ordinals.nbytes

    def counts(self, chosen: Mask | None) -> Places:
        """How many entities have each value: all of them, or the chosen."""
        postings = self.field.postings
        by_term = postings.counts() if chosen is None else postings.counts_in(chosen)
        counts = np.zeros(len(self.values), np.intp)
        own = self.ordinals >= 0
        counts[own] = by_term[self.ordinals[own]]
        for value, spellings, spelling in self.spelt:
            hits = spellings == np.uint32(spelling)
            if chosen is not None:
                hits &= chosen.take(postings.of(int(self.ordinals[value])))
            counts[value] = np.count_nonzero(hits)
        if self.true >= 0:
            items = self.field.items
            own_items = items if chosen is None else items[chosen.take(items)]
            counts[self.true] += len(own_items)
        return counts

    def number(self, value: str) -> int:
        """Find the number of a value, or -1."""
        if self.decoded is not None:
            return self.numbers.get(value, -1)
        wanted, texts = utf16(value), self.values
        place = bisect_left(range(len(texts)), wanted, key=lambda at: utf16(texts.text(at)))
        return place if place < len(texts) and texts.text(place) == value else -1

    def texts(self, numbers: list[int]) -> list[str]:
        """List the values with some numbers."""
        decoded = self.decoded
        if decoded is None:
            return [self.values.text(number) for number in numbers]
        return [decoded[number] for number in numbers]


def count_values(
    facet: Facet | None,
    chosen: Mask | None,
    texts: Mapping[int, Values],
    selection: FrozenBitMap | None,
) -> list[FacetCount]:
    """Count the entities per value: those of the base that are chosen, and the selected of `texts`.

    `texts` are the values of entities for which the base does not count, and `chosen` is without
    them. There is no facet for a key that nobody in the base has.
    """
    counts = facet.counts(chosen) if facet else np.zeros(0, np.intp)
    changed = Counter(
        original
        for owner, values in texts.items()
        if selection is None or owner in selection
        for _, original in values
        if original is not None
    )
    fresh: list[FacetCount] = []
    for value, count in changed.items():
        number = facet.number(value) if facet else -1
        if number < 0:
            fresh.append(FacetCount(value, count))
        else:
            counts[number] += count
    found = list(fresh)
    if facet:
        present = np.flatnonzero(counts)
        found += map(FacetCount, facet.texts(present.tolist()), counts[present].tolist())
    if fresh:
        found.sort(key=lambda entry: utf16(entry.value))
    return found


def make_facet(
    base: Base, name: str, originals: Iterable[str], patches: Mapping[int, Values]
) -> Facet:
    """Make the facet of a key from texts among which all its values are, as they were written."""
    field = Field.of(base, name)
    postings = field.postings
    mixed = base.spellings.mixed_in(postings.first, len(postings.terms))
    uniform = base.spellings.of(postings.first, len(postings.terms))
    pool = sorted({*originals, TRUE} if len(field.items) else set(originals), key=utf16)
    lowered = [text.lower() for text in pool]
    terms = [term_hash(field.key, text) for text in lowered]
    ordinals = postings.find_all(np.asarray(terms, np.uint64))
    values: list[str] = []
    places: list[int] = []
    spelt: list[tuple[int, U32, int]] = []
    true = -1
    for original, lower, ordinal in zip(pool, lowered, ordinals.tolist(), strict=True):
        spelling = original_hash(original, lower)
        is_item = len(field.items) > 0 and original == TRUE
        is_mixed = ordinal in mixed and bool((mixed[ordinal] == spelling).any())
        is_uniform = ordinal >= 0 and ordinal not in mixed and uniform[ordinal] == spelling
        if is_mixed:
            spelt.append((len(values), mixed[ordinal], spelling))
        if is_item:
            true = len(values)
        if is_item or is_mixed or is_uniform:
            values.append(original)
            places.append(ordinal if is_mixed or is_uniform else -1)
    few = tuple(values) if len(values) <= _FEW else None
    return Facet(
        field=field,
        values=Strings.of([utf8(value) for value in values]),
        ordinals=np.asarray(places, np.intp),
        spelt=tuple(spelt),
        true=true,
        decoded=few,
        numbers={value: number for number, value in enumerate(few or ())},
        patches=patches,
    )
