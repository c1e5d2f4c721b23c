"""`/api/graph`: what Backstage has no endpoint for. Each part adds its routes to one blueprint."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response
from flask.blueprints import BlueprintSetupState
from werkzeug.routing import BaseConverter

from app.web.identity import Barrier
from app.web.plugin import plugin_blueprint
from app.web.responses import json_bytes

PLUGIN = "graph"


class RefConverter(BaseConverter):
    """Takes whatever stands where a ref should, slashes and line breaks too.

    So the view can say what is wrong with it.
    """

    part_isolating = False
    regex = r"[\s\S]+?"


def graph_routes(barrier: Barrier, description: Callable[[], bytes]) -> Blueprint:
    """Make the blueprint; `description` writes the plugin's OpenAPI document."""
    routes = plugin_blueprint(PLUGIN, barrier)
    routes.record(_know_refs)

    @routes.get("/openapi.json")
    def get_graph_description() -> Response:
        return json_bytes(description())

    return routes


def _know_refs(state: BlueprintSetupState) -> None:
    """Let rules have `<ref:…>`; it comes before any rule of the blueprint."""
    state.app.url_map.converters["ref"] = RefConverter
