"""`/api/graph/sources`: what they tell, and what they answer to pushes that are not right."""

from __future__ import annotations

import pytest

from tests.app.graph.push.test_service import entity
from tests.app.graph.write_api import WriteApi
from tests.app.web.plugins import SERVICE, USER, error_of

PATH = "/api/graph/sources/cmdb/entities"


@pytest.fixture
def api(database, tmp_path):
    api = WriteApi(database, tmp_path)
    yield api
    api.close()


def put(api, headers=SERVICE, path=PATH, query="", **body):
    return api.client.put(path, json=body, headers=headers, query_string=query)


def patch(api, headers=SERVICE, **body):
    return api.client.patch(PATH, json=body, headers=headers)


def test_a_push_is_receipted_and_the_source_tells_of_it(api):
    response = put(api, version=1, entities=[entity("web"), entity("api")])
    assert (response.status_code, response.get_json()) == (
        200,
        {
            "source": "push:cmdb", "version": 1, "applied": True, "written": 2, "unchanged": 0,
            "removed": 0, "changed": 2, "problems": [], "conflicts": [],
        },
    )  # fmt: skip
    found = patch(api, version=2, base=1, upsert=[entity("job")], delete=["component:api"])
    assert (found.get_json()["written"], found.get_json()["removed"]) == (1, 1)

    source = api.client.get("/api/graph/sources/push:cmdb", headers=USER).get_json()
    assert (source["name"], source["entities"]) == ("push:cmdb", 2)
    assert source["lastPush"]["version"] == 2
    assert source["lastRun"]["state"] == "done"
    listed = api.client.get("/api/graph/sources", headers=USER).get_json()
    assert [one["name"] for one in listed["items"]] == ["push:cmdb"]


def test_versions_may_come_as_headers(api):
    versions = {"Callboard-Version": "7"}
    assert put(api, {**SERVICE, **versions}, entities=[]).get_json()["version"] == 7
    response = patch(api, {**SERVICE, "Callboard-Version": "8", "Callboard-Base": "7"})
    assert response.get_json()["version"] == 8
    contradiction = put(api, {**SERVICE, **versions}, version=9, entities=[])
    assert "contradict each other" in error_of(contradiction)[2]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"entities": []}, "request/body must have required property 'version'"),
        ({"version": 1}, "request/body must have required property 'entities'"),
        ({"version": 0, "entities": []}, "request/body/version must be from 1 to"),
        ({"version": 2**53, "entities": []}, "request/body/version must be from 1 to"),
        ({"version": 1, "entities": [7]}, "request/body/entities/0 must be object"),
        ({"version": 1, "entities": [], "more": 1}, "must NOT have additional properties"),
        ({"version": 1, "entities": [{}] * 101}, "at most 100 entities at once"),
    ],
)
def test_what_is_no_push_is_refused(api, body, message):
    status, name, said = error_of(put(api, **body))
    assert (status, name) == (400, "InputError")
    assert message in said


def test_a_delta_has_to_lead_forward(api):
    assert "must have required property 'base'" in error_of(patch(api, version=1))[2]
    assert "greater than base, which is 3" in error_of(patch(api, version=3, base=3))[2]
    headers = {**SERVICE, "Callboard-Base": "one"}
    assert "callboard-base must be integer" in error_of(patch(api, headers, version=1))[2]


def test_a_version_that_does_not_follow_is_refused_with_the_current_one(api):
    put(api, version=5, entities=[entity("web")])
    refused = put(api, version=5, entities=[entity("other")])
    assert error_of(refused)[:2] == (409, "ConflictError")
    assert refused.get_json()["error"]["currentVersion"] == 5
    assert put(api, version=5, entities=[entity("web")]).get_json()["applied"] is False


def test_every_problem_is_told_with_its_pointer(api):
    refused = put(api, version=1, entities=[entity("fine"), {"kind": "Component"}])
    assert error_of(refused)[:2] == (400, "InputError")
    error = refused.get_json()["error"]
    assert (error["problemCount"], error["problems"][0]["pointer"]) == (1, "/entities/1")
    query = "onProblem=skip"
    taken = put(api, query=query, version=1, entities=[entity("fine"), {"kind": "Component"}])
    assert [problem["pointer"] for problem in taken.get_json()["problems"]] == ["/entities/1"]
    assert error_of(put(api, query="onProblem=x", version=2, entities=[]))[0] == 400


def test_a_mass_removal_has_to_be_forced(api):
    put(api, version=1, entities=[entity(f"n{number}") for number in range(6)])
    assert error_of(put(api, version=2, entities=[]))[:2] == (409, "ConflictError")
    assert put(api, query="force=true", version=2, entities=[]).get_json()["removed"] == 6


def test_only_services_that_are_named_may_push(api):
    body = {"version": 1, "entities": []}
    assert error_of(api.client.put(PATH, json=body))[0] == 401
    assert error_of(put(api, USER, **body))[:2] == (403, "NotAllowedError")
    other = "/api/graph/sources/other/entities"
    assert error_of(put(api, path=other, **body))[:2] == (404, "NotFoundError")
    api.may = False
    assert error_of(api.client.get("/api/graph/sources", headers=USER))[0] == 403
    assert error_of(api.client.get("/api/graph/sources/cmdb", headers=USER))[0] == 403


def test_more_than_a_source_may_send_is_refused(api):
    large = entity("web", note="x" * 100_000)
    status, _, said = error_of(put(api, version=1, entities=[large]))
    assert (status, "too large" in said) == (400, True)
