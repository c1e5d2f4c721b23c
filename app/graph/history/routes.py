"""`/api/graph`, the history: what became of an entity, what differs, and taking it back."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response, request

from app.catalog.permissions import Check, Permission, everyone_may
from app.catalog.replies import Sight
from app.errors import NotAllowedError
from app.graph.history import schemas
from app.graph.history.service import History
from app.graph.history.undo import Undo
from app.model.ref import EntityRef
from app.web.arguments import QueryReader
from app.web.identity import caller
from app.web.responses import json_response


@dataclass(frozen=True, slots=True)
class HistoryServices:
    """What the routes need. `may` tells whether a caller has a permission."""

    history: History
    undo: Undo
    may: Check = everyone_may


def add_history_routes(routes: Blueprint, services: HistoryServices, sight: Sight) -> None:
    """Add the endpoints; `sight` tells what callers see."""
    history_query = QueryReader(schemas.HistoryQuery, schemas.history_request)
    diff_query = QueryReader(schemas.DiffQuery, schemas.diff_moments)
    history = services.history

    @routes.get("/entities/<ref:ref>/history")
    def get_entity_history(ref: str) -> Response:
        wanted = history_query.read(request)
        found = history.changes(EntityRef.parse(ref), wanted, sight.of(request))
        return json_response(found)

    @routes.get("/entities/<ref:ref>/diff")
    def get_entity_diff(ref: str) -> Response:
        since, until = diff_query.read(request)
        found = history.diff(EntityRef.parse(ref), since, until, sight.of(request))
        return json_response(found)

    _undo_routes(routes, services, sight)


def _undo_routes(routes: Blueprint, services: HistoryServices, sight: Sight) -> None:
    undo_query = QueryReader(schemas.UndoQuery, schemas.dry_run)

    @routes.post("/changes/<int:seq>/undo")
    def undo_change(seq: int) -> Response:
        is_dry_run = undo_query.read(request)
        _require(services)
        undone = services.undo.change(
            min(seq, 1 << 62),
            actor=str(caller(request)),
            is_dry_run=is_dry_run,
            visible=sight.of(request),
        )
        return json_response(undone)

    @routes.post("/sources/<path:name>/undo")
    def undo_source(name: str) -> Response:
        is_dry_run = undo_query.read(request)
        _require(services)
        undone = services.undo.source(
            name,
            actor=str(caller(request)),
            is_dry_run=is_dry_run,
            visible=sight.of(request),
        )
        return json_response(undone)


def _require(services: HistoryServices) -> None:
    """Undoing makes and removes entities, whichever is known only once it is looked at."""
    for permission in (Permission.ENTITY_CREATE, Permission.ENTITY_DELETE):
        if not services.may(request, permission):
            raise NotAllowedError
