"""The endpoints around locations over HTTP: arguments in, answers and refusals out."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from app.catalog.analysis import LocationAnalyzer
from app.catalog.location_routes import LocationServices, add_location_routes
from app.catalog.permissions import Permission, restricted_by_token
from app.errors import ConflictError
from app.web.identity import Barrier
from app.web.plugin import plugin_blueprint
from app.web.principals import AccessRestrictions, ServicePrincipal
from tests.app.catalog.web_catalog import component, open_catalog
from tests.app.scm.web_server import web_server
from tests.app.web.plugins import SERVICE, USER, Tokens, application, barrier, error_of, ready

READONLY = (403, "NotAllowedError", "This operation not allowed in readonly mode")
DENIED = (403, "NotAllowedError", "")


@pytest.fixture
def site():
    with web_server() as server:
        yield server


@pytest.fixture
def catalog(database, site, tmp_path):
    with open_catalog(database, site, tmp_path) as catalog:
        yield catalog


class Api:
    """A client whose requests carry credentials."""

    def __init__(self, catalog, tokens=None, headers=USER, **options):
        services = LocationServices(
            catalog.registered,
            catalog.dry_runs,
            catalog.validator,
            LocationAnalyzer({"github.com": "github"}),
        )
        routes = plugin_blueprint("catalog", Barrier(tokens, ready()) if tokens else barrier())
        add_location_routes(routes, replace(services, **options))
        self.client = application(routes).test_client()
        self.headers = headers

    def ask(self, method, path, body=None, **options):
        if body is not None:
            options["json"] = body
        path = f"/api/catalog{path}"
        return self.client.open(path, method=method, headers=self.headers, **options)


@pytest.fixture
def api(catalog):
    return Api(catalog)


def refusal(response):
    status, name, message = error_of(response)
    assert (status, name) == (400, "InputError")
    return message


def url(target):
    return {"type": "url", "target": target}


# -- registering ----------------------------------------------------------------------------------


def test_a_location_lives(api, catalog):
    a, b = (catalog.publish(f"/{name}.yaml", component(name)) for name in "ab")

    created = api.ask("POST", "/locations", url(a))
    assert created.status_code == 201
    location = created.get_json()["location"]
    assert created.get_json() == {"location": location, "entities": []}
    assert location == {
        **url(a),
        "id": location["id"],
        "entityRef": catalog.registered.all()[0].entity_ref,
    }
    catalog.work()

    path = f"/locations/{location['id']}"
    assert api.ask("GET", "/locations").get_json() == [{"data": location}]
    assert api.ask("GET", path).get_json() == location
    by_entity = "/locations/by-entity/Component/default/a"
    assert api.ask("GET", by_entity).get_json() == location
    page = api.ask("POST", "/locations/by-query").get_json()
    assert page == {"items": [location], "totalItems": 1, "pageInfo": {}}

    moved = api.ask("PUT", path, url(b))
    assert (moved.status_code, moved.get_json()) == (200, {**location, "target": b})
    catalog.work()
    assert catalog.names() == ["b"]

    deleted = api.ask("DELETE", path)
    assert (deleted.status_code, deleted.data) == (204, b"")
    assert catalog.served() == {}
    unknown = (404, "NotFoundError", f"Found no location with ID {location['id']}")
    for method in ("GET", "DELETE"):
        assert error_of(api.ask(method, path)) == unknown
    assert error_of(api.ask("PUT", path, url(b))) == unknown


def test_a_conflict_is_what_the_caller_makes_of_it(api, catalog):
    first = api.ask("POST", "/locations", url("https://example.org/a"))
    message = "Location url:https://example.org/a already exists"

    for query in ("", "?onConflict=reject"):
        response = api.ask("POST", f"/locations{query}", url("https://example.org/a"))
        assert error_of(response) == (409, "ConflictError", message)
    again = api.ask("POST", "/locations?onConflict=refresh", url("https://example.org/a"))

    assert again.status_code == 201
    assert again.get_json() == first.get_json()
    with pytest.raises(ConflictError):
        catalog.registered.register("url", "https://example.org/a")


def test_what_callers_did_is_known_to_be_theirs(api, catalog):
    catalog.publish("/a.yaml", component("a"))
    made = api.ask("POST", "/locations", url(f"{catalog.site.url}/a.yaml")).get_json()["location"]
    catalog.work()

    api.ask("DELETE", f"/locations/{made['id']}")

    causes = {row[0] for row in catalog.rows("SELECT cause FROM change WHERE operation = 'delete'")}
    assert {json.loads(cause)["actor"] for cause in causes} == {"user:default/ada"}


@pytest.mark.parametrize(
    ("body", "query", "message"),
    [
        ({}, "", "request/body must have required property 'target'"),
        ({"target": "x"}, "", "request/body must have required property 'type'"),
        ({"target": 1, "type": "url"}, "", "request/body/target must be string"),
        (url("https://a.b"), "?onConflict=x",
         "request/query/onConflict must be equal to one of the allowed values: refresh, reject"),
        (url("https://a.b"), "?color=x", "Unknown query parameter 'color'"),
        (url("https://a.b"), "?dryRun=", "Empty value found for query parameter 'dryRun'"),
        ({"type": "file", "target": "/etc/x"}, "",
         'Registered locations must be of an allowed type ["url"]'),
        ({"type": "file", "target": "/etc/x"}, "?dryRun=true",
         'Registered locations must be of an allowed type ["url"]'),
    ],
)  # fmt: skip
def test_a_request_that_makes_no_sense_is_refused(api, body, query, message):
    assert refusal(api.ask("POST", f"/locations{query}", body)) == message


def test_a_body_has_to_be_json(api):
    path = "/api/catalog/locations"
    response = api.client.post(path, data="{}", content_type="text/plain", headers=USER)
    assert refusal(response) == "unsupported media type text/plain"
    response = api.client.post(path, data="{bad", content_type="application/json", headers=USER)
    assert refusal(response) == "Expected property name or '}' in JSON at position 1"


def test_what_should_not_be_in_a_body_is_told_as_a_list_of_issues(api):
    body = {**url("https://a.b"), "zz": 1}

    assert refusal(api.ask("POST", "/locations", body)) == (
        "Malformed request: [\n"
        "  {\n"
        '    "code": "unrecognized_keys",\n'
        '    "keys": [\n'
        '      "zz"\n'
        "    ],\n"
        '    "path": [],\n'
        '    "message": "Unrecognized key(s) in object: \'zz\'"\n'
        "  }\n"
        "]"
    )
    message = refusal(api.ask("POST", "/locations", {**body, "presence": "maybe"}))
    issues = json.loads(message.removeprefix("Malformed request: "))
    assert [issue["code"] for issue in issues] == ["invalid_union", "unrecognized_keys"]
    assert issues[0]["unionErrors"][1]["issues"][0] == {
        "received": "maybe",
        "code": "invalid_literal",
        "expected": "optional",
        "path": ["presence"],
        "message": 'Invalid literal value, expected "optional"',
    }


def test_a_moved_location_has_a_type_and_a_target_and_nothing_else(api):
    made = api.ask("POST", "/locations", url("https://a.b")).get_json()["location"]
    path = f"/locations/{made['id']}"

    def message(body):
        return refusal(api.ask("PUT", path, body))

    assert message({}) == "request/body must have required property 'type'"
    body = {**url("https://a.b"), "presence": "optional"}
    assert message(body) == "request/body must NOT have additional properties"
    assert message({"type": "file", "target": "/x"}) == (
        'Registered locations must be of an allowed type ["url"]'
    )


# -- dry runs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("yes", ["true", "1", "yes", "Y", "on"])
def test_a_dry_run_shows_what_would_be(api, catalog, yes):
    target = catalog.publish("/a.yaml", component("a"))
    body = {**url(target), "presence": "optional"}

    response = api.ask("POST", f"/locations?dryRun={yes}", body)
    answer = response.get_json()

    assert response.status_code == 201
    ref = f"location:default/{answer['entities'][0]['metadata']['name']}"
    assert answer["location"] == {**body, "id": f"url:{target}", "entityRef": ref}
    assert [entity["kind"] for entity in answer["entities"]] == ["Location", "Component"]
    assert answer["exists"] is False
    assert catalog.registered.all() == []

    api.ask("POST", "/locations", url(target))
    assert api.ask("POST", "/locations?dryRun=true", body).get_json()["exists"] is True


@pytest.mark.parametrize("no", ["false", "0", "no", "maybe"])
def test_anything_else_is_no_dry_run(api, catalog, no):
    response = api.ask("POST", f"/locations?dryRun={no}", url("https://a.b"))

    assert response.get_json()["entities"] == []
    assert len(catalog.registered.all()) == 1


def test_a_dry_run_that_finds_something_wrong_is_refused(api, catalog):
    target = f"{catalog.site.url}/nope.yaml"
    body = {**url(target), "presence": "optional"}

    assert refusal(api.ask("POST", "/locations?dryRun=true", body)) == (
        f"NotFoundError: Unable to read url, no matching files found for {target}"
    )


# -- finding --------------------------------------------------------------------------------------


def test_pages_follow_each_other(api):
    for number in range(5):
        api.ask("POST", "/locations", url(f"https://example.org/{number}"))
    body, found = {"limit": 2, "query": {"TYPE": "URL"}}, []

    while body:
        page = api.ask("POST", "/locations/by-query", body).get_json()
        assert page["totalItems"] == 5
        found += page["items"]
        cursor = page["pageInfo"].get("nextCursor")
        body = {"cursor": cursor} if cursor else None

    assert [item["id"] for item in found] == sorted(item["id"] for item in found)
    assert {item["target"] for item in found} == {f"https://example.org/{n}" for n in range(5)}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"limit": 0}, "Limit must be a positive integer >= 1"),
        ({"limit": "1"}, "request/body/limit must be number"),
        ({"cursor": ""}, "Cursor cannot be empty"),
        ({"query": []}, "request/body/query must be object"),
        ({"query": {"x": 1}}, ("Invalid filter predicate, expected key to be 'id', 'type', "
                              "'target', or 'entityRef', got 'x'")),
    ],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_refused(api, body, message):
    assert refusal(api.ask("POST", "/locations/by-query", body)) == message


def test_an_entity_that_nobody_registered_is_said_to_be_unknown(api):
    response = api.ask("GET", "/locations/by-entity/Component/default/Nope")
    message = "found no entity for ref component:default/nope"
    assert error_of(response) == (404, "NotFoundError", message)


@pytest.mark.parametrize("location_id", ["nope", "a%00b"])
def test_any_id_can_be_asked_for(api, location_id):
    status, name, _ = error_of(api.ask("GET", f"/locations/{location_id}"))
    assert (status, name) == (404, "NotFoundError")


# -- looking --------------------------------------------------------------------------------------


def test_an_entity_is_valid_or_not(api):
    entity = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": "web"},
        "spec": {"type": "service", "lifecycle": "production", "owner": "team-a"},
    }
    body = {"entity": entity, "location": "url:https://example.org/x"}

    valid = api.ask("POST", "/validate-entity", body)
    assert (valid.status_code, valid.data) == (200, b"")

    body["entity"] = {**entity, "kind": "Foo"}
    invalid = api.ask("POST", "/validate-entity", body)
    message = "No processor recognized the entity foo:default/web as valid, possibly caused by a "
    message += "foreign kind or apiVersion"
    assert invalid.status_code == 400
    assert invalid.get_json() == {"errors": [{"name": "InputError", "message": message}]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"entity": {}}, "request/body must have required property 'location'"),
        ({"location": "url:x"}, "request/body must have required property 'entity'"),
        ({"location": "url:x", "entity": []}, "request/body/entity must be object"),
    ],
)
def test_a_request_to_validate_has_its_parts(api, body, message):
    assert refusal(api.ask("POST", "/validate-entity", body)) == message


def test_a_repository_is_analyzed(api):
    target = "https://github.com/o/r"

    answer = api.ask("POST", "/analyze-location", {"location": url(target)}).get_json()

    (generated,) = answer["generateEntities"]
    assert generated["entity"]["metadata"]["name"] == "r"
    assert generated["entity"]["metadata"]["annotations"] == {"github.com/project-slug": "o/r"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "request/body must have required property 'location'"),
        ({"location": url("nope")}, "The given location.target is not a URL"),
        ({"location": {**url("https://x/y"), "presence": "optional"}},
         "request/body/location must NOT have additional properties"),
        ({"location": url("https://x/y"), "catalogFileName": 1},
         "request/body/catalogFileName must be string"),
    ],
)  # fmt: skip
def test_a_request_to_analyze_is_checked(api, body, message):
    assert refusal(api.ask("POST", "/analyze-location", body)) == message


def test_the_other_spelling_of_the_file_name_is_checked_too(api):
    body = {"location": url("https://x/y"), "catalogFilename": 1}

    message = refusal(api.ask("POST", "/analyze-location", body))

    (issue,) = json.loads(message.removeprefix("Malformed request: "))
    assert issue["message"] == "Expected string, received number"


# -- who may what ---------------------------------------------------------------------------------


def test_readonly_mode_refuses_changes_before_anything_else_is_asked(catalog):
    api = Api(catalog, is_readonly=True, may=lambda _request, _permission: False)

    assert error_of(api.ask("POST", "/locations", url("http://x/y"))) == READONLY
    assert error_of(api.ask("PUT", "/locations/x", url("y"))) == READONLY
    assert error_of(api.ask("DELETE", "/locations/x")) == READONLY


def test_readonly_mode_lets_callers_look(catalog):
    api = Api(catalog, is_readonly=True)
    target = catalog.publish("/a.yaml", component("a"))

    assert api.ask("POST", "/locations?dryRun=true", url(target)).status_code == 201
    assert api.ask("GET", "/locations").get_json() == []
    assert api.ask("POST", "/analyze-location", {"location": url("https://x/y")}).status_code == 200


def test_those_who_may_not_read_see_nothing(catalog):
    made = catalog.registered.register("url", "https://example.org/a")
    api = Api(catalog, may=lambda _request, permission: permission != Permission.LOCATION_READ)

    assert api.ask("GET", "/locations").get_json() == []
    page = api.ask("POST", "/locations/by-query").get_json()
    assert page == {"items": [], "totalItems": 0, "pageInfo": {}}
    message = f"Found no location with ID {made.id}"
    assert error_of(api.ask("GET", f"/locations/{made.id}")) == (404, "NotFoundError", message)
    response = api.ask("GET", "/locations/by-entity/component/default/a")
    assert error_of(response) == (404, "NotFoundError", "")


def test_those_who_may_do_nothing_are_refused(catalog):
    made = catalog.registered.register("url", "https://example.org/a")
    api = Api(catalog, may=lambda _request, _permission: False)
    entity = {"entity": {}, "location": "url:https://x/y"}

    assert error_of(api.ask("POST", "/locations", url("http://x/y"))) == DENIED
    assert error_of(api.ask("POST", "/locations?dryRun=true", url("http://x/y"))) == DENIED
    assert error_of(api.ask("PUT", f"/locations/{made.id}", url("http://x/y"))) == DENIED
    assert error_of(api.ask("DELETE", f"/locations/{made.id}")) == DENIED
    assert (
        error_of(api.ask("POST", "/analyze-location", {"location": url("https://x/y")})) == DENIED
    )
    assert error_of(api.ask("POST", "/validate-entity", entity)) == DENIED
    assert catalog.registered.all() == [made]


@pytest.mark.parametrize(
    ("restrictions", "may_read", "may_create"),
    [
        (None, True, True),
        (AccessRestrictions(), True, True),
        (AccessRestrictions(("catalog.location.read",)), True, False),
        (AccessRestrictions(actions=("create",)), False, True),
        (AccessRestrictions(("catalog.location.read",), ("create",)), False, False),
    ],
)
def test_a_token_may_be_restricted(catalog, restrictions, may_read, may_create):
    catalog.registered.register("url", "https://example.org/a")
    tokens = Tokens({"ci": ServicePrincipal("ci", restrictions)})
    api = Api(catalog, tokens, SERVICE, may=restricted_by_token)

    assert len(api.ask("GET", "/locations").get_json()) == may_read
    created = api.ask("POST", "/locations", url("https://example.org/b"))
    assert created.status_code == (201 if may_create else 403)


def test_users_are_not_restricted_by_tokens(catalog):
    api = Api(catalog, may=restricted_by_token)

    assert api.ask("POST", "/locations", url("https://example.org/a")).status_code == 201


def test_nobody_in_particular_is_turned_away(api):
    api.headers = {}

    assert api.ask("GET", "/locations").status_code == 401
    assert api.ask("POST", "/validate-entity", {}).status_code == 401
