"""Answering expressions about one document on its own, as the index would about an entity.

What changed once, and what is there no more, is in no index. The specification is the same,
`app.index.terms.index_rows`; a test holds the answers equal to those of the index.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from app.index.like import like
from app.index.terms import DuplicateKeysError, index_rows
from app.model.query import AllOf, AnyOf, Contains, Expression, Has, HasPrefix, IdIn, In, Not


class Single:
    """One entity as it is, or was, served; prepared once, it may be asked often."""

    __slots__ = ("_id", "_values")

    def __init__(self, document: Mapping[str, Any], entity_id: int) -> None:
        """Prepare a document; one that cannot be searched has no values."""
        self._id = entity_id
        self._values: dict[str, list[str]] = {}
        try:
            rows = index_rows(document)
        except DuplicateKeysError:
            rows = []
        for key, value, _ in rows:
            values = self._values.setdefault(key, [])
            if value is not None:
                values.append(value)

    def matches(self, expression: Expression) -> bool:  # noqa: PLR0911 (one each)
        """Tell whether the entity matches."""
        match expression:
            case AllOf(parts):
                return all(map(self.matches, parts))
            case AnyOf(parts):
                return any(map(self.matches, parts))
            case Not(part):
                return not self.matches(part)
            case Has(key):
                return key in self._values
            case In(key, wanted):
                return any(value in wanted for value in self._of(key))
            case HasPrefix(key, prefix):
                return any(value.startswith(prefix) for value in self._of(key))
            case Contains(term, keys):
                pattern = like(term)
                return any(pattern.matches(value) for key in keys for value in self._of(key))
            case IdIn(ids):
                return self._id in ids

    def _of(self, key: str) -> Iterable[str]:
        return self._values.get(key, ())
