"""`/api/graph/changes`: what happened to the entities, page by page or as it happens."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Request, Response, request

from app.catalog.replies import everything
from app.catalog.schemas import NoQuery
from app.graph.changes import schemas
from app.graph.changes.feed import Bounds
from app.graph.changes.schemas import ChangesRequest, changes_request, last_event_id
from app.graph.changes.stream import ChangeStreams
from app.model.query import Expression
from app.web.arguments import BodyReader, QueryReader
from app.web.identity import caller
from app.web.principals import UserPrincipal
from app.web.responses import json_bytes
from app.web.streams import event_stream

EVENTS = "text/event-stream"
_NO_QUERY: QueryReader[object] = QueryReader(NoQuery, dict)


def add_change_routes(
    routes: Blueprint,
    streams: ChangeStreams,
    visible: Callable[[Request], Expression] = everything,
) -> None:
    """Add the endpoints; `visible` tells what a caller is held to."""
    page_query = QueryReader(schemas.ChangesQuery, changes_request)
    page_body = BodyReader(schemas.ChangesBody, changes_request)
    stream_query = QueryReader(schemas.StreamQuery, changes_request)

    def page(wanted: ChangesRequest) -> Response:
        lens = wanted.seen(visible(request))
        since = streams.feed.start(None) if wanted.since is None else wanted.since
        found = streams.feed.page(since, lens, Bounds(items=wanted.limit))
        return json_bytes(found.json())

    def stream(wanted: ChangesRequest) -> Response:
        since = streams.feed.start(
            last_event_id(request.headers.get("Last-Event-ID"), wanted.since)
        )
        principal = caller(request)
        ends_at = principal.expires_at if isinstance(principal, UserPrincipal) else 0.0
        return event_stream(streams.events(since, wanted.seen(visible(request)), ends_at or None))

    @routes.get("/changes")
    def get_changes() -> Response:
        wanted = page_query.read(request)
        wants_events = EVENTS in request.headers.get("Accept", "")
        return stream(wanted) if wants_events else page(wanted)

    @routes.post("/changes")
    def query_changes() -> Response:
        wanted = page_body.read(request)
        _NO_QUERY.read(request)
        return page(wanted)

    @routes.get("/changes/stream")
    def stream_changes() -> Response:
        return stream(stream_query.read(request))
