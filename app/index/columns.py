"""The values of one key in order: for sorting, full text and prefixes.

The base knows values as hashes only. A column adds their texts, read from the documents when the
key is first needed (`app.index.gather`), and is as unchanging as the base.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from pyroaring import FrozenBitMap
from xxhash import xxh3_64_intdigest

from app.index.arrays import U32, U64, Mask, Places, bitmap_below, spans
from app.index.base import Base, Postings
from app.index.blobs import ITEMS, TRUE, key_hash
from app.index.ranking import Ranking
from app.index.strings import Strings
from app.index.text import utf8

Values: TypeAlias = tuple[tuple[str | None, str | None], ...]
"""What one entity has under a key: lower-cased values and originals, None for null and too long."""

_TRUE = utf8(TRUE)


@dataclass(frozen=True, slots=True)
class Field:
    """A key in the base: its own postings, and `items`, who has it as an array item only."""

    key: int
    postings: Postings
    items: U32

    @classmethod
    def of(cls, base: Base, name: str) -> Field:
        key = key_hash(name)
        items = base.postings(ITEMS)
        place = items.find(key)
        return cls(key, base.postings(key), items.of(place) if place >= 0 else items.ids[:0])

    @property
    def is_unknown(self) -> bool:
        """Nobody has the key."""
        return not len(self.postings.terms) and not len(self.items)

    def comparable(self) -> Mask:
        """Mark the terms that are values, not null."""
        return np.not_equal(self.postings.terms, np.uint64(self.key))


@dataclass(frozen=True, slots=True)
class Column:
    """The entries `(value, entity)` of a key, by value and then by uid.

    `terms[i]` is the hash of text `i`, `ends[i]` the place after its last entry. Entities in
    `patches` are left out: their documents have changed since the base was made, and their values
    are the ones given there.
    """

    texts: Strings
    terms: U64
    ends: U32
    ranking: Ranking
    owners: FrozenBitMap
    patches: Mapping[int, Values]

    @property
    def nbytes(self) -> int:
        return self.texts.nbytes + self.terms.nbytes + self.ends.nbytes + self.ranking.nbytes

    def start(self, rank: int) -> int:
        """Find the place of the first entry of a text, or of the end."""
        return int(self.ends[rank - 1]) if rank else 0

    def with_texts(self, chosen: Mask) -> U32:
        """List the entities that have one of the chosen texts, in the order of the column."""
        return self.ranking.ids[self.places(chosen)]

    def places(self, chosen: Mask) -> Places:
        """List the places of the entries with the chosen texts."""
        ranks = np.flatnonzero(chosen)
        ends = self.ends[ranks].astype(np.intp)
        starts = np.where(ranks > 0, self.ends[ranks - 1], 0).astype(np.intp)
        return spans(starts, ends - starts)

    def prefixed(self, prefix: str) -> U32:
        """List the entities with a value that starts with `prefix`."""
        low, high = self.texts.prefixed(utf8(prefix))
        return self.ranking.ids[self.start(low) : self.start(high)]


def make_column(
    base: Base, name: str, found: Mapping[bytes, int], patches: Mapping[int, Values]
) -> Column:
    """Make the column of a key from lower-cased texts, with their terms.

    All values of the key are among the texts; others do no harm.
    """
    field = Field.of(base, name)
    postings = field.postings
    has_items = len(field.items) > 0
    if has_items:
        found = {**found, _TRUE: xxh3_64_intdigest(_TRUE, field.key)}
    pool = sorted(found)
    terms = np.fromiter(map(found.__getitem__, pool), np.uint64, len(pool))
    ordinals = postings.find_all(terms)
    is_value = ordinals >= 0
    if has_items:
        is_value[pool.index(_TRUE)] = True
    texts = [text for text, is_used in zip(pool, is_value.tolist(), strict=True) if is_used]
    terms, ordinals = terms[is_value], ordinals[is_value]
    known = ordinals >= 0
    counts = np.zeros(len(texts), np.intp)
    starts = np.zeros(len(texts), np.intp)
    counts[known] = postings.counts()[ordinals[known]]
    starts[known] = postings.all_starts()[ordinals[known]]
    ids = postings.ids[spans(starts, counts)]
    ranks = np.repeat(np.arange(len(texts)), counts)
    if has_items:
        ids = np.concatenate([ids, field.items])
        ranks = np.concatenate([ranks, np.full(len(field.items), texts.index(_TRUE))])
    if patches:
        kept = ~np.isin(ids, np.fromiter(patches, np.uint32, len(patches)))
        ids, ranks = ids[kept], ranks[kept]
    owners = bitmap_below(base.entities.size, ids)
    return Column(
        texts=Strings.of(texts),
        terms=terms,
        ends=np.cumsum(np.bincount(ranks, minlength=len(texts))).astype(np.uint32),
        ranking=_rank(base, ranks, ids, is_unique=len(owners) == len(ids)),
        owners=owners,
        patches=patches,
    )


def _rank(base: Base, ranks: Places, ids: U32, *, is_unique: bool) -> Ranking:
    """Put entries in order: by the rank of their text, then by uid."""
    by_uid = base.entities.by_uid
    entries = (ranks.astype(np.uint64) << np.uint64(32)) | by_uid.places[ids]
    entries.sort()
    ordered = by_uid.ids[entries & np.uint64(0xFFFFFFFF)]
    return Ranking(ordered, base.entities.size, is_unique=is_unique)
