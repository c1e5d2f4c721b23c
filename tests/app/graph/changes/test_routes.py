"""`/api/graph/changes` over HTTP: pages, refusals, and streams through a web process."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import pytest

from app.db import sequence
from app.db.statements import Statements
from app.graph.changes.recent import RecentChanges
from app.graph.changes.routes import add_change_routes
from app.graph.changes.stream import ChangeStreams
from app.graph.routes import graph_routes
from app.model.query import EVERYTHING, NOTHING, equals
from app.model.ref import EntityRef
from app.web.principals import UserPrincipal
from tests.app.graph.changes.feed_graph import FeedGraph, short
from tests.app.graph.serving import serving
from tests.app.web.plugins import USER, Tokens, application, barrier, error_of

AUTH = {"Authorization": USER["Authorization"]}


class Api:
    """The routes on a graph, as a client sees them."""

    def __init__(self, database):
        self.graph = FeedGraph(database)
        self.visible = EVERYTHING
        self.gate = barrier()
        routes = graph_routes(self.gate, lambda: b"{}")
        recent = RecentChanges(database, self.graph.feed.codec, every=0.01)
        streams = ChangeStreams(self.graph.feed, recent)
        add_change_routes(routes, streams, lambda _: self.visible)
        self.app = application(routes)
        self.client = self.app.test_client()

    def get(self, path="", **query):
        return self.client.get(f"/api/graph/changes{path}", query_string=query, headers=USER)

    def post(self, body):
        return self.client.post("/api/graph/changes", json=body, headers=USER)


@pytest.fixture
def api(database):
    return Api(database)


def told(answer):
    assert answer.status_code == 200, answer.data
    assert answer.content_type == "application/json; charset=utf-8"
    return [short(item) for item in answer.json["items"]]


def test_a_page_has_items_and_where_to_go_on(api):
    api.graph.put("web", "red")
    api.graph.put("web", "blue")
    api.graph.put("shop", "blue")

    answer = api.get(since=0, limit=2, filter="metadata.description=blue")

    assert told(answer) == [("update", "web", "blue", False), ("create", "shop", "blue", False)]
    assert (answer.json["next"], answer.json["newest"]) == (3, 3)


def test_without_a_place_the_page_says_where_to_begin(api):
    api.graph.put("web")

    assert api.get().json == {"items": [], "next": 1, "oldest": 0, "newest": 1}


def test_an_empty_graph_has_an_empty_page(api):
    assert api.get(since=0).json == {"items": [], "next": 0, "oldest": 0, "newest": 0}


def test_a_predicate_may_be_posted(api):
    api.graph.put("web", "red")
    api.graph.put("shop", "blue")

    answer = api.post({"since": 0, "query": {"metadata.name": {"$hasPrefix": "sh"}}})

    assert told(answer) == [("create", "shop", "blue", False)]
    assert told(api.post({"since": 0})) == told(api.get(since=0))


def test_fields_and_include_reduce_what_is_shown(api):
    api.graph.put("web")

    (some,) = api.get(since=0, fields="kind,metadata.name").json["items"]
    (ref,) = api.post({"since": 0, "include": "ref"}).json["items"]

    assert some["entity"] == {"kind": "Component", "metadata": {"name": "web"}}
    assert "entity" not in ref


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"since": "x"}, "request/query/since must be integer"),
        ({"since": -1}, "request/query/since must be >= 0"),
        ({"since": 1}, "There is no change 1 yet, the newest is 0"),
        ({"since": 10**30}, "request/query/since must be <= 9007199254740991"),
        ({"limit": 0}, "request/query/limit must be >= 1"),
        ({"limit": 1001}, "request/query/limit must be <= 1000"),
        ({"include": "all"}, "request/query/include must be equal to one of the allowed values"),
        ({"filter": "=x"}, "Invalid filter, '=x' is not a valid statement"),
        ({"other": 1}, "Unknown query parameter 'other'"),
        ({"fields": "a[0]"}, "Invalid field"),
    ],
)
def test_what_makes_no_sense_is_refused(api, query, says):
    status, name, message = error_of(api.get(**query))

    assert (status, name) == (400, "InputError")
    assert says in message


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"since": None}, "request/body/since must be integer"),
        ({"more": 1}, "request/body must NOT have additional properties"),
        ({"query": {"$any": 1}}, "Expected array, received object"),
        ({"since": 1.5}, "request/body/since must be integer"),
    ],
)
def test_a_body_that_makes_no_sense_is_refused(api, body, says):
    status, name, message = error_of(api.post(body))

    assert (status, name) == (400, "InputError")
    assert says in message


def test_a_place_that_is_not_kept_is_gone(api, database):
    for name in ("a", "b", "c"):
        api.graph.put(name)
    with database.begin() as connection:
        sequence.forget_before(Statements.on(connection), 2)

    for answer in (api.get(since=1), api.get("/stream", since=1)):
        assert error_of(answer)[:2] == (410, "HistoryGoneError")
        assert answer.json["error"]["oldest"] == 2
    assert len(api.get(since=2).json["items"]) == 1


def test_callers_see_the_changes_of_what_they_may_see(api):
    api.graph.put("web", "blue")
    api.graph.put("web", "red")
    api.visible = equals("metadata.description", "blue")

    assert told(api.get(since=0)) == [
        ("create", "web", "blue", False),
        ("update", "web", "blue", True),
    ]
    api.visible = NOTHING
    assert api.get(since=0).json == {"items": [], "next": 2, "oldest": 0, "newest": 2}


def test_who_does_not_say_who_they_are_gets_nothing(api):
    for path in ("/api/graph/changes", "/api/graph/changes/stream"):
        assert error_of(api.client.get(path))[0] == 401


# Streams


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/changes/stream", {}), ("/changes", {"Accept": "text/event-stream"})],
)
def test_a_stream_is_asked_for_by_path_or_by_type(api, path, headers):
    api.graph.put("web")
    with (
        serving(api.app) as web,
        web.open(f"/api/graph{path}?since=0", **AUTH, **headers) as reader,
    ):
        assert "200 ok" in reader.head
        assert "content-type: text/event-stream" in reader.head
        assert [short(change)[1] for change in reader.changes(1)] == ["web"]
        api.graph.put("shop")
        assert [short(change)[1] for change in reader.changes(1)] == ["shop"]


def test_an_interrupted_stream_goes_on_after_its_last_event(api):
    for name in "abcd":
        api.graph.put(name)
    path = "/api/graph/changes/stream?since=0"
    with serving(api.app) as web:
        with web.open(path, **AUTH) as reader:
            first = reader.changes(2)
        with web.open(path, **AUTH, Last_Event_ID=str(first[-1]["id"])) as reader:
            second = reader.changes(2)
        with web.open(path, **AUTH, Last_Event_ID="nonsense") as reader:
            assert "400 bad request" in reader.head

    assert [change["seq"] for change in first + second] == [1, 2, 3, 4]
    assert [change["id"] for change in first + second] == [1, 2, 3, 4]


def test_a_reader_that_does_not_read_holds_up_nobody_and_misses_nothing(api):
    path = "/api/graph/changes/stream?since=0"
    with (
        serving(api.app, threads=1) as web,
        web.open(path, **AUTH) as slow,
        web.open(path, **AUTH) as quick,
    ):
        # More than the buffers between the two hold.
        for number in range(60):
            api.graph.put(f"c{number}", "x" * 200_000)
        assert [change["seq"] for change in quick.changes(60)] == list(range(1, 61))
        api.graph.put("last")
        assert [change["seq"] for change in quick.changes(1)] == [61]

        assert [change["seq"] for change in slow.changes(61)] == list(range(1, 62))


def test_streams_end_with_the_process(api):
    with (
        serving(api.app) as web,
        web.open("/api/graph/changes/stream", **AUTH) as reader,
    ):
        reader.event()
        began = time.monotonic()
        web.stop()

        assert reader.rest().endswith(b"0\r\n\r\n")
        assert time.monotonic() - began < 3


def test_streams_end_with_the_token(api, monkeypatch):
    soon = UserPrincipal(EntityRef("user", "default", "ada"), expires_at=time.time() + 0.5)
    monkeypatch.setattr(Tokens, "authenticate", lambda *_, **__: soon)
    with (
        serving(api.app) as web,
        web.open("/api/graph/changes/stream", **AUTH) as reader,
    ):
        assert reader.rest().endswith(b"0\r\n\r\n")
    assert time.time() >= soon.expires_at


def test_hundreds_of_streams_take_no_threads(api):
    path = "/api/graph/changes/stream?filter=metadata.description=blue&include=ref"
    with serving(api.app, threads=2) as web, ExitStack() as stack:
        readers = [stack.enter_context(web.open(path, **AUTH)) for _ in range(300)]
        for reader in readers:
            assert reader.event()["event"] == "position"
        threads = threading.active_count()
        api.graph.put("web", "red")
        api.graph.put("shop", "blue")

        for reader in readers:
            assert [change["entityRef"] for change in reader.changes(1)] == [
                "component:default/shop"
            ]
        assert threads < 20
        assert threading.active_count() < 20
