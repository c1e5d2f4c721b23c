"""`/api/graph/preview`: changed files in, their effect out, in the form that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson
from flask import Blueprint, Request, Response, request

from app.catalog.permissions import Check, Permission, everyone_may
from app.catalog.replies import everything
from app.catalog.schemas import NoQuery
from app.errors import NotAllowedError
from app.graph.preview.json_form import effect_json
from app.graph.preview.markdown import effect_markdown
from app.graph.preview.sarif import effect_sarif
from app.graph.preview.schemas import PreviewBody, given_files
from app.graph.preview.service import PreviewService
from app.model.query import Expression
from app.web.arguments import BodyReader, QueryReader
from app.web.responses import json_response

BODY_LIMIT = 20 * 1024 * 1024
MARKDOWN, SARIF = "text/markdown", "application/sarif+json"
_NO_QUERY: QueryReader[object] = QueryReader(NoQuery, dict)


@dataclass(frozen=True, slots=True)
class PreviewAccess:
    """Who may ask for a preview, what they see, and which release answers."""

    may: Check = everyone_may
    visible: Callable[[Request], Expression] = everything
    release: str = ""


def add_preview_routes(routes: Blueprint, service: PreviewService, access: PreviewAccess) -> None:
    """Add the endpoint to the graph's blueprint."""
    body = BodyReader(PreviewBody, given_files, limit=BODY_LIMIT)

    @routes.post("/preview")
    def preview() -> Response:
        files = body.read(request)
        _NO_QUERY.read(request)
        if not access.may(request, Permission.ENTITY_VALIDATE):
            raise NotAllowedError
        effect = effect_json(service.preview(files, access.visible(request)))
        wanted = request.accept_mimetypes.best_match(["application/json", MARKDOWN, SARIF])
        if wanted == MARKDOWN:
            return Response(effect_markdown(effect), content_type=f"{MARKDOWN}; charset=utf-8")
        if wanted == SARIF:
            log = effect_sarif(effect, access.release)
            return Response(orjson.dumps(log), content_type=SARIF)
        return json_response(effect)
