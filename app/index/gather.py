"""Reading the texts of keys from documents: as few of them as will do.

One entity per value is enough. Documents may be newer than the base, so every text is held against
the hashes; where a value is found in no document any more, the entities that had it are read, and
their present values become the column's patches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, TypeAlias

import numpy as np

from app.index.arrays import U32
from app.index.base import Base
from app.index.columns import Values
from app.index.searches import ColumnSearch, FacetSearch
from app.index.terms import NOT_WALKED, comparable, identity_pairs, index_rows
from app.model.batching import batches

Document: TypeAlias = Mapping[str, Any]
LoadDocuments: TypeAlias = Callable[[Sequence[int]], Iterable[tuple[int, Document]]]
"""Yields the documents of entities as they are now; those that are gone are left out."""

_BATCH = 1000
_ALWAYS = frozenset({"metadata.name", "metadata.namespace", "metadata.uid"})
_RELATIONS = "relations."


def values_of(entity: Document, key: str) -> Values:
    """List what an entity has under one lower-cased key: the rows `index_rows` has for it."""
    if not key.isascii():  # only then can the case of a letter depend on what surrounds it
        return tuple((value, text) for name, value, text in index_rows(entity) if name == key)
    found: dict[str | None, str | None] = {}
    for value in chain(_inside(entity, key, 0, ""), _identity(entity, key)):
        lowered, original = comparable(value)
        found.setdefault(lowered, original)
    return tuple(found.items())


def _identity(entity: Document, key: str) -> Iterator[Any]:
    """Yield what `identity_pairs` has for a key, without making all pairs."""
    if key in _ALWAYS:
        yield from (value for name, value in identity_pairs(entity) if name == key)
    elif key.startswith(_RELATIONS):
        wanted = key[len(_RELATIONS) :]
        for relation in entity.get("relations") or ():
            if relation["type"].lower() == wanted:
                yield relation["targetRef"]


def _inside(value: Any, key: str, at: int, path: str) -> Iterator[Any]:
    """Yield the scalars whose key is `key`, below a place that is named by its first `at` letters.

    `path` is the place as it was written, which matters for what is not searchable.
    """
    if isinstance(value, dict):
        for name, inner in value.items():
            lowered = name.lower()
            if not key.startswith(lowered, at):
                continue
            below = f"{path}.{name}" if path else name
            if below not in NOT_WALKED:
                yield from _below(inner, key, at + len(lowered), below)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, str):
                if item.lower() == key[at:]:
                    yield True
            else:
                yield from _inside(item, key, at, path)


def _below(value: Any, key: str, end: int, path: str) -> Iterator[Any]:
    """Yield the scalars of a place whose name ends at `end`, if a part of `key` ends there, too."""
    if end == len(key):
        yield from _at(value)
    elif key[end] == ".":
        yield from _inside(value, key, end + 1, path)


def _at(value: Any) -> Iterator[Any]:
    """Yield the scalars of a place."""
    if isinstance(value, list):
        for item in value:
            yield from _at(item)
    elif not isinstance(value, dict):
        yield value


def gather(
    base: Base,
    load: LoadDocuments,
    columns: Mapping[str, Mapping[bytes, int]],
    facets: Mapping[str, Iterable[str]],
) -> tuple[list[ColumnSearch], list[FacetSearch]]:
    """Collect the texts of several columns and facets in one pass through the documents.

    With each key come texts that are known from before. They need not be right.
    """
    orders = [ColumnSearch(base, name, seeds) for name, seeds in columns.items()]
    spelt = [FacetSearch(base, name, seeds) for name, seeds in facets.items()]
    searches: list[ColumnSearch | FacetSearch] = [*orders, *spelt]
    for is_last in (False, True):
        _read([(search, search.samples(is_last=is_last)) for search in searches], load)
    for search in searches:
        lost = search.owners_of_missing()
        if lost:
            present = _read([(search, np.concatenate(lost))], load)
            for owner in chain.from_iterable(ids.tolist() for ids in search.owners_of_missing()):
                search.patches[owner] = present.get(owner, ())
    return orders, spelt


def _read(
    wanted: Sequence[tuple[ColumnSearch | FacetSearch, U32]], load: LoadDocuments
) -> dict[int, Values]:
    """Let each search note what the documents it wants have; return what they have for the last."""
    values: dict[int, Values] = {}
    who = [(search, frozenset(ids.tolist())) for search, ids in wanted]
    for batch in batches(sorted(frozenset().union(*(ids for _, ids in who))), _BATCH):
        for owner, document in load(batch):
            for search, ids in who:
                if owner in ids:
                    values[owner] = values_of(document, search.name)
                    search.note(values[owner])
    return values
