"""`/api/graph`, history and past, over HTTP."""

from __future__ import annotations

import base64

import orjson
import pytest

from app.catalog.emission import Parent
from app.model.query import equals
from tests.app.catalog.write_side import Graph, emission
from tests.app.graph.api import Api
from tests.app.web.plugins import error_of

ONE = Parent("one")
A = "component%3Adefault%2Fa"


def ref(name):
    return f"component:default/{name}"


@pytest.fixture
def graph(database):
    """Changes 1 to 4 make a, b, c and d; 5 changes a, 6 removes b."""
    graph = Graph(database)
    graph.write(ONE, *(emission(ref(name)) for name in "abcd"))
    graph.write(ONE, emission(ref("a"), text="v2"))
    graph.drop(ONE, ref("b"))
    return graph


@pytest.fixture
def api(graph):
    api = Api(graph)
    yield api
    api.snapshots.close()


def names(response):
    assert response.status_code == 200, response.data
    return [item["metadata"]["name"] for item in response.get_json()["items"]]


def test_the_history_of_an_entity(api):
    found = api.get(f"/entities/{A}/history?summary=true").get_json()
    assert [item["changed"] for item in found["items"]] == [["/metadata/description"], [""]]
    assert api.get("/entities/component:A/history").get_json()["items"]
    assert api.get("/entities/component:default/b/history?limit=1").get_json()["pageInfo"] == {
        "nextCursor": "6"
    }


def test_the_differences_of_an_entity(api):
    found = api.get(f"/entities/{A}/diff?from=4&to=5").get_json()
    assert [one["pointer"] for one in found["changes"]] == ["/metadata/description"]


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/entities/a/history", 400, "missing or empty kind"),
        (f"/entities/{A}/history?limit=0", 400, "request/query/limit must be >= 1"),
        (f"/entities/{A}/history?limit=501", 400, "request/query/limit must be <= 500"),
        (f"/entities/{A}/history?summary=x", 400, "request/query/summary must be boolean"),
        (f"/entities/{A}/history?x=1", 400, "Unknown query parameter 'x'"),
        (f"/entities/{A}/diff?from=x", 400, "from must be a sequence number or a time"),
        ("/entities/component:default%2Fnope/diff", 404, "No history of component:default/nope"),
        ("/entities/by-query?asOf=7", 400, "asOf is in the future"),
        ("/entities/by-name/component/default/b?asOf=6", 404, "No entity named 'b' found"),
        ("/entity-facets?facet=kind&asOf=x", 400, "asOf must be a sequence number or a time"),
    ],
)
def test_what_is_asked_wrongly_is_refused(api, path, status, message):
    response = api.get(path)
    assert response.status_code == status
    assert message in error_of(response)[2]


# -- the past -------------------------------------------------------------------------------------


def test_listings_lookups_and_facets_of_then(api):
    order = "orderField=metadata.name"
    assert names(api.get(f"/entities/by-query?{order}")) == ["a", "c", "d"]
    assert names(api.get(f"/entities/by-query?{order}&asOf=5")) == ["a", "b", "c", "d"]
    assert names(api.get(f"/entities/by-query?{order}&asOf=2")) == ["a", "b"]
    query = {"query": {"metadata.description": "v1"}, "orderBy": []}
    assert sorted(names(api.post("/entities/by-query?asOf=5", query))) == ["b", "c", "d"]
    assert sorted(names(api.post("/entities/by-query", query))) == ["c", "d"]
    found = api.get("/entities/by-name/component/default/a?asOf=4").get_json()
    assert found["metadata"]["description"] == "v1"
    for facets in (
        api.get("/entity-facets?facet=metadata.description&asOf=5"),
        api.post("/entity-facets?asOf=5", {"facets": ["metadata.description"]}),
    ):
        assert facets.get_json()["facets"]["metadata.description"] == [
            {"value": "v1", "count": 3},
            {"value": "v2", "count": 1},
        ]


def test_a_cursor_stays_in_its_moment_whatever_happens(api, graph):
    order = "orderField=metadata.name&limit=2"
    first = api.get(f"/entities/by-query?{order}&asOf=5")
    cursor = first.get_json()["pageInfo"]["nextCursor"]
    graph.drop(ONE, ref("c"), ref("d"))

    assert names(api.get(f"/entities/by-query?cursor={cursor}&limit=2")) == ["c", "d"]
    assert names(api.get(f"/entities/by-query?cursor={cursor}&limit=2&asOf=5")) == ["c", "d"]
    assert names(api.post("/entities/by-query", {"cursor": cursor, "limit": 2})) == ["c", "d"]
    response = api.get(f"/entities/by-query?cursor={cursor}&asOf=4")
    assert "belongs to a listing as of 5" in error_of(response)[2]


def test_a_cursor_of_the_present_is_no_way_into_the_past(api):
    page = api.get("/entities/by-query?orderField=metadata.name&limit=1").get_json()
    cursor = page["pageInfo"]["nextCursor"]
    response = api.get(f"/entities/by-query?cursor={cursor}&asOf=5")
    assert "belongs to a listing of the present" in error_of(response)[2]


def test_a_made_up_cursor_is_held_to_what_is_known(api):
    page = api.get("/entities/by-query?orderField=metadata.name&limit=1").get_json()
    parts = orjson.loads(base64.b64decode(page["pageInfo"]["nextCursor"]))
    for as_of, message in ((10**12, "in the future"), ("x", "asOf"), (True, "asOf")):
        cursor = base64.b64encode(orjson.dumps({**parts, "asOf": as_of})).decode()
        response = api.get(f"/entities/by-query?cursor={cursor}")
        assert response.status_code == 400
        assert message in error_of(response)[2]


def test_tags_are_of_the_moment_and_save_the_work(api, graph):
    path = "/entities/by-query?asOf=5"
    tag = api.get(path).headers["ETag"]
    graph.write(ONE, emission(ref("c"), text="v3"))
    assert api.get(path, **{"If-None-Match": tag}).status_code == 304
    assert api.get("/entities/by-query?asOf=4").headers["ETag"] != tag


def test_the_past_is_shown_as_the_caller_might_have_seen_it(api):
    api.seen = equals("metadata.description", "v1")
    assert sorted(names(api.get("/entities/by-query?asOf=5"))) == ["b", "c", "d"]
    assert api.get("/entities/by-name/component/default/a?asOf=5").status_code == 404
    assert api.get("/entities/by-name/component/default/a?asOf=4").status_code == 200
    assert api.get(f"/entities/{A}/history").status_code == 404


# -- undoing --------------------------------------------------------------------------------------


def test_a_change_is_undone_by_whoever_asks(api, graph):
    looked = api.post("/changes/5/undo?dryRun=true").get_json()
    assert looked["dryRun"] is True
    assert graph.text(ref("a")) == "v2"

    undone = api.post("/changes/5/undo")

    assert undone.status_code == 200
    assert graph.text(ref("a")) == "v1"
    newest = api.get(f"/entities/{A}/history?limit=1").get_json()["items"][0]["cause"]
    assert newest["actor"] == "user:default/ada"
    assert newest["undo"] == "5"
    assert newest["request"]
    assert api.post("/changes/5/undo").status_code == 409
    assert api.post("/changes/99/undo").status_code == 404
    assert api.post(f"/changes/{10**30}/undo").status_code == 404
    assert api.post("/sources/one/undo").status_code == 404
    assert api.post("/changes/5/undo?dryRun=perhaps").status_code == 400


@pytest.mark.parametrize("allowed", [{"create"}, {"delete"}, set()])
def test_undoing_wants_the_permission_to_make_and_to_remove(api, graph, allowed):
    api.allowed = allowed
    for path in ("/changes/5/undo", "/changes/5/undo?dryRun=true", "/sources/one/undo"):
        assert api.post(path).status_code == 403
    assert graph.text(ref("a")) == "v2"


def test_an_entity_may_be_called_history(api, graph):
    graph.write(ONE, emission(ref("history")))
    found = api.get("/entities/by-name/component/default/history?asOf=7").get_json()
    assert found["metadata"]["name"] == "history"
    page = api.get("/entities/component:default/history/history").get_json()
    assert page["entityRef"] == "component:default/history"
