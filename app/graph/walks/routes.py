"""`/api/graph`, connections: neighbours, impact, paths, and walks of any kind."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from app.catalog.replies import Sight
from app.catalog.schemas import NoQuery
from app.graph.walks import schemas
from app.graph.walks.service import GraphQueries
from app.web.arguments import BodyReader, QueryReader
from app.web.responses import json_bytes

_NO_QUERY: QueryReader[object] = QueryReader(NoQuery, dict)


def add_walk_routes(routes: Blueprint, queries: GraphQueries, sight: Sight) -> None:
    """Add the endpoints; `sight` tells what callers see."""
    query_body = BodyReader(schemas.GraphQueryBody, schemas.graph_query)
    neighbours_query: QueryReader[dict[str, Any]] = QueryReader(schemas.NeighboursQuery, dict)
    impact_query: QueryReader[dict[str, Any]] = QueryReader(schemas.ImpactQuery, dict)
    paths_query = QueryReader(schemas.PathsQuery, schemas.path_query)

    @routes.post("/query")
    def query_graph() -> Response:
        wanted = query_body.read(request)
        _NO_QUERY.read(request)
        return json_bytes(queries.query(wanted, sight.of(request)))

    @routes.get("/entities/<ref:ref>/neighbours")
    def get_neighbours(ref: str) -> Response:
        wanted = schemas.neighbours_of(ref, neighbours_query.read(request))
        return json_bytes(queries.neighbours(wanted, sight.of(request)))

    @routes.get("/entities/<ref:ref>/impact")
    def get_impact(ref: str) -> Response:
        wanted = schemas.impact_of(ref, impact_query.read(request))
        return json_bytes(queries.impact(wanted, sight.of(request)))

    @routes.get("/paths")
    def get_paths() -> Response:
        return json_bytes(queries.paths(paths_query.read(request), sight.of(request)))
