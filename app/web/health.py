"""`/.backstage/health/v1`: whether this process lives, and whether it may be sent requests."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response

from app.web.lifecycle import Lifecycle
from app.web.responses import json_response

PREFIX = "/.backstage/health/v1"


def health_routes(lifecycle: Lifecycle, headers: Mapping[str, str]) -> Blueprint:
    """Serve the probes; `headers` (`backend.health.headers`) are added to every answer."""
    routes = Blueprint("health", __name__, url_prefix=PREFIX)

    @routes.get("/liveness")
    def liveness() -> Response:
        return json_response({"status": "ok"}, headers=headers)

    @routes.get("/readiness")
    def readiness() -> Response:
        if lifecycle.is_ready and not lifecycle.hindrance:
            return json_response({"status": "ok"}, headers=headers)
        message = lifecycle.hindrance or "Backend has not started yet"
        if lifecycle.is_stopping:
            message = "Backend is shutting down"
        return json_response({"message": message, "status": "error"}, 503, headers=headers)

    return routes
