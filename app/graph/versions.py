"""Versions of one entity, and which of them somebody may see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from app.index.build import IndexRow
from app.index.index import EntityIndex
from app.index.terms import encode_terms
from app.model.query import EVERYTHING, NOTHING, Expression


def visible_versions(
    entity_id: int, ref: str, documents: Mapping[int, bytes], visible: Expression
) -> set[int]:
    """Answer which versions of an entity match, by whatever they are called in `documents`.

    Each is put before an index that holds nothing else, so the meaning is that of every listing.
    """
    if visible == EVERYTHING:
        return set(documents)
    if visible == NOTHING:
        return set()
    shown: dict[str, Any] = {}

    def load(_ids: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        yield entity_id, shown

    index, found = EntityIndex(load), set[int]()
    for turn, (version, document) in enumerate(documents.items(), 1):
        shown = orjson.loads(document)
        row = IndexRow(entity_id, ref, shown["metadata"]["uid"], encode_terms(shown))
        index.apply([(entity_id, row)], turn)
        if entity_id in index.match(visible):
            found.add(version)
    return found
