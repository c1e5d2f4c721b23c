"""The read index: every listing, filter, facet and search of the catalog is answered here.

Threads: any number of readers, one applier, one merger. Answers are short and hold one lock; what
takes long (reading documents for a column, building a base) is done outside of it, on arrays that
never change, and then put in place under the lock. `apply` is atomic: a reader sees all changes of a
call or none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import Lock, RLock

import numpy as np
from pyroaring import FrozenBitMap

from app.index.arrays import U32, Mask, mask
from app.index.base import Base, Entities
from app.index.build import IndexRow, build, rebuild
from app.index.columns import Field, make_column, make_facet_column
from app.index.counting import count_values
from app.index.evaluate import Evaluator
from app.index.gather import LoadDocuments, Seeds, gather, values_of
from app.index.library import Library, Wanted
from app.index.like import like
from app.index.listing import SortField, sort_rows
from app.index.memory import release_memory
from app.index.overlay import Overlay
from app.index.recent import Recent
from app.index.text import utf8
from app.index.views import Page, View, field_view, read_ids, read_page, ref_view, uid_view
from app.model.query import Contains, Expression, FacetCount, HasPrefix, Order, Position, parts_of

_MERGE_SHARE = 100
_MERGE_LEAST = 1000
_COLUMN_ROOM = 64_000_000


class EntityIndex:
    """All entities, found by what is in them. Keys and values are given in lower case."""

    def __init__(self, load_documents: LoadDocuments, *, column_room: int = _COLUMN_ROOM) -> None:
        """Start empty. Columns that were not warmed may take up to `column_room` bytes."""
        self._load_documents = load_documents
        self._lock = RLock()
        self._reading = Lock()
        self._merging = Lock()
        self._seq = 0
        self._base = build(())
        self._overlay = Overlay()
        self._library = Library(column_room)
        self._column_room = column_room
        self._forget_answers()

    def _forget_answers(self, *, is_new_base: bool = True) -> None:
        if is_new_base:
            self._evaluator = Evaluator(self._base, self._overlay, self._library.columns)
        self._matches: Recent[Expression, FrozenBitMap] = Recent(64)
        self._views: dict[str | None, View] = {}
        self._masks: Recent[tuple[int, int], tuple[FrozenBitMap, FrozenBitMap, Mask]] = Recent(8)
        self._facets: Recent[tuple[str, int], tuple[FrozenBitMap | None, list[FacetCount]]] = (
            Recent(256)
        )
