"""The wire names of what the change feed is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from marshmallow import RAISE, Schema, fields, validate

from app.catalog.predicates import Predicate, compile_predicate
from app.catalog.projection import parse_fields
from app.catalog.schemas import filter_request
from app.errors import InputError
from app.graph.changes.change import Lens
from app.graph.changes.feed import MOST_ITEMS, USUAL_ITEMS
from app.model.query import NOTHING, Expression, both
from app.web.arguments import Delimited

ENTITY, REF = "entity", "ref"
# The largest number there will ever be.
_MOST = (1 << 53) - 1
_SINCE = validate.Range(min=0, max=_MOST)
_LIMIT = validate.Range(min=1, max=MOST_ITEMS)
_INCLUDE = validate.OneOf((ENTITY, REF))
_LIKE_A_NUMBER = 16


class StreamQuery(Schema):
    """The query string of `GET /changes/stream`."""

    since = fields.Integer(load_default=None, validate=_SINCE)
    filters = fields.List(fields.String(), data_key="filter", load_default=())
    fields_ = Delimited(fields.String(), data_key="fields", load_default=())
    include = fields.String(load_default=ENTITY, validate=_INCLUDE)


class ChangesQuery(StreamQuery):
    """The query string of `GET /changes`."""

    limit = fields.Integer(load_default=USUAL_ITEMS, validate=_LIMIT)


class ChangesBody(Schema):
    """The body of `POST /changes`, which is strict."""

    class Meta(Schema.Meta):
        """Nothing but these."""

        unknown = RAISE

    since = fields.Integer(load_default=None, allow_none=False, validate=_SINCE)
    query = fields.Dict(load_default=None, allow_none=False)
    fields_ = fields.List(fields.String(), data_key="fields", load_default=())
    include = fields.String(load_default=ENTITY, validate=_INCLUDE)
    limit = fields.Integer(load_default=USUAL_ITEMS, validate=_LIMIT)


@dataclass(frozen=True, slots=True)
class ChangesRequest:
    """Where to begin (None: with what comes next), what to show, and how much at once."""

    since: int | None
    lens: Lens
    limit: int

    def seen(self, visible: Expression) -> Lens:
        """Answer the lens of a caller who is held to an expression."""
        lens = self.lens
        part = NOTHING if visible == NOTHING else both(visible, lens.expression)
        return Lens(part, lens.fields, lens.has_entity)


def changes_request(  # noqa: PLR0913, PLR0917 (one for each parameter)
    since: int | None,
    fields_: Sequence[str],
    include: str,
    filters: Sequence[str] = (),
    query: Predicate | None = None,
    limit: float = USUAL_ITEMS,
) -> ChangesRequest:
    """Make a request of a `StreamQuery`, a `ChangesQuery` or a `ChangesBody`."""
    expression = filter_request(filters)
    if query is not None:
        expression = compile_predicate(query)
    lens = Lens(expression, parse_fields(fields_), include == ENTITY)
    return ChangesRequest(None if since is None else int(since), lens, int(limit))


def last_event_id(text: str | None, since: int | None) -> int | None:
    """Answer where to begin: what an interrupted stream had sent last counts more than `since`."""
    if not text:
        return since
    if not (text.isascii() and text.isdigit() and len(text) <= _LIKE_A_NUMBER):
        raise InputError("Last-Event-ID is not the id of an event of this stream")
    return int(text)
