"""The base of the index: arrays that never change, shared by all readers without a lock.

Rows are kept by key, then by term. Under a key, terms that several entities have come
first, each with the place where its postings start; most terms belong to one entity only (names,
uids, urls), and for those the place follows from their rank, so that they cost 12 bytes each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pyroaring import FrozenBitMap
from xxhash import xxh3_64_intdigest

from app.index.arrays import U32, U64, Mask, Places, bitmap_below, spans
from app.index.blobs import Rows
from app.index.ranking import Ranking
from app.index.strings import Strings
from app.index.text import utf8

_NONE = np.empty(0, np.uint32)


@dataclass(frozen=True, slots=True)
class Postings:
    """All terms of one key, and who has them.

    A term is named by its ordinal under the key. `starts` are the places in `ids` of the terms that
    are shared, `first` is the ordinal of the key's first term among all terms of the base.
    """

    terms: U64
    starts: U32
    ids: U32
    first: int = 0

    @property
    def shared(self) -> int:
        """How many terms belong to more than one entity."""
        return len(self.starts)

    @property
    def alone(self) -> int:
        """The place in `ids` where the terms that belong to one entity begin."""
        return len(self.ids) - (len(self.terms) - len(self.starts))

    def find(self, term: int) -> int:
        """Find the ordinal of a term, or -1."""
        wanted = np.uint64(term)
        shared = len(self.starts)
        for low, part in ((0, self.terms[:shared]), (shared, self.terms[shared:])):
            place = int(part.searchsorted(wanted))
            if place < len(part) and part[place] == wanted:
                return low + place
        return -1

    def find_all(self, terms: U64) -> Places:
        """Find the ordinals of many terms, -1 for those that are not there."""
        found = np.full(len(terms), -1, np.intp)
        shared = len(self.starts)
        for low, part in ((0, self.terms[:shared]), (shared, self.terms[shared:])):
            if len(part):
                places = np.minimum(part.searchsorted(terms), len(part) - 1)
                hit = part[places] == terms
                found[hit] = places[hit] + low
        return found

    def of(self, ordinal: int) -> U32:
        """List the entities that have a term."""
        shared = len(self.starts)
        if ordinal >= shared:
            place = self.alone + ordinal - shared
            return self.ids[place : place + 1]
        end = int(self.starts[ordinal + 1]) if ordinal + 1 < shared else self.alone
        return self.ids[int(self.starts[ordinal]) : end]

    def counts(self) -> Places:
        """How many entities have each term."""
        counts = np.ones(len(self.terms), np.intp)
        counts[: len(self.starts)] = np.diff(self.starts, append=np.uint32(self.alone))
        return counts

    def counts_in(self, chosen: Mask) -> Places:
        """How many of the chosen entities have each term."""
        hits = chosen.take(self.ids)
        counts = np.empty(len(self.terms), np.intp)
        shared, alone = len(self.starts), self.alone
        if shared:
            counts[:shared] = np.add.reduceat(
                hits[:alone], self.starts.astype(np.intp), dtype=np.intp
            )
        counts[shared:] = hits[alone:]
        return counts

    def all_starts(self) -> Places:
        """List the place in `ids` of the first entity of each term."""
        return np.concatenate([self.starts, np.arange(self.alone, len(self.ids))]).astype(np.intp)


@dataclass(frozen=True, slots=True)
class Groups:
    """Terms, each with its key and with a range of `ids` and their `originals` (spellings)."""

    keys: U64
    terms: U64
    starts: Places
    counts: Places
    ids: U32
    originals: U32

    @classmethod
    def of(cls, rows: Rows) -> Groups:
        """Make each row a group."""
        one_each = np.ones(len(rows), np.intp)
        return cls(rows.keys, rows.terms, np.arange(len(rows)), one_each, rows.ids, rows.originals)

    @classmethod
    def join(cls, parts: Sequence[Groups]) -> Groups:
        """All groups of all parts."""
        shifts = np.cumsum([0, *(len(part.ids) for part in parts)]).tolist()
        return cls(
            np.concatenate([part.keys for part in parts]),
            np.concatenate([part.terms for part in parts]),
            np.concatenate([part.starts + by for part, by in zip(parts, shifts, strict=False)]),
            np.concatenate([part.counts for part in parts]),
            np.concatenate([part.ids for part in parts]),
            np.concatenate([part.originals for part in parts]),
        )

    def keep(self, kept: Mask) -> Groups:
        """Leave out some of the ids, and the terms of which nothing is left."""
        before = np.concatenate([np.zeros(1, np.intp), np.cumsum(kept)])
        starts = before[self.starts]
        counts = before[self.starts + self.counts] - starts
        left = counts > 0
        return Groups(
            self.keys[left],
            self.terms[left],
            starts[left],
            counts[left],
            self.ids[kept],
            self.originals[kept],
        )


NO_POSTINGS = Postings(np.empty(0, np.uint64), _NONE, _NONE)


@dataclass(frozen=True, slots=True)
class Spellings:
    """How values were written, where it was not in lower case.

    Most terms are spelt in one way by all entities: `cased` are the terms of the base (ascending)
    whose one spelling is not lower case, with the hash of that spelling. Only `mixed` terms have
    several; theirs are told for each posting.
    """

    cased: U32
    cased_originals: U32
    mixed: U32
    mixed_starts: U32
    mixed_originals: U32

    def of(self, first: int, count: int) -> U32:
        """Tell the spelling of each of a key's terms; for mixed ones 0."""
        originals = np.zeros(count, np.uint32)
        low, high = self.cased.searchsorted(np.asarray([first, first + count], np.uint32))
        originals[self.cased[low:high] - np.uint32(first)] = self.cased_originals[low:high]
        return originals

    def mixed_in(self, first: int, count: int) -> dict[int, U32]:
        """For each of a key's mixed terms (by ordinal), the spelling of every posting."""
        low, high = self.mixed.searchsorted(np.asarray([first, first + count], np.uint32)).tolist()
        return {
            int(self.mixed[place]) - first: self.mixed_originals[
                int(self.mixed_starts[place]) : int(self.mixed_starts[place + 1])
            ]
            for place in range(low, high)
        }


@dataclass(frozen=True, slots=True)
class Entities:
    """Who is in the base: ids by ref and by uid, beside these texts in the same orders.

    `hashes` are those of the refs, ascending, and `hash_places` where each of them is in `refs`.
    """

    by_ref: Ranking
    by_uid: Ranking
    refs: Strings
    uids: Strings
    hashes: U64
    hash_places: U32
    all: FrozenBitMap

    @classmethod
    def of(cls, ids: Sequence[int], refs: Sequence[bytes], uids: Sequence[bytes]) -> Entities:
        """Bring entities, which come in any order, into both orders."""
        size = max(ids, default=0) + 1
        owners = np.asarray(ids, np.uint32)
        by_ref = sorted(range(len(refs)), key=refs.__getitem__)
        by_uid = sorted(range(len(uids)), key=uids.__getitem__)
        digests = (xxh3_64_intdigest(refs[place]) for place in by_ref)
        hashes = np.fromiter(digests, np.uint64, len(refs))
        places = np.argsort(hashes)
        return cls(
            by_ref=Ranking(owners[by_ref], size),
            by_uid=Ranking(owners[by_uid], size),
            refs=Strings.of([refs[place] for place in by_ref]),
            uids=Strings.of([uids[place] for place in by_uid]),
            hashes=hashes[places],
            hash_places=places.astype(np.uint32),
            all=bitmap_below(size, owners),
        )

    @property
    def size(self) -> int:
        """One more than the greatest id."""
        return self.by_ref.size

    @property
    def nbytes(self) -> int:
        own = self.hashes.nbytes + self.hash_places.nbytes
        return own + self.refs.nbytes + self.uids.nbytes + self.by_ref.nbytes + self.by_uid.nbytes

    def ids_of(self, refs: Sequence[str]) -> list[int | None]:
        """Find the ids of refs, None for those that are not there."""
        if not len(self.hashes):
            return [None] * len(refs)
        wanted = [utf8(ref) for ref in refs]
        hashes = np.fromiter(map(xxh3_64_intdigest, wanted), np.uint64, len(wanted))
        found = np.minimum(self.hashes.searchsorted(hashes), len(self.hashes) - 1)
        hits = (self.hashes[found] == hashes).tolist()
        places = self.hash_places[found]
        ids = self.by_ref.ids[places].tolist()
        return [
            owner if hit and self.refs[place] == ref else None
            for owner, hit, place, ref in zip(ids, hits, places.tolist(), wanted, strict=True)
        ]

    def id_of_uid(self, uid: str) -> int | None:
        """Find the entity with a uid."""
        place, is_there = self.uids.seek(utf8(uid))
        return int(self.by_uid.ids[place]) if is_there else None

    def uid(self, owner: int) -> str:
        """Tell the uid of an entity of the base."""
        return self.uids.text(int(self.by_uid.places[owner]))


@dataclass(frozen=True, slots=True)
class Base:
    """All rows of all entities at one moment.

    Key `i` has the terms `term_starts[i] .. term_starts[i + 1]`; those of them that are shared have
    `starts[shared_starts[i] .. shared_starts[i + 1]]`. Its postings begin at `id_starts[i]`.
    """

    entities: Entities
    keys: U64
    term_starts: U32
    shared_starts: U32
    id_starts: U64
    terms: U64
    starts: U32
    ids: U32
    spellings: Spellings

    def postings(self, key: int) -> Postings:
        """All that is known of a key, by its hash."""
        place = int(self.keys.searchsorted(np.uint64(key)))
        if place == len(self.keys) or self.keys[place] != np.uint64(key):
            return NO_POSTINGS
        return self.postings_at(place)

    def postings_at(self, place: int) -> Postings:
        """All that is known of the key at a place in `keys`."""
        first, end = int(self.term_starts[place]), int(self.term_starts[place + 1])
        return Postings(
            self.terms[first:end],
            self.starts[int(self.shared_starts[place]) : int(self.shared_starts[place + 1])],
            self.ids[int(self.id_starts[place]) : int(self.id_starts[place + 1])],
            first,
        )

    def groups(self, low: int, high: int, kept: Mask | None = None) -> Groups:
        """Write the terms of some keys (places in `keys`) out again, of all or of kept entities."""
        first, end = int(self.term_starts[low]), int(self.term_starts[high])
        counts = self._counts(low, high)
        ends = np.cumsum(counts)
        starts = ends - counts
        begin = int(self.id_starts[low])
        ids = self.ids[begin : int(self.id_starts[high])]
        originals = np.repeat(self.spellings.of(first, end - first), counts)
        for ordinal, spelt in self.spellings.mixed_in(first, end - first).items():
            originals[starts[ordinal] : ends[ordinal]] = spelt
        keys = np.repeat(self.keys[low:high], np.diff(self.term_starts[low : high + 1]))
        groups = Groups(keys, self.terms[first:end], starts, counts, ids, originals)
        return groups if kept is None else groups.keep(kept.take(ids))

    def _counts(self, low: int, high: int) -> Places:
        """How many entities have each term of some keys."""
        first = int(self.term_starts[low])
        counts = np.ones(int(self.term_starts[high]) - first, np.intp)
        shared = np.diff(self.shared_starts[low : high + 1]).astype(np.intp)
        begins = self.starts[int(self.shared_starts[low]) : int(self.shared_starts[high])]
        terms = np.diff(self.term_starts[low : high + 1]).astype(np.intp)
        alone = np.diff(self.id_starts[low : high + 1]).astype(np.intp) - (terms - shared)
        ends = np.empty(len(begins), np.intp)
        ends[:-1] = begins[1:]
        last = np.cumsum(shared) - 1
        ends[last[shared > 0]] = alone[shared > 0]
        at = spans(self.term_starts[low:high].astype(np.intp) - first, shared)
        counts[at] = ends - begins
        return counts

    @property
    def nbytes(self) -> int:
        """The size of all arrays."""
        own = (
            self.keys, self.term_starts, self.shared_starts, self.id_starts, self.terms,
            self.starts, self.ids, self.spellings.cased, self.spellings.cased_originals,
            self.spellings.mixed, self.spellings.mixed_starts, self.spellings.mixed_originals,
        )  # fmt: skip
        return self.entities.nbytes + sum(part.nbytes for part in own)
