"""`/api/catalog`, the locations: registering them, and looking at what they would bring."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response, request

from app.catalog import location_schemas as schemas
from app.catalog.analysis import LocationAnalyzer
from app.catalog.dry_run import DryRuns
from app.catalog.location_schemas import location_json
from app.catalog.permissions import Check, Permission, everyone_may
from app.catalog.registered import RegisteredLocations, check_location
from app.catalog.schemas import NoQuery
from app.catalog.validation import EntityValidator
from app.errors import NotAllowedError, NotFoundError
from app.web.arguments import BodyReader, QueryReader
from app.web.identity import caller
from app.web.responses import empty, json_response

_NO_QUERY: QueryReader[object] = QueryReader(NoQuery, dict)


@dataclass(frozen=True, slots=True)
class LocationServices:
    """What the routes need. `may` tells whether a caller has a permission."""

    registered: RegisteredLocations
    dry_runs: DryRuns
    validator: EntityValidator
    analyzer: LocationAnalyzer
    is_readonly: bool = False
    may: Check = everyone_may


def add_location_routes(routes: Blueprint, services: LocationServices) -> None:
    """Add the endpoints to the catalog's blueprint."""
    _change_routes(routes, services)
    _find_routes(routes, services)
    _look_routes(routes, services)


def _change_routes(routes: Blueprint, services: LocationServices) -> None:
    create_query = QueryReader(schemas.CreateLocationQuery, schemas.how_to_create)
    create_body = BodyReader(schemas.LocationBody, schemas.location_spec)
    move_body = BodyReader(schemas.LocationInput, schemas.moved_location)

    @routes.post("/locations")
    def create_location() -> Response:
        spec, how = create_body.read(request), create_query.read(request)
        if not how.is_dry_run:
            _refuse_if_readonly(services)
        _require(services, Permission.LOCATION_CREATE)
        if how.is_dry_run:
            return _dry_run(services, spec)
        actor = str(caller(request))
        location = services.registered.register(spec.type, spec.target, how.on_conflict, actor)
        return json_response({"location": location_json(location), "entities": []}, 201)

    @routes.put("/locations/<id>")
    def update_location(id: str) -> Response:  # noqa: A002 (what it is called on the wire)
        spec = move_body.read(request)
        _NO_QUERY.read(request)
        _refuse_if_readonly(services)
        _require(services, Permission.LOCATION_CREATE)
        actor = str(caller(request))
        moved = services.registered.move(id, spec.type, spec.target, actor)
        return json_response(location_json(moved))

    @routes.delete("/locations/<id>")
    def delete_location(id: str) -> Response:  # noqa: A002
        _NO_QUERY.read(request)
        _refuse_if_readonly(services)
        _require(services, Permission.LOCATION_DELETE)
        services.registered.remove(id, str(caller(request)))
        return empty(204)


def _find_routes(routes: Blueprint, services: LocationServices) -> None:
    registered = services.registered
    page_body = BodyReader(schemas.LocationsBody, schemas.locations_query, required=False)

    def is_seen() -> bool:
        return services.may(request, Permission.LOCATION_READ)

    @routes.get("/locations")
    def get_locations() -> Response:
        _NO_QUERY.read(request)
        found = registered.all() if is_seen() else []
        return json_response([{"data": location_json(location)} for location in found])

    @routes.post("/locations/by-query")
    def query_locations() -> Response:
        wanted = page_body.read(request)
        _NO_QUERY.read(request)
        if not is_seen():
            return json_response({"items": [], "totalItems": 0, "pageInfo": {}})
        page = registered.query(wanted)
        cursors = {"nextCursor": page.next_cursor} if page.next_cursor else {}
        items = list(map(location_json, page.items))
        return json_response({"items": items, "totalItems": page.total, "pageInfo": cursors})

    @routes.get("/locations/<id>")
    def get_location(id: str) -> Response:  # noqa: A002
        _NO_QUERY.read(request)
        if not is_seen():
            raise NotFoundError(f"Found no location with ID {id}")
        return json_response(location_json(registered.get(id)))

    @routes.get("/locations/by-entity/<kind>/<namespace>/<name>")
    def get_location_of_entity(kind: str, namespace: str, name: str) -> Response:
        _NO_QUERY.read(request)
        if not is_seen():
            raise NotFoundError
        return json_response(location_json(registered.of_entity(kind, namespace, name)))


def _look_routes(routes: Blueprint, services: LocationServices) -> None:
    analyze_body = BodyReader(schemas.AnalyzeBody, schemas.analyzed_target)
    validate_body = BodyReader(schemas.ValidateBody, schemas.ValidateRequest)

    @routes.post("/analyze-location")
    def analyze_location() -> Response:
        target = analyze_body.read(request)
        _NO_QUERY.read(request)
        _require(services, Permission.LOCATION_ANALYZE)
        return json_response(services.analyzer.analyze(target))

    @routes.post("/validate-entity")
    def validate_entity() -> Response:
        wanted = validate_body.read(request)
        _NO_QUERY.read(request)
        _require(services, Permission.ENTITY_VALIDATE)
        errors = services.validator.errors(wanted.entity, wanted.location)
        return json_response({"errors": errors}, 400) if errors else empty(200)


def _dry_run(services: LocationServices, spec: schemas.LocationSpec) -> Response:
    check_location(spec.type, spec.target)
    entities = services.dry_runs.location(spec.type, spec.target)
    location = f"{spec.type}:{spec.target}"
    name = entities[0]["metadata"]["name"]
    shown = {**spec.json(), "id": location, "entityRef": f"location:default/{name}"}
    exists = services.registered.exists(spec.type, spec.target)
    return json_response({"exists": exists, "location": shown, "entities": entities}, 201)


def _refuse_if_readonly(services: LocationServices) -> None:
    if services.is_readonly:
        raise NotAllowedError("This operation not allowed in readonly mode")


def _require(services: LocationServices, permission: Permission) -> None:
    if not services.may(request, permission):
        raise NotAllowedError
