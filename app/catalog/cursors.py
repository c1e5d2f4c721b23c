"""Cursors of `by-query` and of the legacy listing: base64 of JSON, as Backstage's client reads it.

The client looks for a `query` inside a cursor to decide between GET and POST. Everything in it may
have been made up by whoever sends it, so it is checked like any other input and never trusted with
what its sender may see.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.catalog.filters import JS_SPACE
from app.catalog.predicates import Predicate, compile_predicate
from app.errors import InputError
from app.model.query import EVERYTHING, NOTHING, Contains, Expression, Order, both

MAX_CURSOR = 128 * 1024
"""The longest cursor that is looked at; request bodies and lines are shorter anyway."""

_TO_STANDARD = str.maketrans("-_ ", "+/+")  # a space is a plus that was not percent-encoded
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_DEFAULT_TEXT_KEY = "metadata.uid"


@dataclass(frozen=True, slots=True)
class TextFilter:
    """A full-text filter as asked for; without fields it looks at the order field."""

    term: str = ""
    fields: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """What is paged through: the same from the first page to the last.

    `expression` says for the index what `query` says for the cursor. `order` is kept as asked for,
    though only its first field counts. `as_of` is the sequence number of a listing of the past.
    """

    query: Predicate | None = None
    expression: Expression = EVERYTHING
    order: tuple[Order, ...] = ()
    text: TextFilter | None = None
    as_of: int | None = None

    @property
    def sorting(self) -> Order | None:
        """The order that counts, by its key in the index."""
        if not self.order:
            return None
        first = self.order[0]
        return Order(first.key.lower(), first.direction)

    @property
    def text_term(self) -> str:
        """What to look for, empty if there is no full-text filter."""
        return self.text.term.strip(JS_SPACE).lower() if self.text else ""

    @property
    def text_keys(self) -> tuple[str, ...]:
        """Where to look for it."""
        if self.text and self.text.fields is not None:
            return tuple(name.lower() for name in self.text.fields)
        return (self.order[0].key.lower() if self.order else _DEFAULT_TEXT_KEY,)

    @property
    def searches_sorted_values(self) -> bool:
        """Tell whether the text has to be in the very value an entry is sorted by.

        That is so when the order field is all that is searched, and makes a difference for fields
        with several values.
        """
        if not self.order or not self.text_term or not self.text:
            return False
        key = self.order[0].key.lower()
        return self.text.fields is None or self.text.fields == (key,)

    def selection(self) -> Expression:
        """Everything that an entity has to satisfy, the full-text filter included."""
        term = self.text_term
        if not term:
            return self.expression
        keys = self.text_keys
        return both(self.expression, Contains(term, keys)) if keys else NOTHING


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a listing: just beyond `values`, which are `[value, uid]`, or `[uid]` unordered.

    `first` are the values of the very first entry: no page precedes the one that begins with them.
    """

    listing: Listing
    values: tuple[str, ...]
    first: tuple[str, ...] | None
    total_items: int | float = 0
    is_previous: bool = field(default=False, kw_only=True)

    def encode(self) -> str:
        """Write the cursor as clients carry it."""
        listing, parts = self.listing, dict[str, Any]()
        parts["orderFields"] = [{"field": o.key, "order": o.direction} for o in listing.order]
        parts["isPrevious"] = self.is_previous
        if listing.query is not None:
            parts["query"] = listing.query
        if listing.text is not None:
            parts["fullTextFilter"] = _text_json(listing.text)
        parts["orderFieldValues"] = self.values
        if self.first is not None:
            parts["firstSortFieldValues"] = self.first
        parts["totalItems"] = self.total_items
        if listing.as_of is not None:
            parts["asOf"] = listing.as_of
        return b64encode(orjson.dumps(parts)).decode("ascii")

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """Read a cursor; raises `InputError` whatever is wrong with it."""
        try:
            return _Reader(base64_json(text)).cursor()
        except ValueError as problem:
            raise InputError(f"Malformed cursor: {problem}") from None


def base64_json(text: str) -> dict[str, Any]:
    """Read base64 as leniently as Node does, and the JSON object inside; raises `ValueError`."""
    if len(text) > MAX_CURSOR:
        raise ValueError(f"longer than {MAX_CURSOR} characters")
    standard = text.partition("=")[0].translate(_TO_STANDARD)
    if not _BASE64.issuperset(standard):
        standard = "".join(filter(_BASE64.__contains__, standard))
    whole = standard[: len(standard) - (len(standard) % 4 == 1)]
    try:
        value = orjson.loads(b64decode(whole + "=" * (-len(whole) % 4)))
    except ValueError:
        raise ValueError("not base64-encoded JSON") from None
    if not isinstance(value, dict):
        raise ValueError("Expected object")  # noqa: TRY004 (one kind of error for one kind of input)
    return value


def _text_json(text: TextFilter) -> dict[str, Any]:
    return (
        {"term": text.term} if text.fields is None else {"term": text.term, "fields": text.fields}
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the parts of a cursor, naming the part that is wrong in a `ValueError`."""

    parts: Mapping[str, Any]

    def cursor(self) -> Cursor:
        if "filter" in self.parts:
            raise ValueError("filter is not supported, please start from the first page")
        order = self._order()
        query = self.parts.get("query")
        listing = Listing(query, self._expression(), order, self._text(), self._as_of())
        is_previous = self.parts.get("isPrevious")
        if not isinstance(is_previous, bool):
            raise _expected("isPrevious", "a boolean")
        values = self._strings("orderFieldValues", self.parts.get("orderFieldValues"))
        if len(values) != (2 if order else 1):
            raise _expected("orderFieldValues", "a value and a uid" if order else "a uid")
        return Cursor(listing, values, self._first(), self._total(), is_previous=is_previous)

    def _order(self) -> tuple[Order, ...]:
        given = self.parts.get("orderFields")
        if not isinstance(given, list):
            raise _expected("orderFields", "an array")
        return tuple(_order(place, item) for place, item in enumerate(given))

    def _expression(self) -> Expression:
        if "query" not in self.parts:
            return EVERYTHING
        query = self.parts["query"]
        if not isinstance(query, dict):
            raise _expected("query", "an object")
        try:
            return compile_predicate(query, "query")
        except InputError as problem:
            raise ValueError(str(problem)) from None

    def _text(self) -> TextFilter | None:
        given = self.parts.get("fullTextFilter")
        if given is None:
            return None
        if not isinstance(given, dict) or not isinstance(given.get("term"), str):
            raise _expected("fullTextFilter", "an object with a term")
        fields = given.get("fields")
        if fields is None:
            return TextFilter(given["term"])
        return TextFilter(given["term"], self._strings("fullTextFilter.fields", fields))

    def _as_of(self) -> int | None:
        given = self.parts.get("asOf")
        if given is not None and not _is_count(given):
            raise _expected("asOf", "a sequence number")
        return given

    def _first(self) -> tuple[str, ...] | None:
        given = self.parts.get("firstSortFieldValues")
        return None if given is None else self._strings("firstSortFieldValues", given)

    def _total(self) -> int | float:
        total = self.parts.get("totalItems", 0)
        if isinstance(total, bool) or not isinstance(total, (int, float)):
            raise _expected("totalItems", "a number")
        return total

    @staticmethod
    def _strings(name: str, given: Any) -> tuple[str, ...]:
        if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
            raise _expected(name, "an array of strings")
        return tuple(given)


def _order(place: int, given: Any) -> Order:
    if isinstance(given, dict) and isinstance(given.get("field"), str):
        direction = given.get("order")
        if direction == "asc" or direction == "desc":  # noqa: PLR1714 (mypy narrows only these)
            return Order(given["field"], direction)
    raise _expected(f"orderFields[{place}]", "a field and an order that is asc or desc")


def _expected(name: str, what: str) -> ValueError:
    return ValueError(f"Expected {name} to be {what}")


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of the legacy listing is wanted; no limit means all that follows."""

    offset: int = 0
    limit: int | None = None

    def after(self) -> str | None:
        """Write the `after` of the window that follows, if there can be one."""
        if self.limit is None:
            return None
        following = {"limit": self.limit, "offset": self.offset + self.limit}
        return b64encode(orjson.dumps(following)).decode("ascii")

    def moved(self, after: str) -> Window:
        """Go where an `after` says; what it leaves out stays. Raises `InputError`."""
        try:
            parts = base64_json(after)
        except ValueError:
            raise InputError("Malformed after cursor, could not be parsed") from None
        limit, offset = parts.get("limit", self.limit), parts.get("offset", self.offset)
        if limit is not None and not _is_count(limit, least=1):
            raise InputError("Malformed after cursor, limit was not an number")
        if not _is_count(offset):
            raise InputError("Malformed after cursor, offset was not a number")
        return Window(offset, limit)


def _is_count(value: Any, least: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 1 << 62


def page_cursors(
    here: Cursor | None,
    listing: Listing,
    rows: Sequence[tuple[str, ...]],
    total: float,
    *,
    has_more: bool,
) -> dict[str, str]:
    """Make the cursors beside a page whose entries have these sort values.

    `here` is the cursor the page was asked for with. Going backwards there is always a next page:
    the one that was come from.
    """
    cursors: dict[str, str] = {}
    if not rows:
        return cursors
    first = here.first if here and here.first is not None else rows[0]
    if has_more or (here is not None and here.is_previous):
        cursors["nextCursor"] = Cursor(listing, rows[-1], first, total).encode()
    if here is not None and here.first is not None and rows[0] != here.first:
        previous = Cursor(listing, rows[0], first, total, is_previous=True)
        cursors["prevCursor"] = previous.encode()
    return cursors
