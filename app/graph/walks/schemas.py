"""The wire names of what may be asked about connections, and the questions made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from app.catalog.filters import read_filters
from app.catalog.predicates import compile_predicate
from app.catalog.projection import parse_fields
from app.errors import InputError
from app.graph.walks.questions import (
    DEFAULT_LIMIT,
    IMPACT,
    Choice,
    Follow,
    GraphQuery,
    PathQuery,
    Shown,
    canonical,
)
from app.model.query import both
from app.web.arguments import Delimited

MOST_NODES = 1000
MOST_PATHS = 100
_DIRECTIONS = validate.OneOf(("outgoing", "incoming", "both"))
_ALL = "*"


class RelationTypes(fields.Field[Any]):
    """`"*"`, or a list of types."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[str, ...]:
        if value == _ALL:
            return ()
        if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            return () if _ALL in value else tuple(value)
        raise ValidationError('must be "*" or a list of relation types')


class Filters(fields.Field[Any]):
    """One filter, or a list of which one has to match."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[str, ...]:
        values = [value] if isinstance(value, str) else value
        if isinstance(values, list) and all(isinstance(item, str) for item in values):
            return tuple(values)
        raise ValidationError("must be a filter or a list of filters")


class ChoiceSchema(Schema):
    """Which entities: all conditions that are given have to hold."""

    filter = Filters(load_default=None)
    query = fields.Dict(load_default=None, allow_none=False)
    refs = fields.List(fields.String(), load_default=None, allow_none=False)


class FollowSchema(Schema):
    """Which relations to follow."""

    types = RelationTypes(load_default=())
    direction = fields.String(load_default="outgoing", validate=_DIRECTIONS)


class DepthSchema(Schema):
    """How far away an entity may be."""

    least = fields.Integer(data_key="min", load_default=1, validate=validate.Range(0))
    most = fields.Integer(data_key="max", load_default=None, validate=validate.Range(0))


class GraphQueryBody(Schema):
    """The body of `POST /query`."""

    start = fields.Nested(ChoiceSchema, required=True)
    follow = fields.List(fields.Nested(FollowSchema), load_default=None, allow_none=False)
    depth = fields.Nested(DepthSchema, load_default=None, allow_none=False)
    end = fields.Nested(ChoiceSchema, load_default=None, allow_none=False)
    limit = fields.Integer(load_default=DEFAULT_LIMIT, validate=validate.Range(1, MOST_NODES))
    cursor = fields.String(load_default=None, allow_none=False)
    fields_ = fields.List(fields.String(), data_key="fields", load_default=())
    edges = fields.Boolean(load_default=False)
    as_of = fields.String(data_key="asOf", load_default=None, allow_none=False)


class _WalkQuery(Schema):
    types = Delimited(fields.String(), load_default=())
    limit = fields.Integer(load_default=DEFAULT_LIMIT, validate=validate.Range(1, MOST_NODES))
    cursor = fields.String(load_default=None)
    fields_ = Delimited(fields.String(), data_key="fields", load_default=())
    edges = fields.Boolean(load_default=False)
    as_of = fields.String(data_key="asOf", load_default=None)


class NeighboursQuery(_WalkQuery):
    """The query string of an entity's neighbours."""

    direction = fields.String(load_default="outgoing", validate=_DIRECTIONS)
    depth = fields.Integer(load_default=1, validate=validate.Range(1))


class ImpactQuery(_WalkQuery):
    """The query string of an entity's impact."""

    depth = fields.Integer(load_default=None, validate=validate.Range(1))


class PathsQuery(Schema):
    """The query string of the paths between two entities."""

    origin = fields.String(data_key="from", required=True)
    target = fields.String(data_key="to", required=True)
    types = Delimited(fields.String(), load_default=())
    direction = fields.String(load_default="outgoing", validate=_DIRECTIONS)
    depth = fields.Integer(load_default=None, validate=validate.Range(0))
    limit = fields.Integer(load_default=10, validate=validate.Range(1, MOST_PATHS))
    as_of = fields.String(data_key="asOf", load_default=None)


def graph_query(**given: Any) -> GraphQuery:
    """Make the question of a `GraphQueryBody`."""
    start = _choice(given["start"])
    if start == Choice():
        raise InputError("request/body/start must have a filter, a query or refs")
    follow = given["follow"]
    depth = given["depth"] or {"least": 1, "most": 1}
    return GraphQuery(
        start,
        (Follow(),) if follow is None else tuple(Follow(**one) for one in follow),
        (int(depth["least"]), None if depth["most"] is None else int(depth["most"])),
        None if given["end"] is None else _choice(given["end"]),
        _shown(given),
        given["as_of"],
    )


def neighbours_of(ref: str, given: Mapping[str, Any]) -> GraphQuery:
    """Make the question of a `NeighboursQuery`."""
    follow = Follow(_types(given["types"]), given["direction"])
    depth = (1, given["depth"])
    return GraphQuery(_only(ref), (follow,), depth, None, _shown(given), given["as_of"])


def impact_of(ref: str, given: Mapping[str, Any]) -> GraphQuery:
    """Make the question of an `ImpactQuery`."""
    follow = Follow(_types(given["types"]) if given["types"] else tuple(sorted(IMPACT)))
    depth = (1, given["depth"])
    return GraphQuery(_only(ref), (follow,), depth, None, _shown(given), given["as_of"])


def path_query(**given: Any) -> PathQuery:
    """Make the question of a `PathsQuery`."""
    return PathQuery(
        canonical(given["origin"]),
        canonical(given["target"]),
        Follow(_types(given["types"]), given["direction"]),
        given["depth"],
        given["limit"],
        given["as_of"],
    )


def _only(ref: str) -> Choice:
    return Choice(refs=(canonical(ref),))


def _types(given: Sequence[str]) -> tuple[str, ...]:
    return () if _ALL in given else tuple(given)


def _choice(given: Mapping[str, Any]) -> Choice:
    filters, query, refs = given["filter"], given["query"], given["refs"]
    expression = both(
        *(() if filters is None else (read_filters(filters).expression,)),
        *(() if query is None else (compile_predicate(query),)),
    )
    return Choice(expression, None if refs is None else tuple(map(canonical, refs)))


def _shown(given: Mapping[str, Any]) -> Shown:
    names = given["fields_"]
    fields_ = None if _ALL in names else parse_fields(names)
    return Shown(
        int(given["limit"]),
        given["cursor"],
        bool(names),
        fields_,
        given["edges"],
    )
