"""The search for the texts of one key: what was found, what is missing, who could be asked.

Documents may be newer than the base, so every text is held against the hashes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from xxhash import xxh3_64_intdigest

from app.index.arrays import U32, Mask, Places
from app.index.base import Base
from app.index.blobs import original_hash, term_hash
from app.index.columns import Field, Values
from app.index.text import utf8

KNOWN_KEYS = frozenset({"kind", "metadata.namespace", "metadata.name", "metadata.uid"})
"""Keys whose values, in lower case, are part of every ref and uid."""

_REF_PARTS = {"kind": 0, "metadata.namespace": 1, "metadata.name": 2}


class ColumnSearch:
    """Looks for every value of a key, in lower case.

    `found` are texts and their terms. `patches` are the values of entities whose documents no
    longer say what the base knows.
    """

    def __init__(self, base: Base, name: str, seeds: Mapping[bytes, int]) -> None:
        """Begin with texts that were known before."""
        self.name = name
        self.found = dict(seeds)
        self.patches: dict[int, Values] = {}
        self._field = Field.of(base, name)
        self._missing: Mask = self._field.comparable()
        self._fresh = list(self.found.values())
        if not seeds:
            self._take_known(base)

    def _take_known(self, base: Base) -> None:
        """Take the texts that are part of the refs and uids, which the base holds anyway."""
        if self.name == "metadata.uid":
            for uid in base.entities.uids.all():
                self._take(uid)
        elif self.name in _REF_PARTS:
            part = _REF_PARTS[self.name]
            for ref in base.entities.refs.all():
                kind, _, rest = ref.partition(b":")
                namespace, _, name = rest.partition(b"/")
                self._take((kind, namespace, name)[part])

    def _take(self, text: bytes) -> None:
        if text not in self.found:
            term = self.found[text] = xxh3_64_intdigest(text, self._field.key)
            self._fresh.append(term)

    def note(self, values: Values) -> None:
        """Take the texts that a document has."""
        for value, _ in values:
            if value is not None:
                self._take(utf8(value))

    def owners_of_missing(self) -> list[U32]:
        """List, for each value without a text, the entities that have it."""
        ordinals = self._field.postings.find_all(np.asarray(self._fresh, np.uint64))
        self._missing[ordinals[ordinals >= 0]] = False
        self._fresh.clear()
        return [self._field.postings.of(place) for place in np.flatnonzero(self._missing).tolist()]

    def samples(self, *, is_last: bool) -> U32:
        """Pick one entity, the first or the last, for each value without a text."""
        self.owners_of_missing()
        return _samples(self._field, np.flatnonzero(self._missing), is_last=is_last)


class FacetSearch:
    """Looks for every value of a key in every spelling: `found` are texts as they were written."""

    def __init__(self, base: Base, name: str, seeds: Iterable[str]) -> None:
        """Begin with texts that were known before."""
        self.name = name
        self.found: set[str] = set(seeds)
        self.patches: dict[int, Values] = {}
        self._field = Field.of(base, name)
        first, count = self._field.postings.first, len(self._field.postings.terms)
        self._mixed = base.spellings.mixed_in(first, count)
        uniform = base.spellings.of(first, count).tolist()
        self._missing = {
            (ordinal, spelling)
            for ordinal in np.flatnonzero(self._field.comparable()).tolist()
            for spelling in (
                np.unique(self._mixed[ordinal]).tolist()
                if ordinal in self._mixed
                else (uniform[ordinal],)
            )
        }
        self._fresh = set(self.found)

    def note(self, values: Values) -> None:
        """Take the texts that a document has."""
        for _, original in values:
            if original is not None and original not in self.found:
                self.found.add(original)
                self._fresh.add(original)

    def _settle(self) -> None:
        originals = list(self._fresh)
        lowered = [original.lower() for original in originals]
        terms = [term_hash(self._field.key, value) for value in lowered]
        ordinals = self._field.postings.find_all(np.asarray(terms, np.uint64)).tolist()
        for original, value, ordinal in zip(originals, lowered, ordinals, strict=True):
            self._missing.discard((ordinal, original_hash(original, value)))
        self._fresh.clear()

    def owners_of_missing(self) -> list[U32]:
        """List, for each spelling of a value without a text, the entities that have it."""
        self._settle()
        return [self._owners(*pair) for pair in sorted(self._missing)]

    def samples(self, *, is_last: bool) -> U32:
        """Pick one entity, the first or the last, for each spelling without a text."""
        self._settle()
        plain = [ordinal for ordinal, _ in self._missing if ordinal not in self._mixed]
        mixed = [pair for pair in self._missing if pair[0] in self._mixed]
        ids = [self._owners(*pair)[-1 if is_last else 0] for pair in mixed]
        samples = _samples(self._field, np.asarray(plain, np.intp), is_last=is_last)
        return np.concatenate([samples, np.asarray(ids, np.uint32)])

    def _owners(self, ordinal: int, spelling: int) -> U32:
        ids = self._field.postings.of(ordinal)
        return ids[self._mixed[ordinal] == spelling] if ordinal in self._mixed else ids


def _samples(field: Field, ordinals: Places, *, is_last: bool) -> U32:
    postings = field.postings
    places = postings.all_starts()[ordinals]
    if is_last:
        places += postings.counts()[ordinals] - 1
    return postings.ids[places]
