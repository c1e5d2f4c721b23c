"""Neighbours, impact, paths and queries over HTTP."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from app.errors import InputError
from app.model.query import Not, equals
from tests.app.catalog.graph import Graph, entity
from tests.app.catalog.platform import Platform
from tests.app.graph.web_graph import graph_api
from tests.app.web.plugins import error_of
from tests.builders import api as an_api
from tests.builders import component, group
from tests.builders import entity as any_entity

WEB, SHOP, CART, DB = (f"component:default/{name}" for name in ("web", "shop", "cart", "db"))
REST, TEAM, OTHERS = "api:default/rest", "group:default/team-a", "group:default/team-b"
OLD = "component:default/old"
SALES = "system:default/sales"


@pytest.fixture
def platform(database, tmp_path):
    """Shop and cart need the db; web consumes what cart provides; sales consists of shop."""
    platform = Platform(database, tmp_path)
    platform.source(
        group("team-a"),
        group("team-b"),
        any_entity("System", "sales", owner="team-a"),
        an_api("rest"),
        component("db"),
        component("cart", dependsOn=[DB], providesApis=["rest"]),
        component("shop", dependsOn=[DB, CART], system="sales", owner="team-b"),
        component("web", consumesApis=["rest"], dependsOn=["component:gone"]),
    )
    return platform


@pytest.fixture
def api(platform):
    with graph_api(platform) as api:
        yield api


def answer(response):
    assert response.status_code == 200, response.data
    return response.get_json()


def found(response):
    return [(node["ref"], node["depth"]) for node in answer(response)["nodes"]]


def refusal(response):
    status, name, message = error_of(response)
    assert (status, name) == (400, "InputError")
    return message


# -- neighbours -----------------------------------------------------------------------------------


def test_neighbours_are_what_an_entity_has_relations_to(api):
    assert found(api.get(f"/entities/{CART}/neighbours")) == [
        (REST, 1),
        (DB, 1),
        (SHOP, 1),
        (TEAM, 1),
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("types=dependsOn", [DB]),
        ("types=dependsOn&direction=incoming", [SHOP]),
        ("types=dependsOn&direction=both", [DB, SHOP]),
        ("types=dependencyOf,providesApi", [REST, SHOP]),
        ("types=*&depth=1", [REST, DB, SHOP, TEAM]),
    ],
)
def test_neighbours_can_be_limited_to_relations_and_a_direction(api, query, expected):
    assert [ref for ref, _ in found(api.get(f"/entities/{CART}/neighbours?{query}"))] == expected


def test_the_ref_may_be_encoded_and_written_in_any_case(api):
    for ref in ("Component:Default/CART", "component%3Adefault%2Fcart", "component:cart"):
        assert found(api.get(f"/entities/{ref}/neighbours?types=dependsOn")) == [(DB, 1)]


def test_neighbours_of_neighbours_come_with_a_path(api):
    nodes = answer(api.get(f"/entities/{SHOP}/neighbours?types=dependsOn,providesApi&depth=2"))

    assert [(n["ref"], n["depth"]) for n in nodes["nodes"]] == [(CART, 1), (DB, 1), (REST, 2)]
    assert nodes["nodes"][2]["path"] == {
        "refs": [SHOP, CART, REST],
        "relations": ["dependsOn", "providesApi"],
    }
    assert (nodes["totalItems"], nodes["visited"], nodes["truncated"]) == (3, 4, None)


def test_edges_between_what_is_answered_are_drawn_once(api):
    url = f"/entities/{SHOP}/neighbours?depth=2&edges=true&types=dependsOn&direction=both"

    assert [
        (edge["sourceRef"], edge["type"], edge["targetRef"])
        for edge in answer(api.get(url))["edges"]
    ] == [(CART, "dependsOn", DB), (SHOP, "dependsOn", CART), (SHOP, "dependsOn", DB)]


def test_entities_come_along_if_fields_are_asked_for(api):
    url = f"/entities/{CART}/neighbours?types=dependsOn"

    assert "entity" not in answer(api.get(url))["nodes"][0]
    reduced = answer(api.get(f"{url}&fields=kind,metadata.name"))["nodes"][0]["entity"]
    assert reduced == {"kind": "Component", "metadata": {"name": "db"}}
    assert answer(api.get(f"{url}&fields=*"))["nodes"][0]["entity"]["spec"]["owner"] == "team-a"


def test_pages_follow_each_other(api):
    url = f"/entities/{CART}/neighbours?depth=3&limit=3"
    refs, cursor = [], ""
    while True:
        page = answer(api.get(url + cursor))
        refs += [node["ref"] for node in page["nodes"]]
        assert len(page["nodes"]) <= 3
        if not page["pageInfo"]:
            break
        cursor = f"&cursor={page['pageInfo']['nextCursor']}"

    assert refs == [ref for ref, _ in found(api.get(f"/entities/{CART}/neighbours?depth=3"))]
    assert page["totalItems"] == len(refs)


@pytest.mark.parametrize("what", ["neighbours", "impact"])
def test_what_does_not_exist_has_none(api, what):
    assert error_of(api.get(f"/entities/component:nope/{what}")) == (
        404,
        "NotFoundError",
        "No such entity component:default/nope",
    )


# -- impact ---------------------------------------------------------------------------------------


def test_the_impact_is_what_depends_on_it_and_on_its_apis(api):
    impact = answer(api.get(f"/entities/{DB}/impact"))

    assert [(n["ref"], n["depth"]) for n in impact["nodes"]] == [
        (CART, 1),
        (SHOP, 1),
        (REST, 2),
        (WEB, 3),
    ]
    assert impact["owners"] == [{"ref": TEAM, "count": 3}, {"ref": OTHERS, "count": 1}]


def test_the_impact_of_a_system_is_its_parts_and_of_a_group_what_it_owns(api):
    assert found(api.get(f"/entities/{SALES}/impact")) == [(SHOP, 1)]
    assert found(api.get(f"/entities/{OTHERS}/impact")) == [(SHOP, 1)]


def test_the_impact_can_be_limited(api):
    assert found(api.get(f"/entities/{DB}/impact?depth=1")) == [(CART, 1), (SHOP, 1)]
    assert found(api.get(f"/entities/{SHOP}/impact?types=ownedBy")) == [(OTHERS, 1)]


def test_an_impact_beyond_the_depth_that_is_walked_says_so(platform):
    with graph_api(platform, depth=2) as api:
        assert answer(api.get(f"/entities/{DB}/impact"))["truncated"]["reason"] == "depth"
        assert answer(api.get(f"/entities/{DB}/impact?depth=2"))["truncated"] is None


# -- paths ----------------------------------------------------------------------------------------


def test_the_shortest_paths_are_found(api):
    paths = answer(api.get(f"/paths?from={WEB}&to={DB}&types=consumesApi,apiProvidedBy,dependsOn"))

    assert (paths["length"], paths["hasMore"]) == (3, False)
    assert paths["paths"] == [
        {
            "refs": [WEB, REST, CART, DB],
            "relations": ["consumesApi", "apiProvidedBy", "dependsOn"],
        }
    ]


def test_several_paths_of_one_length_are_in_order_and_can_be_limited(api):
    paths = answer(api.get(f"/paths?from={CART}&to={WEB}"))
    assert [path["refs"][1] for path in paths["paths"]] == [REST, TEAM]
    paths = answer(api.get(f"/paths?from={CART}&to={WEB}&limit=1"))
    assert (len(paths["paths"]), paths["hasMore"]) == (1, True)


def test_there_may_be_no_path_and_one_to_oneself_is_empty(api):
    none = answer(api.get(f"/paths?from={DB}&to={WEB}&types=dependsOn"))
    assert (none["paths"], none["length"]) == ([], None)
    self = answer(api.get(f"/paths?from={DB}&to={DB}"))
    assert self["paths"] == [{"refs": [DB], "relations": []}]
    too_far = answer(api.get(f"/paths?from={WEB}&to={DB}&depth=1"))
    assert too_far["paths"] == []


def test_both_ends_have_to_exist(api):
    assert error_of(api.get(f"/paths?from={WEB}&to=component:nope"))[2] == (
        "No such entity component:default/nope"
    )


# -- queries --------------------------------------------------------------------------------------


def test_a_query_starts_from_a_filter_and_ends_at_another(api):
    body = {
        "start": {"filter": "kind=component,spec.owner=team-a"},
        "follow": [{"types": ["dependsOn"]}, {"types": ["dependsOn"], "direction": "incoming"}],
        "depth": {"min": 1, "max": 3},
        "end": {"query": {"spec.owner": "team-b"}},
    }
    assert found(api.post("/query", body)) == [(SHOP, 1)]


def test_a_query_starts_from_refs_and_names_those_that_are_not_there(api):
    body = {"start": {"refs": ["component:web", "component:nope"]}, "depth": {"min": 0, "max": 0}}
    result = answer(api.post("/query", body))

    assert [node["ref"] for node in result["nodes"]] == [WEB]
    assert result["missing"] == ["component:default/nope"]


def test_all_conditions_of_a_start_have_to_hold(api):
    start = {"filter": ["kind=component", "kind=api"], "query": {"spec.owner": "team-a"}}
    body = {"start": {**start, "refs": [WEB, SHOP, REST, TEAM]}, "depth": {"min": 0, "max": 0}}

    assert [ref for ref, _ in found(api.post("/query", body))] == [REST, WEB]


def test_without_a_deepest_level_a_walk_goes_on_to_the_end(api):
    body = {"start": {"refs": [DB]}, "depth": {"min": 2}}

    assert (OTHERS, 2) in found(api.post("/query", body))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "request/body must have required property 'start'"),
        ({"start": {}}, "request/body/start must have a filter, a query or refs"),
        ({"start": {"filter": [1]}}, "request/body/start/filter must be a filter or a list"),
        ({"start": {"refs": ["web"]}}, 'Entity reference "web" had missing or empty kind'),
        ({"start": {"query": {"$x": 1}}}, "Invalid query: Validation error"),
        (
            {"follow": [{"types": ["eats"]}]},
            "Unknown relation type 'eats'; known are api",
        ),
        ({"follow": [{"types": []}]}, 'types must be "*" or a list of relation types'),
        ({"follow": [{"direction": "up"}]}, "direction must be equal to one of"),
        ({"depth": {"max": 101}}, "depth is at most 100"),
        ({"depth": {"min": 3, "max": 2}}, "depth.min must not be more than depth.max"),
        ({"limit": 0}, "request/body/limit must be >= 1"),
        ({"limit": 1001}, "request/body/limit must be <= 1000"),
        ({"cursor": "!"}, "Malformed cursor"),
        ({"cursor": "eyJkZXB0aCI6MX0="}, "Malformed cursor: Expected a depth and a ref"),
        ({"fields": ["a[0]"]}, "array type fields are not supported"),
        ({"whatever": 1}, "must NOT have additional properties"),
        ({"asOf": "5"}, "asOf cannot be answered"),
    ],
)
def test_what_is_wrong_with_a_query_is_named(api, body, message):
    given = body if "start" in body or not body else {"start": {"refs": [WEB]}, **body}
    assert message in refusal(api.post("/query", given))


def test_a_query_that_is_too_large_answers_what_it_found(platform):
    with graph_api(platform, nodes=3) as api:
        result = answer(api.post("/query", {"start": {"refs": [SHOP]}}))

    assert result["truncated"]["reason"] == "nodes"
    assert result["visited"] == 3


# -- who asks, and when ---------------------------------------------------------------------------


def test_what_a_caller_may_not_see_is_neither_shown_nor_walked_through(platform):
    with graph_api(platform, visible=lambda _: Not(equals("kind", "api"))) as api:
        assert found(api.get(f"/entities/{DB}/impact")) == [(CART, 1), (SHOP, 1)]
        assert error_of(api.get(f"/entities/{REST}/neighbours"))[0] == 404
        assert error_of(api.get(f"/paths?from={WEB}&to={REST}"))[0] == 404
        result = answer(api.post("/query", {"start": {"refs": [REST]}}))
        assert (result["nodes"], result["missing"]) == ([], [REST])


@dataclass
class Yesterday:
    """A past that has one state."""

    graph: Graph

    def resolve(self, text, name="asOf"):
        if text != "7":
            raise InputError(f"{name} is before the history begins")
        return 7

    def at(self, seq):
        assert seq == 7
        return self.graph


def test_the_past_is_walked_through_as_it_was(platform):
    past = Graph().put(
        entity("Component", "web", relations=[("dependsOn", OLD)]),
        entity("Component", "old", relations=[("dependencyOf", WEB)]),
    )
    with graph_api(platform, past=Yesterday(past)) as api:
        assert found(api.get(f"/entities/{WEB}/neighbours?asOf=7")) == [(OLD, 1)]
        assert found(api.get(f"/entities/{WEB}/neighbours")) == [(REST, 1), (TEAM, 1)]
        assert found(api.get("/entities/component:old/impact?asOf=7")) == [(WEB, 1)]
        body = {"start": {"refs": [WEB]}, "asOf": "7"}
        assert found(api.post("/query", body)) == [(OLD, 1)]
        path = answer(api.get(f"/paths?from={WEB}&to=component:old&asOf=7"))
        assert path["length"] == 1
        assert "before the history begins" in refusal(api.get(f"/entities/{WEB}/impact?asOf=1"))


def test_an_explanation_is_served(api):
    explanation = answer(api.get(f"/entities/{WEB}/explain"))

    assert explanation["state"] == "served"
    assert [one["targetRef"] for one in explanation["dangling"]] == ["component:default/gone"]
    assert refusal(api.get("/entities/web/explain")).startswith(
        'Entity reference "web" had missing'
    )
    assert "NUL" in refusal(api.get("/entities/component:a%00b/explain"))


def test_what_is_written_is_walked_through_at_once(platform, api):
    platform.source(component("new", dependsOn=[DB]), name="other")

    assert ("component:default/new", 1) in found(api.get(f"/entities/{DB}/impact"))
