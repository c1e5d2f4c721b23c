"""A naive evaluator of expressions over the index rows of one entity."""

from collections.abc import Iterable
from typing import Any

from app.index.like import like
from app.index.terms import index_rows
from app.model.query import AllOf, AnyOf, Contains, Expression, Has, HasPrefix, IdIn, In, Not


def matches(expression: Expression, entity: dict[str, Any], entity_id: int = 0) -> bool:
    rows = {(key, value) for key, value, _ in index_rows(entity)}
    return _matches(expression, rows, entity_id)


def _matches(  # noqa: PLR0911
    expression: Expression, rows: set[tuple[str, str | None]], entity_id: int
) -> bool:
    match expression:
        case AllOf(parts):
            return all(_matches(part, rows, entity_id) for part in parts)
        case AnyOf(parts):
            return any(_matches(part, rows, entity_id) for part in parts)
        case Not(part):
            return not _matches(part, rows, entity_id)
        case Has(key):
            return any(key == found for found, _ in rows)
        case In(key, values):
            return any(value in values for value in _values(rows, key))
        case HasPrefix(key, prefix):
            return any(value.startswith(prefix) for value in _values(rows, key))
        case Contains(term, keys):
            return any(like(term).matches(v) for key in keys for v in _values(rows, key))
        case IdIn(ids):
            return entity_id in ids
    raise AssertionError(expression)


def _values(rows: Iterable[tuple[str, str | None]], key: str) -> list[str]:
    return [value for found, value in rows if found == key and value is not None]
