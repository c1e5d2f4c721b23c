"""Reading the texts of keys from documents: as few of them as will do.

One entity per value is enough. Documents may be newer than the base, so every text is held against
the hashes; where a value is found in no document any more, the entities that had it are read, and
their present values become the column's patches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeAlias

import numpy as np

from app.index.arrays import U32
from app.index.base import Base
from app.index.blobs import original_hash
from app.index.columns import Field, Values
from app.index.terms import NOT_WALKED, comparable, identity_pairs, index_rows
from app.index.text import from_utf8, utf8

Document: TypeAlias = Mapping[str, Any]
LoadDocuments: TypeAlias = Callable[[Sequence[int]], Iterable[tuple[int, Document]]]
"""Yields the documents of entities as they are now; those that are gone are left out."""

Seeds: TypeAlias = Mapping[str, Iterable[str]]
"""Keys, each with texts among which some of its values may be."""

_BATCH = 1000
_NOBODY = np.empty(0, np.uint32)
_REF_PARTS = {"kind": 0, "metadata.namespace": 1, "metadata.name": 2}


def values_of(entity: Document, key: str) -> Values:
    """List what an entity has under one lower-cased key: the rows `index_rows` has for it."""
    if not key.isascii():  # only then can the case of a letter depend on what surrounds it
        return tuple((value, text) for name, value, text in index_rows(entity) if name == key)
    found: dict[str | None, str | None] = {}
    for value in _inside(entity, "", key):
        lowered, original = comparable(value)
        found.setdefault(lowered, original)
    if key.startswith(("metadata.", "relations.")):
        for name, value in identity_pairs(entity):
            if name.lower() == key:
                lowered, original = comparable(value)
                found.setdefault(lowered, original)
    return tuple(found.items())


def _inside(value: Any, path: str, key: str) -> Iterator[Any]:
    """Yield the scalars whose key is `key`, below a place with a shorter one."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            below = f"{path}.{name}" if path else name
            lowered = below.lower()
            if not key.startswith(lowered) or below in NOT_WALKED:
                continue
            if len(lowered) == len(key):
                yield from _at(inner)
            elif key[len(lowered)] == ".":
                yield from _inside(inner, below, key)
    elif isinstance(value, (list, tuple)):
        for item in value:
            if isinstance(item, str):
                if f"{path}.{item}".lower() == key:
                    yield True
            else:
                yield from _inside(item, path, key)


def _at(value: Any) -> Iterator[Any]:
    """Yield the scalars of a place."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _at(item)
    elif not isinstance(value, Mapping):
        yield value


class Search:
    """The search for the texts of one key, or also for all their spellings (as facets need them).

    `originals` are the texts found, as they were written; `patches` the values of entities whose
    documents no longer say what the base knows.
    """

    def __init__(self, base: Base, name: str, seeds: Iterable[str], *, is_spelt: bool) -> None:
        self.name = name
        self.originals = set(seeds)
        self.patches: dict[int, Values] = {}
        self._base = base
        self._field = Field.of(base, name)
        postings = self._field.postings
        spellings = base.spellings if is_spelt else None
        first, count = postings.first, len(postings.terms)
        self._mixed = spellings.mixed_in(first, count) if spellings else {}
        self._uniform = spellings.of(first, count) if spellings else None

    def lowered(self) -> list[bytes]:
        """The texts found, in lower case."""
        return [utf8(text.lower()) for text in self.originals]

    def missing(self) -> list[tuple[int, int]]:
        """The terms without a text, and the spelling that is missing."""
        originals = list(self.originals)
        lowered = [text.lower() for text in originals]
        hashes = self._field.hashes([utf8(text) for text in lowered])
        ordinals = self._field.postings.find_all(hashes)
        wanted = self._field.comparable()
        if self._uniform is None:
            wanted[ordinals[ordinals >= 0]] = False
            return [(ordinal, 0) for ordinal in np.flatnonzero(wanted).tolist()]
        spelt = {
            (ordinal, original_hash(original, lower))
            for ordinal, original, lower in zip(ordinals.tolist(), originals, lowered, strict=True)
        }
        uniform = self._uniform.tolist()
        pairs = (
            (ordinal, spelling)
            for ordinal in np.flatnonzero(wanted).tolist()
            for spelling in self._spellings(ordinal, uniform)
        )
        return [pair for pair in pairs if pair not in spelt]

    def _spellings(self, ordinal: int, uniform: list[int]) -> list[int]:
        if ordinal in self._mixed:
            spellings: list[int] = np.unique(self._mixed[ordinal]).tolist()
            return spellings
        return [uniform[ordinal]]

    def samples(self, *, is_last: bool) -> U32:
        """One owner, the first or the last, of everything that is missing."""
        missing = self.missing()
        postings = self._field.postings
        places = postings.all_starts() + (postings.counts() - 1 if is_last else 0)
        ordinals = np.asarray([ordinal for ordinal, _ in missing], np.intp)
        mixed = [pair for pair in missing if pair[0] in self._mixed]
        ids = [self.owners(*pair)[-1 if is_last else 0] for pair in mixed]
        return np.concatenate([postings.ids[places[ordinals]], np.asarray(ids, np.uint32)])

    def owners(self, ordinal: int, spelling: int) -> U32:
        """The entities that have a term in a spelling."""
        ids = self._field.postings.of(ordinal)
        return ids[self._mixed[ordinal] == spelling] if ordinal in self._mixed else ids

    def take_known(self) -> None:
        """Take the texts that are part of the refs and uids which the base holds anyway."""
        entities = self._base.entities
        if self.name == "metadata.uid":
            self.originals.update(map(from_utf8, entities.uids.all()))
        elif self.name in _REF_PARTS:
            part = _REF_PARTS[self.name]
            for ref in map(from_utf8, entities.refs.all()):
                kind, _, rest = ref.partition(":")
                namespace, _, name = rest.partition("/")
                self.originals.add((kind, namespace, name)[part])


def gather(
    base: Base, load: LoadDocuments, columns: Seeds, facets: Seeds
) -> tuple[dict[str, Search], dict[str, Search]]:
    """Collect the texts of several columns and facets in one pass through the documents.

    The seeds are texts that are known already, and need not be right.
    """
    orders = {name: Search(base, name, seeds, is_spelt=False) for name, seeds in columns.items()}
    spelt = {name: Search(base, name, seeds, is_spelt=True) for name, seeds in facets.items()}
    for search in orders.values():
        search.take_known()
    searches = [*orders.values(), *spelt.values()]
    for is_last in (False, True):
        samples = [search.samples(is_last=is_last) for search in searches]
        for _ in _read(np.concatenate([_NOBODY, *samples]), searches, load):
            pass  # the searches have taken what they need
    for search in searches:
        lost = [search.owners(*pair) for pair in search.missing()]
        present = dict(_read(np.concatenate([_NOBODY, *lost]), [search], load))
        for ids in (search.owners(*pair) for pair in search.missing()):
            search.patches |= {owner: present.get(owner, ()) for owner in ids.tolist()}
    return orders, spelt


def _read(
    ids: U32, searches: Sequence[Search], load: LoadDocuments
) -> Iterator[tuple[int, Values]]:
    """Read documents for the texts they have; yield what they have for the last search."""
    stream = iter(np.unique(ids).tolist())
    while batch := list(islice(stream, _BATCH)):
        for owner, document in load(batch):
            values: Values = ()
            for search in searches:
                values = values_of(document, search.name)
                search.originals.update(text for _, text in values if text is not None)
            yield owner, values
