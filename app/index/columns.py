"""The values of one key in order: for sorting, full text and prefixes.

The base knows values as hashes only. A column adds their texts, read from the documents when the key
is first needed (`app.index.gather`), and is as unchanging as the base.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from pyroaring import FrozenBitMap

from app.index.arrays import U32, Mask, Places, bitmap_below, spans
from app.index.base import Base, Postings
from app.index.blobs import ITEMS, TRUE, digest, key_hash
from app.index.ranking import Ranking
from app.index.strings import Strings
from app.index.text import utf8

Values: TypeAlias = tuple[tuple[str | None, str | None], ...]
"""What one entity has under a key: lower-cased values and originals, None for null and too long."""

_TRUE = utf8(TRUE)


@dataclass(frozen=True, slots=True)
class Field:
    """A key in the base: its own postings, and who has it as an array item `(path.item, "true")`."""

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

    def hashes(self, texts: Collection[bytes]) -> np.ndarray:
        """Hash lower-cased texts as terms of this key."""
        key = self.key
        return np.fromiter((digest(text, key) for text in texts), np.uint64, len(texts))

    def comparable(self) -> Mask:
        """Mark the terms that are values, not null."""
        return self.postings.terms != np.uint64(self.key)


@dataclass(frozen=True, slots=True)
class Column:
    """The entries `(value, entity)` of a key, by value and then by uid.

    `ends[i]` is the place after the last entry of text `i`. Entities in `patches` are left out: their
    documents have changed since the base was made, and their values are the ones given there.
    """

    texts: Strings
    ends: U32
    ranking: Ranking
    owners: FrozenBitMap
    patches: Mapping[int, Values]

    @property
    def nbytes(self) -> int:
        return self.texts.nbytes + self.ends.nbytes + self.ranking.nbytes

    def rank(self, place: int) -> int:
        """Which text the entry at a place has."""
        return int(self.ends.searchsorted(np.uint32(place), side="right"))

    def start(self, rank: int) -> int:
        """The place of the first entry of a text, or of the end."""
        return int(self.ends[rank - 1]) if rank else 0

    def with_texts(self, chosen: Mask) -> U32:
        """List the entities that have one of the chosen texts, in the order of the column."""
        return self.ranking.ids[self.places(chosen)]

    def places(self, chosen: Mask) -> Places:
        """The places of the entries with the chosen texts."""
        ranks = np.flatnonzero(chosen)
        ends = self.ends[ranks].astype(np.intp)
        starts = np.where(ranks > 0, self.ends[ranks - 1], 0).astype(np.intp)
        return spans(starts, ends - starts)

    def prefixed(self, prefix: str) -> U32:
        """List the entities with a value that starts with `prefix`."""
        low, high = self.texts.prefixed(utf8(prefix))
        return self.ranking.ids[self.start(low) : self.start(high)]


def make_column(
    base: Base, name: str, texts: Iterable[bytes], patches: Mapping[int, Values]
) -> Column:
    """Make the column of a key from texts among which all its values are, in any order."""
    field = Field.of(base, name)
    pool = sorted({*texts, _TRUE} if len(field.items) else set(texts))
    ordinals = field.postings.find_all(field.hashes(pool))
    is_used = ordinals >= 0
    if len(field.items):
        is_used[pool.index(_TRUE)] = True
    counts = np.zeros(len(pool), np.intp)
    counts[ordinals >= 0] = field.postings.counts()[ordinals[ordinals >= 0]]
    starts = np.zeros(len(pool), np.intp)
    starts[ordinals >= 0] = field.postings.all_starts()[ordinals[ordinals >= 0]]
    ids = field.postings.ids[spans(starts, counts)]
    ranks = np.repeat(np.cumsum(is_used) - 1, counts)
    if len(field.items):
        true_rank = int(np.count_nonzero(is_used[: pool.index(_TRUE)]))
        ids = np.concatenate([ids, field.items])
        ranks = np.concatenate([ranks, np.full(len(field.items), true_rank)])
    if patches:
        kept = ~np.isin(ids, np.fromiter(patches, np.uint32, len(patches)))
        ids, ranks = ids[kept], ranks[kept]
    return _column(
        base, [text for text, used in zip(pool, is_used, strict=True) if used], ranks, ids, patches
    )


def _column(
    base: Base, texts: list[bytes], ranks: Places, ids: U32, patches: Mapping[int, Values]
) -> Column:
    """Put entries in order: by text, then by uid."""
    by_uid = base.entities.by_uid
    entries = (ranks.astype(np.uint64) << np.uint64(32)) | by_uid.places[ids]
    entries.sort()
    ordered = by_uid.ids[entries & np.uint64(0xFFFFFFFF)]
    owners = bitmap_below(base.entities.size, ids)
    return Column(
        texts=Strings(texts),
        ends=np.cumsum(np.bincount(ranks, minlength=len(texts))).astype(np.uint32),
        ranking=Ranking(ordered, base.entities.size, is_unique=len(owners) == len(ids)),
        owners=owners,
        patches=patches,
    )
