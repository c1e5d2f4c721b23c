"""`/api/graph`, explanations: why an entity is as it is, or is not."""

from __future__ import annotations

from flask import Blueprint, Response, request

from app.catalog.reading import storable
from app.catalog.replies import Sight
from app.catalog.schemas import NoQuery
from app.errors import InputError
from app.graph.explain.service import Explainer
from app.graph.walks.questions import canonical
from app.web.arguments import QueryReader
from app.web.responses import json_response

_NO_QUERY: QueryReader[object] = QueryReader(NoQuery, dict)


def add_explain_routes(routes: Blueprint, explainer: Explainer, sight: Sight) -> None:
    """Add the endpoint; `sight` tells what callers see."""

    @routes.get("/entities/<ref:ref>/explain")
    def explain_entity(ref: str) -> Response:
        _NO_QUERY.read(request)
        if not storable(ref):
            raise InputError("An entity reference has a NUL character")
        return json_response(explainer.explain(canonical(ref), sight.of(request)))
