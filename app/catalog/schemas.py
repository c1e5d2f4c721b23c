"""The wire names of what the read endpoints are asked, and the requests made of them.

The schemas are what Backstage's OpenAPI document says, so that the validator's complaints are the
same; what is said here beyond them is what its handlers say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from marshmallow import EXCLUDE, RAISE, Schema, fields, validate

from app.catalog.cursors import Cursor, Listing, TextFilter, Window
from app.catalog.filters import read_filters
from app.catalog.predicates import Predicate, compile_predicate
from app.catalog.projection import Projection, parse_fields
from app.catalog.questions import DEFAULT_LIMIT, ListRequest, PageRequest
from app.errors import InputError
from app.model.query import EVERYTHING, Expression, Order
from app.web.arguments import Delimited

DIRECTIONS: Mapping[str, Literal["asc", "desc"]] = {"asc": "asc", "desc": "desc"}
TOTALS = validate.OneOf(("include", "exclude"))
AT_LEAST_ZERO = validate.Range(min=0)
MOST = 1 << 31
"""No catalog is larger; what is asked beyond is asked in vain, but must not overflow anything."""
MAX_ORDER = 20
"""Fields to order the legacy listing by; each costs as much as a query of its own."""


class NoQuery(Schema):
    """An endpoint that takes no parameters."""


class FilterQuery(Schema):
    """An endpoint whose only parameter is the filter."""

    filters = fields.List(fields.String(), data_key="filter", load_default=())


class EntitiesQuery(FilterQuery):
    """The query string of `GET /entities`."""

    fields_ = Delimited(fields.String(), data_key="fields", load_default=())
    order = fields.List(fields.String(), load_default=())
    limit = fields.Integer(load_default=None, validate=AT_LEAST_ZERO)
    offset = fields.Integer(load_default=None, validate=AT_LEAST_ZERO)
    after = fields.String(load_default=None)


class PageQuery(FilterQuery):
    """The query string of `GET /entities/by-query`."""

    fields_ = Delimited(fields.String(), data_key="fields", load_default=())
    limit = fields.Integer(load_default=DEFAULT_LIMIT, validate=AT_LEAST_ZERO)
    offset = fields.Integer(load_default=0, validate=AT_LEAST_ZERO)
    order = fields.List(fields.String(), data_key="orderField", load_default=())
    cursor = fields.String(load_default=None)
    total_items = fields.String(data_key="totalItems", load_default="include", validate=TOTALS)
    term = fields.String(data_key="fullTextFilterTerm", load_default="")
    term_fields = Delimited(fields.String(), data_key="fullTextFilterFields", load_default=None)


class FacetsQuery(FilterQuery):
    """The query string of `GET /entity-facets`."""

    facets = fields.List(fields.String(), data_key="facet", required=True)


class _Lenient(Schema):
    class Meta(Schema.Meta):
        """Properties that Backstage does not know are no mistake there."""

        unknown = EXCLUDE


class OrderBy(_Lenient):
    """One field of an order."""

    field = fields.String(required=True)
    order = fields.String(required=True, validate=validate.OneOf(("asc", "desc")))


class FullText(_Lenient):
    """A full-text filter."""

    term = fields.String(load_default="")
    fields_ = fields.List(fields.String(), data_key="fields", load_default=None, allow_none=False)


class PageBody(_Lenient):
    """The body of `POST /entities/by-query`."""

    cursor = fields.String(load_default=None, allow_none=False)
    limit = fields.Float(load_default=DEFAULT_LIMIT)
    offset = fields.Float(load_default=0, validate=AT_LEAST_ZERO)
    order = fields.List(fields.Nested(OrderBy), data_key="orderBy", load_default=())
    text = fields.Nested(FullText, data_key="fullTextFilter", load_default=None, allow_none=False)
    fields_ = fields.List(fields.String(), data_key="fields", load_default=())
    total_items = fields.String(data_key="totalItems", load_default="include", validate=TOTALS)
    query = fields.Dict(load_default=None, allow_none=False)


class RefsBody(_Lenient):
    """The body of `POST /entities/by-refs`."""

    refs = fields.List(fields.String(), data_key="entityRefs", required=True)
    fields_ = fields.List(fields.String(), data_key="fields", load_default=())
    query = fields.Dict(load_default=None, allow_none=False)


class FacetsBody(_Lenient):
    """The body of `POST /entity-facets`."""

    facets = fields.List(fields.String(), required=True)
    query = fields.Dict(load_default=None, allow_none=False)


class RefreshBody(Schema):
    """The body of `POST /refresh`, which is strict."""

    class Meta(Schema.Meta):
        """Nothing but these."""

        unknown = RAISE

    ref = fields.String(data_key="entityRef", required=True)
    token = fields.String(data_key="authorizationToken", load_default=None, allow_none=False)


@dataclass(frozen=True, slots=True)
class RefsRequest:
    """Refs to look up, a predicate they have to match, and what to keep of what is found."""

    refs: Sequence[str]
    expression: Expression
    fields: Projection | None


@dataclass(frozen=True, slots=True)
class FacetsRequest:
    """Whose values to count, and among what."""

    facets: Sequence[str]
    expression: Expression


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """What to read again, and the token to do it with instead of the caller's."""

    ref: str
    token: str | None


def filter_request(filters: Sequence[str]) -> Expression:
    """Make the condition of a `filter`."""
    return read_filters(filters).expression


def list_request(**given: Any) -> ListRequest:
    """Make a request of the legacy listing from an `EntitiesQuery`."""
    expression = filter_request(given["filters"])
    projection = parse_fields(given["fields_"])
    order = tuple(map(_legacy_order, given["order"]))
    if len(order) > MAX_ORDER:
        raise InputError(f"More than {MAX_ORDER} order parameters cannot be given")
    limit, offset, after = given["limit"], given["offset"], given["after"]
    if limit is None and offset is None and after is None:
        return ListRequest(expression, order, None, projection)
    if limit == 0:
        raise InputError("Invalid limit, must be greater than zero")
    window = Window(_bounded(offset or 0), None if limit is None else _bounded(limit))
    if after is not None:
        window = window.moved(after)
    return ListRequest(expression, order, window, projection)


def page_from_query(**given: Any) -> PageRequest:
    """Make the request of a page from a `PageQuery`."""
    projection = parse_fields(given["fields_"])
    if given["cursor"] is not None:
        return _page_at(given["cursor"], given["limit"], projection)
    condition = read_filters(given["filters"])
    listing = Listing(
        condition.predicate,
        condition.expression,
        tuple(map(_order, given["order"])),
        _text(given["term"], given["term_fields"]),
    )
    return _first_page(listing, given, projection)


def page_from_body(**given: Any) -> PageRequest:
    """Make the request of a page from a `PageBody`."""
    if given["cursor"] is not None:
        if not given["cursor"]:
            raise InputError("Cursor cannot be empty")
        return _page_at(given["cursor"], given["limit"], _split_fields(given["fields_"]))
    text = given["text"]
    listing = Listing(
        given["query"],
        _predicate(given["query"]),
        tuple(Order(one["field"], one["order"]) for one in given["order"]),
        None if text is None else _text(text["term"], text["fields_"]),
    )
    return _first_page(listing, given, _split_fields(given["fields_"]))


def refs_request(
    refs: Sequence[str], fields_: Sequence[str], query: Predicate | None
) -> RefsRequest:
    """Make a request of entities by refs."""
    return RefsRequest(refs, _predicate(query), parse_fields(fields_))


def facets_from_query(filters: Sequence[str], facets: Sequence[str]) -> FacetsRequest:
    """Make a request of facets from a query string."""
    expression = filter_request(filters)
    return FacetsRequest(_named(facets, "Missing facet parameter"), expression)


def facets_from_body(facets: Sequence[str], query: Predicate | None) -> FacetsRequest:
    """Make a request of facets from a body."""
    named = _named(facets, "Missing or empty facets parameter")
    return FacetsRequest(named, _predicate(query))


def refresh_request(ref: str, token: str | None) -> RefreshRequest:
    """Make a request to read an entity again; its ref may be written in any case."""
    return RefreshRequest(ref.lower(), token)


def _page_at(text: str, limit: float, projection: Projection | None) -> PageRequest:
    cursor = Cursor.decode(text)
    return PageRequest(cursor.listing, _bounded(limit), cursor=cursor, fields=projection)


def _first_page(
    listing: Listing, given: Mapping[str, Any], projection: Projection | None
) -> PageRequest:
    return PageRequest(
        listing,
        _bounded(given["limit"]),
        _bounded(given["offset"]),
        counts_total=given["total_items"] == "include",
        fields=projection,
    )


def _predicate(query: Predicate | None) -> Expression:
    return EVERYTHING if query is None else compile_predicate(query)


def _text(term: str, fields_: Sequence[str] | None) -> TextFilter:
    return TextFilter(term, None if fields_ is None else tuple(fields_))


def _split_fields(texts: Sequence[str]) -> Projection | None:
    """Read the fields in a body that may be written as in a query string."""
    return parse_fields(part for text in texts for part in text.split(","))


def _legacy_order(text: str) -> Order:
    direction, _, field = text.partition(":")
    if direction not in DIRECTIONS or not field or "\n" in field:
        raise InputError(f'Invalid order parameter "{text}", expected "<asc or desc>:<field name>"')
    return Order(field, DIRECTIONS[direction])


def _order(text: str) -> Order:
    field, *rest = text.split(",")
    direction = DIRECTIONS.get(rest[0] if rest else "asc")
    if direction is None:
        raise InputError("Invalid order field order, must be asc or desc")
    return Order(field, direction)


def _named(facets: Sequence[str], complaint: str) -> list[str]:
    named = [facet for facet in facets if facet]
    if not named:
        raise InputError(complaint)
    return named


def _bounded(count: float) -> int:
    return max(0, min(int(count), MOST))
