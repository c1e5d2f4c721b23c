"""`/api/graph`: what Backstage has no endpoint for. Each part adds its routes to one blueprint."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response

from app.web.identity import Barrier
from app.web.plugin import plugin_blueprint
from app.web.responses import json_bytes

PLUGIN = "graph"


def graph_routes(barrier: Barrier, description: Callable[[], bytes]) -> Blueprint:
    """Make the blueprint; `description` writes the plugin's OpenAPI document."""
    routes = plugin_blueprint(PLUGIN, barrier)

    @routes.get("/openapi.json")
    def get_graph_description() -> Response:
        return json_bytes(description())

    return routes
