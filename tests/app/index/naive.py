"""The index as it would be if time did not matter: every question asked of every entity."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any

from app.index.build import IndexRow
from app.index.terms import Row, encode_terms, index_rows
from app.index.views import Entry, Page
from app.model.query import (
    AllOf,
    AnyOf,
    Contains,
    Expression,
    FacetCount,
    Has,
    HasPrefix,
    IdIn,
    In,
    Not,
    Order,
    Position,
)


class Naive:
    """Entities by id, as `(ref, uid, document)`."""

    def __init__(self) -> None:
        self.entities: dict[int, tuple[str, str, dict[str, Any]]] = {}
        self._rows: dict[int, tuple[dict[str, Any], list[Row]]] = {}

    def row(self, owner: int) -> IndexRow:
        ref, uid, document = self.entities[owner]
        return IndexRow(owner, ref, uid, encode_terms(document))

    def rows(self) -> list[IndexRow]:
        return [self.row(owner) for owner in self.entities]

    def load_documents(self, ids: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        for owner in reversed(ids):
            if owner in self.entities:
                yield owner, self.entities[owner][2]

    def values(self, owner: int, key: str) -> list[tuple[str | None, str | None]]:
        rows = self.index_rows(owner)
        return [(value, original) for name, value, original in rows if name == key]

    def index_rows(self, owner: int) -> list[Row]:
        document = self.entities[owner][2]
        known = self._rows.get(owner)
        if known is None or known[0] is not document:
            known = self._rows[owner] = document, index_rows(document)
        return known[1]

    def match(self, expression: Expression) -> set[int]:
        return {owner for owner in self.entities if self._matches(owner, expression)}

    def _matches(self, owner: int, expression: Expression) -> bool:  # noqa: PLR0911 (one each)
        match expression:
            case AllOf(parts):
                return all(self._matches(owner, part) for part in parts)
            case AnyOf(parts):
                return any(self._matches(owner, part) for part in parts)
            case Not(part):
                return not self._matches(owner, part)
            case Has(key):
                return bool(self.values(owner, key))
            case In(key, values):
                return any(
                    value in values for value, _ in self.values(owner, key) if value is not None
                )
            case HasPrefix(key, prefix):
                values = [value for value, _ in self.values(owner, key) if value is not None]
                return any(value.startswith(prefix) for value in values)
            case Contains(term, keys):
                return any(
                    value is not None and is_like(term, value)
                    for key in keys
                    for value, _ in self.values(owner, key)
                )
            case IdIn(ids):
                return owner in ids

    def entries(self, selection: Iterable[int], order: Order | None) -> list[Entry]:
        entries = []
        for owner in set(selection) & self.entities.keys():
            uid = self.entities[owner][1]
            if order is None:
                entries.append(Entry(owner, None, uid))
            else:
                values = [value for value, _ in self.values(owner, order.key)]
                entries += [Entry(owner, value, uid) for value in values if value is not None]
        entries.sort(key=_place, reverse=order is not None and order.direction == "desc")
        return entries

    def page(  # noqa: PLR0913, PLR0917 (as the index has it)
        self,
        selection: Iterable[int],
        order: Order | None,
        limit: int,
        offset: int = 0,
        position: Position | None = None,
        term: str | None = None,
    ) -> Page:
        entries = self.entries(selection, order)
        if term is not None and order is not None:
            entries = [entry for entry in entries if is_like(term, entry.value or "")]
        is_backwards = False
        if position is not None:
            is_backwards = position.backwards
            is_upwards = (order is None or order.direction == "asc") != is_backwards
            start = (position.value if order else "", position.uid)
            entries = [
                entry
                for entry in entries
                if (_place(entry) > start if is_upwards else _place(entry) < start)
            ]
        if is_backwards:
            entries.reverse()
        found = entries[offset : offset + limit]
        if is_backwards:
            found.reverse()
        return Page(tuple(found), len(entries) > offset + limit)

    def sorted_ids(self, selection: Iterable[int], orders: Sequence[Order]) -> list[int]:
        lines = []
        for owner in sorted(selection, key=lambda one: self.entities[one][1]):
            columns = [self.values(owner, order.key) or [(None, None)] for order in orders]
            lines += [([value for value, _ in values], owner) for values in product(*columns)]
        for place, order in reversed(list(enumerate(orders))):
            given = [line for line in lines if line[0][place] is not None]
            given.sort(key=lambda line: line[0][place], reverse=order.direction == "desc")
            if order.direction == "desc":  # a reversed sort is stable, too
                given.sort(key=lambda line: line[0][place], reverse=True)
            lines = given + [line for line in lines if line[0][place] is None]
        return [owner for _, owner in lines]

    def by_ref(self, selection: Iterable[int]) -> list[int]:
        return sorted(selection, key=lambda owner: self.entities[owner][0])

    def total(self, selection: Iterable[int], order: Order | None) -> int:
        return len({entry.id for entry in self.entries(selection, order)})

    def facets(
        self, keys: Sequence[str], selection: Iterable[int] | None
    ) -> dict[str, list[FacetCount]]:
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        owners = self.entities if selection is None else set(selection) & self.entities.keys()
        for owner in owners:
            for name, _, original in self.index_rows(owner):
                if original is not None:
                    counts[name][original] += 1
        return {
            key: [
                FacetCount(value, counts[key.lower()][value])
                for value in sorted(counts[key.lower()], key=lambda text: text.encode("utf-16-be"))
            ]
            for key in keys
        }


def _place(entry: Entry) -> tuple[str, str]:
    return entry.value or "", entry.uid


def is_like(term: str, value: str) -> bool:
    pattern = ""
    escaped = False
    for character in f"%{term}%":
        if escaped:
            pattern, escaped = pattern + re.escape(character), False
        elif character == "\\":
            escaped = True
        else:
            pattern += {"%": ".*", "_": "."}.get(character, re.escape(character))
    return re.fullmatch(pattern, value, re.DOTALL) is not None
