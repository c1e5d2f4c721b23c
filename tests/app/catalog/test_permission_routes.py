"""What a permission backend asks the catalog, over HTTP."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.catalog.conditions import Judge
from app.catalog.permission_routes import PREFIX, add_permission_routes
from app.web.identity import Barrier
from app.web.plugin import plugin_blueprint
from tests.app.catalog.graph import Graph, entity
from tests.app.web.plugins import ADA, SERVICE, USER, Tokens, application, error_of, ready

LABELLED = {"rule": "HAS_LABEL", "resourceType": "catalog-entity", "params": {"label": "tier"}}
FOR_ADA = {"Authorization": "Bearer for-ada"}


@pytest.fixture
def client():
    tokens = Tokens()
    tokens.known["for-ada"] = replace(ADA, actor="plugin:permission")
    routes = plugin_blueprint("catalog", Barrier(tokens, ready()))
    graph = Graph().put(entity("Component", "web", labels={"tier": "gold"}))
    add_permission_routes(routes, Judge(graph))
    return application(routes).test_client()


def apply(client, conditions, headers=SERVICE, **item):
    item = {"id": "1", "resourceRef": "component:default/web", **item}
    body = {"items": [{**item, "resourceType": "catalog-entity", "conditions": conditions}]}
    path = f"/api/catalog{PREFIX}/apply-conditions"
    return client.post(path, json=body, headers=headers)


def test_permissions_and_rules_are_described_to_everybody(client):
    answer = client.get(f"/api/catalog{PREFIX}/metadata", headers=USER).get_json()

    assert {"type": "basic", "name": "catalog.location.analyze", "attributes": {}} in (
        answer["permissions"]
    )
    assert [rule["name"] for rule in answer["rules"]][:2] == ["HAS_ANNOTATION", "HAS_LABEL"]


@pytest.mark.parametrize("headers", [SERVICE, FOR_ADA])
def test_conditions_are_applied_for_services(client, headers):
    answer = apply(client, LABELLED, headers)
    assert answer.get_json() == {"items": [{"id": "1", "result": "ALLOW"}]}

    answer = apply(client, {"not": LABELLED}, headers, resourceRef=["component:web", "api:none"])
    assert answer.get_json() == {"items": [{"id": "1", "result": ["DENY", "DENY"]}]}


def test_conditions_are_not_applied_for_users(client):
    assert error_of(apply(client, LABELLED, USER)) == (403, "NotAllowedError", "")
    assert apply(client, LABELLED, {}).status_code == 401


def test_a_rule_that_there_is_not_is_an_error_of_the_caller(client):
    message = "Permission rule 'NOPE' does not exist for resource type 'catalog-entity'"
    response = apply(client, {"rule": "NOPE", "resourceType": "catalog-entity"})
    assert error_of(response) == (500, "Error", message)


def test_parameters_that_are_wrong_are_told_in_full(client):
    response = apply(client, {**LABELLED, "params": {}})
    error = response.get_json()["error"]

    assert error_of(response)[:2] == (400, "InputError")
    assert error["message"] == (
        f"Parameters to rule are invalid; caused by {error['cause']['message']}"
    )
    assert error["cause"]["name"] == "ZodError"
    assert error["cause"]["issues"] == [
        {
            "code": "invalid_type",
            "expected": "string",
            "received": "undefined",
            "path": ["label"],
            "message": "Required",
        }
    ]


def test_a_body_that_is_none_is_refused(client):
    path = f"/api/catalog{PREFIX}/apply-conditions"
    assert error_of(client.post(path, headers=SERVICE))[:2] == (400, "InputError")
    malformed = {"data": "{bad", "content_type": "application/json"}
    assert error_of(client.post(path, headers=SERVICE, **malformed))[:2] == (400, "SyntaxError")
