"""`/api/graph/sources`: what sources there are, and pushing the entities of those that are pushed.

To push takes a service token whose subject the configuration names for the source, and which is
not restricted from it. A user never may, and nobody may by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request

from app.catalog.permissions import Check, Permission, everyone_may, restricted_by_token
from app.catalog.schemas import NoQuery
from app.errors import NotAllowedError
from app.graph.push.pushed import PushedSource
from app.graph.push.schemas import (
    DeltaBody,
    FullBody,
    PushQuery,
    delta_push,
    full_push,
    push_options,
    receipt_json,
)
from app.graph.push.service import PushService
from app.graph.sources import Sources, source_json, sources_json
from app.web.arguments import BodyReader, QueryReader
from app.web.identity import service_caller
from app.web.responses import json_response

_NO_QUERY: QueryReader[object] = QueryReader(NoQuery, dict)


@dataclass(frozen=True, slots=True)
class SourceServices:
    """What the routes need. `may` tells whether a caller has a permission."""

    pushes: PushService
    sources: Sources
    may: Check = everyone_may


def add_source_routes(routes: Blueprint, services: SourceServices) -> None:
    """Add the endpoints to the graph's blueprint."""
    _look_routes(routes, services)
    _push_routes(routes, services)


def _look_routes(routes: Blueprint, services: SourceServices) -> None:
    @routes.get("/sources")
    def get_sources() -> Response:
        _NO_QUERY.read(request)
        _require(services)
        return json_response(sources_json(services.sources.all()))

    @routes.get("/sources/<name>")
    def get_source(name: str) -> Response:
        _NO_QUERY.read(request)
        _require(services)
        return json_response(source_json(services.sources.get(name)))


def _push_routes(routes: Blueprint, services: SourceServices) -> None:
    query = QueryReader(PushQuery, push_options)
    sources = services.pushes.sources.values()
    # How much may be sent is up to the source.
    full: Mapping[str, BodyReader[dict[str, Any]]] = {
        s.name: BodyReader(FullBody, dict, limit=s.max_bytes) for s in sources
    }
    delta: Mapping[str, BodyReader[dict[str, Any]]] = {
        s.name: BodyReader(DeltaBody, dict, limit=s.max_bytes) for s in sources
    }

    @routes.put("/sources/<name>/entities")
    def replace_entities(name: str) -> Response:
        source, actor = _admitted(services, name)
        push = full_push(request, **full[source.name].read(request))
        options = query.read(request)
        return json_response(receipt_json(services.pushes.push(source, push, actor, options)))

    @routes.patch("/sources/<name>/entities")
    def change_entities(name: str) -> Response:
        source, actor = _admitted(services, name)
        push = delta_push(request, **delta[source.name].read(request))
        options = query.read(request)
        return json_response(receipt_json(services.pushes.push(source, push, actor, options)))


def _admitted(services: SourceServices, name: str) -> tuple[PushedSource, str]:
    """Find the source and who pushes, before anything of the body is looked at."""
    principal = service_caller(request)
    source = services.pushes.find(name)
    services.pushes.admit(source, principal.subject)
    if not restricted_by_token(request, Permission.INGESTION_MANAGE):
        raise NotAllowedError
    return source, principal.subject


def _require(services: SourceServices) -> None:
    if not services.may(request, Permission.INGESTION_READ):
        raise NotAllowedError
