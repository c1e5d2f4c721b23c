"""`openapi.yaml` is the contract: what it promises is served, and what is served is in it."""

from __future__ import annotations

import re

import orjson
import pytest
import schemathesis
from marshmallow import fields
from prometheus_client import CollectorRegistry

from app.bootstrap.catalog import join_catalog
from app.bootstrap.web import NOT_SERVED, make_app
from app.catalog import location_schemas, schemas
from app.config import load_config
from app.db.engine import open_database
from app.db.migrate import migrate
from app.graph.changes import schemas as change_schemas
from app.graph.past import schemas as past_schemas
from app.graph.preview import schemas as preview_schemas
from app.graph.push import schemas as push_schemas
from app.graph.walks import schemas as walk_schemas
from app.graph.webhooks import routes as webhook_routes
from app.settings import read_settings
from app.web.checks import type_of
from app.web.lifecycle import Lifecycle
from app.web.openapi import load_document, plugin_contract

TOKEN = "a-token-for-tests"
DOCUMENT = load_document()
METHODS = {"get", "post", "put", "patch", "delete"}
OPERATIONS = [
    (path, method, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method in METHODS
]
# What answers everything that no route knows.
CATCH_ALL = re.compile(r"\.unknown(_provider)?$")
EVERY_PLUGIN = re.compile(r"^/api/[\w-]+(?=/\.backstage/)")


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("openapi")
    (folder / "app-config.yaml").write_text(
        f"backend: {{baseUrl: 'http://localhost:7007', database: {{client: better-sqlite3,"
        f" connection: '{folder}/db.sqlite'}}, auth: {{externalAccess: [{{type: static,"
        f" options: {{token: {TOKEN}, subject: test}}}}]}}}}\n"
        "auth: {providers: {guest: {dangerouslyAllowOutsideDevelopment: true}}}\n"
    )
    settings = read_settings(load_config([str(folder / "app-config.yaml")], {}, folder))
    database = open_database(f"sqlite:///{folder}/db.sqlite")
    migrate(database)
    lifecycle = Lifecycle()
    lifecycle.ready()
    yield make_app(settings, join_catalog(settings, database), lifecycle, CollectorRegistry())
    database.close()


def served(app):
    return {
        (
            EVERY_PLUGIN.sub("/api/{plugin}", re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)),
            m.lower(),
        )
        for rule in app.url_map.iter_rules()
        if not CATCH_ALL.search(rule.endpoint)
        for m in rule.methods or ()
        if m.lower() in METHODS
    }


def test_every_route_is_in_the_contract_and_every_path_of_it_is_served(app):
    assert served(app) == {(path, method) for path, method, _ in OPERATIONS}


def test_the_contract_is_a_valid_document():
    schemathesis.openapi.from_dict(dict(DOCUMENT)).validate()


def test_every_operation_has_a_name_a_summary_and_a_tag():
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(names) == len(set(names))
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    for _, _, operation in OPERATIONS:
        assert operation["summary"].endswith(".")
        assert set(operation["tags"]) <= tags


def components(kind, value):
    return re.findall(rf"#/components/{kind}/(\w+)", orjson.dumps(value).decode())


@pytest.mark.parametrize("kind", ["parameters", "responses", "schemas"])
def test_every_component_is_used(kind):
    assert set(components(kind, dict(DOCUMENT))) == set(DOCUMENT["components"][kind])


# -- the schemas that read the requests say what the contract says --------------------------------

QUERIES = {
    "GetEntities": schemas.EntitiesQuery,
    "GetEntitiesByQuery": schemas.PageQuery,
    "GetEntitiesByRefs": schemas.FilterQuery,
    "GetEntityFacets": schemas.FacetsQuery,
    "GetEntitiesByQueryAsOf": past_schemas.PastPageQuery,
    "QueryEntitiesByPredicateAsOf": past_schemas.AsOfQuery,
    "GetEntityFacetsAsOf": past_schemas.PastFacetsQuery,
    "CreateLocation": location_schemas.CreateLocationQuery,
    "GetNeighbours": walk_schemas.NeighboursQuery,
    "GetImpact": walk_schemas.ImpactQuery,
    "GetPaths": walk_schemas.PathsQuery,
    "GetChanges": change_schemas.ChangesQuery,
    "StreamChanges": change_schemas.StreamQuery,
    "GetDeadLetters": webhook_routes.LettersQuery,
}
BODIES = {
    "EntityQuery": schemas.PageBody,
    "EntityRefsRequest": schemas.RefsBody,
    "EntityFacetsRequest": schemas.FacetsBody,
    "RefreshRequest": schemas.RefreshBody,
    "LocationInput": location_schemas.LocationInput,
    "LocationQuery": location_schemas.LocationsBody,
    "AnalyzeLocationRequest": location_schemas.AnalyzeBody,
    "ValidateEntityRequest": location_schemas.ValidateBody,
    "GraphQuery": walk_schemas.GraphQueryBody,
    "ChangesQuery": change_schemas.ChangesBody,
    "PreviewRequest": preview_schemas.PreviewBody,
    "FullPush": push_schemas.FullBody,
    "DeltaPush": push_schemas.DeltaBody,
}


def of_schema(schema):
    return {
        field.data_key or name: (type_of(field), field.required)
        for name, field in schema().fields.items()
    }


def parameters_of(operation):
    known = DOCUMENT["components"]["parameters"]
    for parameter in operation.get("parameters", ()):
        names = components("parameters", parameter)
        yield known[names[0]] if names else parameter


@pytest.mark.parametrize("operation_id", QUERIES)
def test_parameters_are_those_of_the_contract(operation_id):
    (operation,) = [op for _, _, op in OPERATIONS if op["operationId"] == operation_id]
    promised = {
        parameter["name"]: (parameter["schema"]["type"], parameter.get("required", False))
        for parameter in parameters_of(operation)
        if parameter["in"] == "query"
    }
    assert of_schema(QUERIES[operation_id]) == promised


@pytest.mark.parametrize("name", BODIES)
def test_bodies_are_those_of_the_contract(name):
    promised = DOCUMENT["components"]["schemas"][name]
    assert of_schema(BODIES[name]) == {
        key: (part.get("type", "object"), key in promised.get("required", ()))
        for key, part in promised["properties"].items()
    }
    assert (promised.get("additionalProperties") is False) == (BODIES[name]().unknown == "raise")


def test_lists_with_commas_are_those_of_the_contract():
    with_commas = {
        parameter["name"]
        for _, _, operation in OPERATIONS
        for parameter in parameters_of(operation)
        if parameter.get("explode") is False
    }
    assert with_commas == {
        field.data_key or name
        for schema in QUERIES.values()
        for name, field in schema().fields.items()
        if isinstance(field, fields.List) and type(field) is not fields.List
    }


# -- the part that a plugin serves ----------------------------------------------------------------


def test_a_plugin_describes_its_own_paths_and_only_what_they_need():
    document = orjson.loads(plugin_contract("catalog"))

    assert document["openapi"] == "3.0.3"
    assert document["info"]["title"] == "catalog"
    assert set(document["paths"]) == {p for p in DOCUMENT["paths"] if p.startswith("/api/catalog/")}
    named = {tag["name"] for tag in document["tags"]}
    assert named == {"Entity", "Locations", "Permissions", "Unprocessed"}
    for kind in ("parameters", "responses", "schemas"):
        assert set(components(kind, document)) == set(document["components"][kind])
    assert "UserInfo" not in document["components"]["schemas"]
    schemathesis.openapi.from_dict(document).validate()


def test_the_catalog_serves_its_description_to_those_who_may_ask(app):
    ask = app.test_client()
    assert ask.get("/api/catalog/openapi.json").status_code == 401
    response = ask.get("/api/catalog/openapi.json", headers={"Authorization": f"Bearer {TOKEN}"})
    assert response.data == plugin_contract("catalog")


def test_plugins_that_are_not_served_promise_nothing():
    for plugin in NOT_SERVED:
        assert orjson.loads(plugin_contract(plugin))["paths"] == {}
