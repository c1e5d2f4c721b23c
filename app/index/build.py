"""Making a base: from the blobs of all entities, or from a base and what has changed since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from app.index.arrays import U32, U64, Places, spans
from app.index.base import Base, Entities, Groups, Spellings
from app.index.blobs import Rows, unpack_many
from app.index.text import utf8
from app.model.batching import batches

_CHUNK = 4096
_SHARDS = 16
_SHARD_SHIFT = np.uint64(60)
_MANY_ROWS = 8_000_000
_NARROW = 2**15


class IndexRow(NamedTuple):
    """An entity as the index is told of it. A tuple, so that a database row can become one fast."""

    id: int
    ref: str
    uid: str
    terms: bytes


def build(rows: Iterable[IndexRow], *, waiting: int = _MANY_ROWS) -> Base:
    """Make a base of entities, in any order; quickest if their ids ascend.

    About `waiting` index rows are held in plain form before they are packed.
    """
    pile = _Pile(waiting)
    ids: list[int] = []
    refs: list[bytes] = []
    uids: list[bytes] = []
    for chunk in batches(rows, _CHUNK):
        chunk_ids, chunk_refs, chunk_uids, blobs = zip(*chunk, strict=True)
        ids.extend(chunk_ids)
        refs.extend(map(utf8, chunk_refs))
        uids.extend(map(utf8, chunk_uids))
        pile.add(unpack_many(chunk_ids, blobs))
    return pile.sorted(Entities.of(ids, refs, uids))


def rebuild(base: Base, changes: Mapping[int, IndexRow | None]) -> Base:
    """Make a base in which some entities, by id, are as given; None for those that are gone."""
    gone = np.zeros(base.entities.size, np.bool_)
    gone[[owner for owner in changes if owner < len(gone)]] = True
    rows = [row for row in changes.values() if row is not None]
    edges = base.keys.searchsorted(np.arange(_SHARDS, dtype=np.uint64) << _SHARD_SHIFT).tolist()
    fresh = _by_shard(unpack_many([row.id for row in rows], [row.terms for row in rows]))
    parts = [
        _arrange([base.groups(low, high, ~gone), Groups.of(shard)])
        for shard, low, high in zip(fresh, edges, [*edges[1:], len(base.keys)], strict=True)
    ]
    entities = base.entities
    order = entities.by_ref.ids
    kept = np.flatnonzero(~gone[order])
    ids = order[kept].tolist()
    all_refs, all_uids = entities.refs.all(), entities.uids.all()
    refs = [all_refs[place] for place in kept.tolist()]
    uids = [all_uids[place] for place in entities.by_uid.places[ids].tolist()]
    ids += [row.id for row in rows]
    refs += [utf8(row.ref) for row in rows]
    uids += [utf8(row.uid) for row in rows]
    return _assemble(Entities.of(ids, refs, uids), parts)


class _Pile:
    """Rows on their way into a base, apart by the first bits of their key.

    Sorting a sixteenth at a time keeps the memory that is needed beside the result small. Rows that
    wait take 24 bytes each; when there are very many they are packed into a base of their own.
    """

    __slots__ = ("_limit", "_packed", "_shards", "_waiting")

    def __init__(self, limit: int) -> None:
        self._shards: list[list[Rows]] = [[] for _ in range(_SHARDS)]
        self._packed: list[list[Base]] = [[] for _ in range(_SHARDS)]
        self._limit = limit
        self._waiting = 0

    def add(self, rows: Rows) -> None:
        if self._waiting > self._limit:
            self._pack()
        for shard, part in zip(self._shards, _by_shard(rows), strict=True):
            shard.append(part)
        self._waiting += len(rows)

    def _pack(self) -> None:
        nobody = Entities.of([], [], [])
        for shard, packed in zip(self._shards, self._packed, strict=True):
            packed.append(_assemble(nobody, [_arrange([Groups.of(Rows.join(shard))])]))
            shard.clear()
        self._waiting = 0

    def sorted(self, entities: Entities) -> Base:
        parts = []
        for shard, packed in zip(self._shards, self._packed, strict=True):
            if shard:
                groups = [base.groups(0, len(base.keys)) for base in packed]
                groups.append(Groups.of(Rows.join(shard)))
                packed.clear()
                shard.clear()
                parts.append(_arrange(groups))
        return _assemble(entities, parts)


def _by_shard(rows: Rows) -> list[Rows]:
    shards = (rows.keys >> _SHARD_SHIFT).astype(np.uint8)
    order = np.argsort(shards, kind="stable")
    rows = rows.take(order)
    edges = shards[order].searchsorted(np.arange(_SHARDS + 1)).tolist()
    return [rows.take(slice(low, high)) for low, high in pairwise(edges)]


@dataclass(frozen=True, slots=True)
class _Part:
    """The arrays of some keys; numbers count from the first term and posting of the part."""

    keys: U64
    terms_per_key: Places
    shared_per_key: Places
    ids_per_key: Places
    terms: U64
    starts: U32
    ids: U32
    cased: U32
    cased_originals: U32
    mixed: U32
    mixed_counts: Places
    mixed_originals: U32


def _arrange(pieces: Sequence[Groups]) -> _Part:
    """Bring the groups of some keys into the order of the base, one group for each term."""
    groups = Groups.join(pieces)
    order = np.argsort(groups.terms, kind="stable")
    terms = groups.terms[order]
    is_first = np.ones(len(terms), np.bool_)
    np.not_equal(terms[1:], terms[:-1], out=is_first[1:])
    first = np.flatnonzero(is_first)
    counts = np.add.reduceat(groups.counts[order], first) if len(first) else first
    keys, codes = np.unique(groups.keys[order[first]], return_inverse=True)
    alone = counts == 1
    narrow = np.uint16 if len(keys) < _NARROW else np.uint32
    arranged = np.argsort((codes * 2 + alone).astype(narrow), kind="stable")
    groups_per_term = np.diff(first, append=len(terms))
    order = order[spans(first[arranged], groups_per_term[arranged])]
    places = spans(groups.starts[order], groups.counts[order])
    ids, originals = groups.ids[places], groups.originals[places]
    terms = terms[first[arranged]]
    counts, alone, codes = counts[arranged], alone[arranged], codes[arranged]
    starts = np.cumsum(counts) - counts
    ids_per_key = np.bincount(codes, weights=counts, minlength=len(keys)).astype(np.intp)
    key_starts = (np.cumsum(ids_per_key) - ids_per_key)[codes]
    own = originals[starts]
    mixed = _terms_with(np.flatnonzero(originals[1:] != originals[:-1]) + 1, starts)
    is_mixed = np.zeros(len(counts), np.bool_)
    is_mixed[mixed] = True
    cased = np.flatnonzero((own != 0) & ~is_mixed)
    return _Part(
        keys=keys,
        terms_per_key=np.bincount(codes, minlength=len(keys)),
        shared_per_key=np.bincount(codes[~alone], minlength=len(keys)),
        ids_per_key=ids_per_key,
        terms=terms,
        starts=(starts - key_starts)[~alone].astype(np.uint32),
        ids=ids,
        cased=cased.astype(np.uint32),
        cased_originals=own[cased],
        mixed=mixed.astype(np.uint32),
        mixed_counts=counts[mixed],
        mixed_originals=originals[spans(starts[mixed], counts[mixed])],
    )


def _terms_with(places: Places, starts: Places) -> Places:
    """List the terms inside of which (not at whose start) there is one of the places."""
    terms = np.searchsorted(starts, places, side="right") - 1
    return np.unique(terms[places != starts[terms]])


def _assemble(entities: Entities, parts: Sequence[_Part]) -> Base:
    """Put parts with ascending keys one after the other."""

    def edges(counts: list[Places], dtype: type[np.unsignedinteger]) -> np.ndarray:
        return np.concatenate(
            [[0], np.cumsum(np.concatenate([np.empty(0, np.intp), *counts]))]
        ).astype(dtype)

    first = np.cumsum([0, *(len(part.terms) for part in parts)])[:-1]
    none32, none64 = np.empty(0, np.uint32), np.empty(0, np.uint64)
    shifted = list(zip(parts, first.astype(np.uint32), strict=True))
    return Base(
        entities=entities,
        keys=np.concatenate([none64, *(part.keys for part in parts)]),
        term_starts=edges([part.terms_per_key for part in parts], np.uint32),
        shared_starts=edges([part.shared_per_key for part in parts], np.uint32),
        id_starts=edges([part.ids_per_key for part in parts], np.uint64),
        terms=np.concatenate([none64, *(part.terms for part in parts)]),
        starts=np.concatenate([none32, *(part.starts for part in parts)]),
        ids=np.concatenate([none32, *(part.ids for part in parts)]),
        spellings=Spellings(
            cased=np.concatenate([none32, *(part.cased + shift for part, shift in shifted)]),
            cased_originals=np.concatenate([none32, *(part.cased_originals for part in parts)]),
            mixed=np.concatenate([none32, *(part.mixed + shift for part, shift in shifted)]),
            mixed_starts=edges([part.mixed_counts for part in parts], np.uint32),
            mixed_originals=np.concatenate([none32, *(part.mixed_originals for part in parts)]),
        ),
    )
