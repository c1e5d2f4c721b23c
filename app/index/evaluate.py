"""Answering expressions with bitmaps: `app.model.query` over postings and columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import reduce

from pyroaring import FrozenBitMap

from app.index.arrays import bitmap, bitmap_below
from app.index.base import Base
from app.index.blobs import ITEMS, TRUE, key_hash, term_hash
from app.index.columns import Column
from app.index.like import like
from app.index.overlay import Overlay, present_texts
from app.index.recent import Recent
from app.model.query import AllOf, AnyOf, Contains, Expression, Has, HasPrefix, IdIn, In, Not

NOBODY = FrozenBitMap()
_HOT = 64


class Evaluator:
    """Evaluates expressions over one base and its overlay. Its owner does the locking.

    What is found in the base is remembered for as long as the base lives: bitmaps of frequent terms
    and keys, and the results of searches in columns.
    """

    def __init__(self, base: Base, overlay: Overlay, column: Callable[[str], Column]) -> None:
        """Get columns from `column`; whoever asks sees to it that they are there."""
        self._base = base
        self._overlay = overlay
        self._column = column
        self._terms: Recent[int, FrozenBitMap] = Recent(512)
        self._keys: Recent[int, FrozenBitMap] = Recent(128)
        self._found: Recent[HasPrefix | tuple[str, str], FrozenBitMap] = Recent(64)

    def everyone(self) -> FrozenBitMap:
        """All entities."""
        return self._now(self._base.entities.all, self._overlay.alive)

    def evaluate(self, expression: Expression) -> FrozenBitMap:  # noqa: PLR0911 (one each)
        """Find the entities that match."""
        match expression:
            case AllOf(parts):
                return self._all(parts)
            case AnyOf(parts):
                return reduce(lambda a, b: a | b, map(self.evaluate, parts), NOBODY)
            case Not(part):
                return self.everyone() - self.evaluate(part)
            case Has(name):
                key = key_hash(name)
                return self._now(self._with_key(key), self._overlay.with_key(key))
            case In(name, values):
                key = key_hash(name)
                found = (self._with_value(key, value) for value in values)
                return reduce(lambda a, b: a | b, found, NOBODY)
            case HasPrefix(name, prefix):
                return self._with_prefix(name, prefix)
            case Contains(term, names):
                found = (self._containing(term, name) for name in names)
                return reduce(lambda a, b: a | b, found, NOBODY)
            case IdIn(ids):
                return self.everyone() & FrozenBitMap(ids)

    def _all(self, parts: Iterable[Expression]) -> FrozenBitMap:
        found: FrozenBitMap | None = None
        for part in parts:
            matching = self.evaluate(part)
            found = matching if found is None else found & matching
            if not found:
                return NOBODY
        return self.everyone() if found is None else found

    def _now(self, in_base: FrozenBitMap, in_overlay: FrozenBitMap) -> FrozenBitMap:
        if not self._overlay:
            return in_base
        return (in_base - self._overlay.touched) | in_overlay

    def _with_value(self, key: int, value: str) -> FrozenBitMap:
        is_true = value == TRUE
        term = term_hash(key, value)
        found = self._with_term(key, term)
        if is_true:
            found |= self._with_term(ITEMS, key)
        return self._now(found, self._overlay.with_term(key, term, is_true=is_true))

    def _with_term(self, key: int, term: int) -> FrozenBitMap:
        hot = self._terms.get(term)
        if hot is not None:
            return hot
        postings = self._base.postings(key)
        ordinal = postings.find(term)
        if ordinal < 0:
            return NOBODY
        ids = postings.of(ordinal)
        if len(ids) < _HOT:
            return FrozenBitMap(ids.tolist())
        return self._terms.put(term, bitmap(ids))

    def _with_key(self, key: int) -> FrozenBitMap:
        hot = self._keys.get(key)
        if hot is not None:
            return hot
        ids = self._base.postings(key).ids
        found = bitmap_below(self._base.entities.size, ids) | self._with_term(ITEMS, key)
        return self._keys.put(key, found)

    def _with_prefix(self, name: str, prefix: str) -> FrozenBitMap:
        column = self._column(name)
        key = HasPrefix(name, prefix)
        found = self._found.get(key)
        if found is None:
            ids = column.prefixed(prefix)
            found = self._found.put(key, bitmap_below(self._base.entities.size, ids))
        return self._in_column(name, column, found, lambda value: value.startswith(prefix))

    def _containing(self, term: str, name: str) -> FrozenBitMap:
        column = self._column(name)
        pattern = like(term)
        found = self._found.get((term, name))
        if found is None:
            ids = column.with_texts(column.texts.matching(pattern))
            found = self._found.put((term, name), bitmap_below(self._base.entities.size, ids))
        return self._in_column(name, column, found, pattern.matches)

    def _in_column(
        self, name: str, column: Column, in_base: FrozenBitMap, matches: Callable[[str], bool]
    ) -> FrozenBitMap:
        """Add the entities whose texts are not those of the column."""
        found = [
            owner
            for owner, values in present_texts(name, column.patches, self._overlay).items()
            if any(value is not None and matches(value) for value, _ in values)
        ]
        return self._now(in_base, NOBODY) | FrozenBitMap(found)


def columns_of(expression: Expression) -> Iterator[str]:
    """Every key whose column is needed to answer an expression."""
    match expression:
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from columns_of(part)
        case Not(part):
            yield from columns_of(part)
        case HasPrefix(name, _):
            yield name
        case Contains(_, names):
            yield from names
