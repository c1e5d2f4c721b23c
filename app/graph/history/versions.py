"""Versions of one entity, and which of them somebody may see."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from app.index.single import Single
from app.model.query import EVERYTHING, NOTHING, Expression


def visible_versions(
    entity_id: int, documents: Mapping[int, bytes], visible: Expression
) -> set[int]:
    """Answer which versions of an entity match, by whatever they are called in `documents`."""
    if visible == EVERYTHING:
        return set(documents)
    if visible == NOTHING:
        return set()
    return {
        version
        for version, document in documents.items()
        if Single(orjson.loads(document), entity_id).matches(visible)
    }
