"""What a reader asks of the catalog: an expression over index terms, an order, a page.

Query-string filters, predicates, full text and permission conditions all become one `Expression`
(CONTRACT 1.7). Keys and values in an expression are already lower-cased; a missing key is never an
error. How wire forms become expressions is the business of `app.catalog`; how expressions are
answered is the business of `app.index`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part matches; no parts match everything."""

    parts: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part matches; no parts match nothing."""

    parts: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not match; an entity without the field does match."""

    part: Expression


@dataclass(frozen=True, slots=True)
class Has:
    """There is an index row for `key`, be its value null or too long to be compared."""

    key: str


@dataclass(frozen=True, slots=True)
class In:
    """The value of `key` is one of `values`; no values match nothing."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HasPrefix:
    """Some value of `key` starts with `prefix`."""

    key: str
    prefix: str


@dataclass(frozen=True, slots=True)
class Contains:
    """`term` is found in some value of one of `keys` (full text), wildcards as in SQL's LIKE."""

    term: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IdIn:
    """The entity is one of these (internal ids)."""

    ids: tuple[int, ...]


Expression: TypeAlias = AllOf | AnyOf | Not | Has | In | HasPrefix | Contains | IdIn

EVERYTHING: Expression = AllOf()
NOTHING: Expression = AnyOf()


def both(*parts: Expression) -> Expression:
    """Join parts that must all match, leaving out those that match everything."""
    kept = tuple(part for part in parts if part != EVERYTHING)
    return kept[0] if len(kept) == 1 else AllOf(kept)


def equals(key: str, value: str) -> Expression:
    """`key` has exactly this value, case aside."""
    return In(key.lower(), (value.lower(),))


@dataclass(frozen=True, slots=True)
class Order:
    """Sort by the lower-cased value of `key`, compared by code point; ties go by uid."""

    key: str
    direction: Literal["asc", "desc"] = "asc"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page begins: just beyond the entry with this value (None: no order) and uid."""

    value: str | None
    uid: str
    backwards: bool = False


class FacetCount(NamedTuple):
    """How many entities have `value` (in its original case) under the facet asked for.

    A tuple, because one answer may hold thousands of them.
    """

    value: str
    count: int  # type: ignore[assignment]  # what it is called on the wire


def keys_of(expression: Expression) -> Iterable[str]:
    """Every key that an expression looks at, repeats included."""
    match expression:
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from keys_of(part)
        case Not(part):
            yield from keys_of(part)
        case Has(key) | In(key, _) | HasPrefix(key, _):
            yield key
        case Contains(_, keys):
            yield from keys
        case IdIn():
            return
