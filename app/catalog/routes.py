"""`/api/catalog`, the entities: HTTP in, one use case, JSON out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from flask import Blueprint, Request, Response, request

from app.catalog import schemas
from app.catalog.reading import CatalogReader, storable
from app.catalog.replies import Sight, everything
from app.errors import NotFoundError
from app.model.query import Expression, both
from app.web.arguments import BodyReader, QueryReader
from app.web.identity import Barrier, caller
from app.web.plugin import plugin_blueprint
from app.web.responses import empty, json_bytes, json_response

PLUGIN = "catalog"
NO_QUERY: QueryReader[object] = QueryReader(schemas.NoQuery, dict)
_NAME = "/entities/by-name/<kind>/<namespace>/<name>"


class CatalogWriter(Protocol):
    """What callers may change."""

    def refresh(self, ref: str) -> None:
        """Have an entity read again soon; raises `NotFoundError`."""

    def delete(self, uid: str, actor: str = "") -> None:
        """Delete an entity, if there is one."""


class Unprocessed(Protocol):
    """What was read and is not served."""

    def pending(self, owner: str | None = None) -> Sequence[Mapping[str, Any]]:
        """List what has never been served."""

    def failed(self, owner: str | None = None) -> Sequence[Mapping[str, Any]]:
        """List what cannot be served any more."""

    def forget(self, entity_id: str, actor: str = "") -> None:
        """Forget one of them."""


def catalog_routes(  # noqa: PLR0913 (one for each thing it needs)
    barrier: Barrier,
    catalog: CatalogReader,
    writer: CatalogWriter,
    unprocessed: Unprocessed,
    *,
    description: Callable[[], bytes],
    lineage: str = "",
    visible: Callable[[Request], Expression] = everything,
) -> Blueprint:
    """Serve the entity endpoints.

    `description` writes the plugin's OpenAPI document. `lineage` tells the database from others, so
    that entity tags do, and `visible` tells what a caller is held to.
    """
    sight = Sight(visible, lineage)
    routes = plugin_blueprint(PLUGIN, barrier)
    _list_routes(routes, catalog, sight)
    _lookup_routes(routes, catalog, sight)
    _facet_routes(routes, catalog, sight)
    _write_routes(routes, barrier, writer)
    _unprocessed_routes(routes, unprocessed)

    @routes.get("/openapi.json")
    def get_description() -> Response:
        return json_bytes(description())

    return routes


def _list_routes(routes: Blueprint, catalog: CatalogReader, sight: Sight) -> None:
    list_query = QueryReader(schemas.EntitiesQuery, schemas.list_request)
    page_query = QueryReader(schemas.PageQuery, schemas.page_from_query)
    page_body = BodyReader(schemas.PageBody, schemas.page_from_body, required=False)

    @routes.get("/entities")
    def get_entities() -> Response:
        wanted = list_query.read(request)
        return sight.reply(lambda seen, unless: catalog.entities(wanted, seen, unless))

    @routes.get("/entities/by-query")
    def get_entities_by_query() -> Response:
        wanted = page_query.read(request)
        return sight.reply(lambda seen, unless: catalog.page(wanted, seen, unless))

    @routes.post("/entities/by-query")
    def query_entities() -> Response:
        wanted = page_body.read(request)
        NO_QUERY.read(request)
        return sight.reply(lambda seen, unless: catalog.page(wanted, seen, unless))


def _lookup_routes(routes: Blueprint, catalog: CatalogReader, sight: Sight) -> None:
    filter_query = QueryReader(schemas.FilterQuery, schemas.filter_request)
    refs_body = BodyReader(schemas.RefsBody, schemas.refs_request, required=False)

    @routes.post("/entities/by-refs")
    def get_entities_by_refs() -> Response:
        wanted, condition = refs_body.read(request), filter_query.read(request)
        condition = both(condition, wanted.expression)
        found = catalog.by_refs(wanted.refs, condition, wanted.fields, sight.of(request))
        return json_bytes(found)

    @routes.get("/entities/by-uid/<uid>")
    def get_entity_by_uid(uid: str) -> Response:
        NO_QUERY.read(request)
        return json_bytes(catalog.by_uid(uid, sight.of(request)))

    @routes.get(_NAME)
    def get_entity_by_name(kind: str, namespace: str, name: str) -> Response:
        NO_QUERY.read(request)
        return json_bytes(catalog.by_name(kind, namespace, name, sight.of(request)))

    @routes.get(f"{_NAME}/ancestry")
    def get_entity_ancestry(kind: str, namespace: str, name: str) -> Response:
        NO_QUERY.read(request)
        return json_bytes(catalog.ancestry(kind, namespace, name, sight.of(request)))


def _facet_routes(routes: Blueprint, catalog: CatalogReader, sight: Sight) -> None:
    facets_query = QueryReader(schemas.FacetsQuery, schemas.facets_from_query)
    facets_body = BodyReader(schemas.FacetsBody, schemas.facets_from_body)

    @routes.get("/entity-facets")
    def get_facets() -> Response:
        wanted = facets_query.read(request)
        return sight.reply(
            lambda seen, unless: catalog.facets(wanted.facets, wanted.expression, seen, unless)
        )

    @routes.post("/entity-facets")
    def query_facets() -> Response:
        wanted = facets_body.read(request)
        NO_QUERY.read(request)
        return sight.reply(
            lambda seen, unless: catalog.facets(wanted.facets, wanted.expression, seen, unless)
        )


def _write_routes(routes: Blueprint, barrier: Barrier, writer: CatalogWriter) -> None:
    refresh_body = BodyReader(schemas.RefreshBody, schemas.refresh_request)

    @routes.post("/refresh")
    def refresh_entity() -> Response:
        wanted = refresh_body.read(request)
        NO_QUERY.read(request)
        if wanted.token:
            barrier.access.authenticate(wanted.token, PLUGIN)
        if not storable(wanted.ref):
            raise NotFoundError(f"Entity {wanted.ref} not found")
        writer.refresh(wanted.ref)
        return empty(200)

    @routes.delete("/entities/by-uid/<uid>")
    def delete_entity(uid: str) -> Response:
        NO_QUERY.read(request)
        if storable(uid):
            writer.delete(uid, str(caller(request)))
        return empty(204)


def _unprocessed_routes(routes: Blueprint, unprocessed: Unprocessed) -> None:
    @routes.get("/entities/unprocessed/pending")
    def get_pending() -> Response:
        found = unprocessed.pending(request.args.get("owner"))
        return json_response({"type": "pending", "entities": found})

    @routes.get("/entities/unprocessed/failed")
    def get_failed() -> Response:
        found = unprocessed.failed(request.args.get("owner"))
        return json_response({"type": "failed", "entities": found})

    @routes.delete("/entities/unprocessed/delete/<entity_id>")
    def forget_unprocessed(entity_id: str) -> Response:
        unprocessed.forget(entity_id, str(caller(request)))
        return empty(204)
