"""The `filter` parameter of the query string: sets of conditions, any of which may match.

A filter without any condition is ignored, so a parsed filter is never empty. What it asks for is
available twice: as an expression for the index, and as the predicate that a cursor carries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from app.errors import InputError
from app.model.query import EVERYTHING, AnyOf, Expression, Has, In, both

Conditions: TypeAlias = Mapping[str, list[str]]
"""Keys as written and the values they may have; no values: the key has to be there."""

JS_SPACE = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""What `trim` of JavaScript removes; `str.strip` disagrees about six characters."""


_REMEMBERED = 256
_SHORT = 1000


class Filter(NamedTuple):
    """What the filters of a request ask for: for the index, and for a cursor."""

    expression: Expression
    predicate: Mapping[str, Any] | None


def read_filters(texts: Sequence[str]) -> Filter:
    """Read every `filter`; raises `InputError` for a condition without a key.

    Frontends ask with the same few filters again and again, so short ones are remembered.
    """
    if sum(map(len, texts)) <= _SHORT:
        return _remembered(tuple(texts))
    return _read(texts)


def _read(texts: Sequence[str]) -> Filter:
    filters = parse_filters(texts)
    return Filter(filter_expression(filters), filter_predicate(filters))


@lru_cache(_REMEMBERED)
def _remembered(texts: tuple[str, ...]) -> Filter:
    return _read(texts)


def parse_filters(texts: Iterable[str]) -> tuple[Conditions, ...]:
    """Read every `filter`; raises `InputError` for a condition without a key."""
    return tuple(conditions for text in texts if (conditions := _parse(text)))


def _parse(text: str) -> Conditions:
    conditions: dict[str, list[str]] = {}
    for part in text.split(","):
        statement = part.strip(JS_SPACE)
        if not statement:
            continue
        key, equals, value = statement.partition("=")
        key = key.rstrip(JS_SPACE)
        if not key:
            raise InputError(
                f"Invalid filter, '{statement}' is not a valid statement "
                "(expected a string on the form a=b or a= or a)"
            )
        values = conditions.setdefault(key, [])
        if equals:
            values.append(value.lstrip(JS_SPACE))
    return conditions


def filter_expression(filters: tuple[Conditions, ...]) -> Expression:
    """Say what the filters ask for; no filters match everything."""
    sets = tuple(both(*map(_condition, conditions.items())) for conditions in filters)
    if len(sets) == 1:
        return sets[0]
    return AnyOf(sets) if sets else EVERYTHING


def _condition(condition: tuple[str, list[str]]) -> Expression:
    key, values = condition
    key = key.lower()
    return In(key, tuple(value.lower() for value in values)) if values else Has(key)


def filter_predicate(filters: tuple[Conditions, ...]) -> dict[str, Any] | None:
    """Say the same as a predicate, as simple as possible; None if there are no filters."""
    sets = [_one_or("$all", [_field(*pair) for pair in c.items()]) for c in filters]
    return _one_or("$any", sets) if sets else None


def _field(key: str, values: list[str]) -> dict[str, Any]:
    if not values:
        return {key: {"$exists": True}}
    return {key: values[0] if len(values) == 1 else {"$in": values}}


def _one_or(operator: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    return parts[0] if len(parts) == 1 else {operator: parts}
