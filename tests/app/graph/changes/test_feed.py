"""The change feed: all that was committed, once, in order, and only what concerns the reader."""

from __future__ import annotations

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.catalog.filters import read_filters
from app.catalog.projection import parse_fields
from app.db import sequence
from app.db.statements import Statements
from app.errors import InputError
from app.graph.changes.change import Lens
from app.graph.changes.feed import Bounds, HistoryGoneError
from app.model.query import NOTHING, IdIn, both
from tests.app.graph.changes.feed_graph import FeedGraph, copied, served


@pytest.fixture
def graph(database):
    return FeedGraph(database)


def lens(*filters, **options):
    return Lens(read_filters(filters).expression, **options)


BLUE = lens("metadata.description=blue")


def test_every_change_is_told_in_order_with_the_entity_after_it(graph):
    graph.put("web")
    graph.put("web", "v2")
    graph.put("shop")
    graph.drop("web")

    assert graph.told() == [
        ("create", "web", "v1", False),
        ("update", "web", "v2", False),
        ("create", "shop", "v1", False),
        ("delete", "web", "v2", True),
    ]
    assert [item["seq"] for item in graph.items()] == [1, 2, 3, 4]


def test_an_item_says_which_entity_when_and_why(graph):
    graph.put("web")

    (item,) = graph.items()

    assert set(item) == {"seq", "at", "operation", "entityRef", "etag", "cause", "entity"}
    assert item["entityRef"] == "component:default/web"
    assert item["etag"] == item["entity"]["metadata"]["etag"]
    assert item["cause"]["source"] == "git"
    assert item["at"].endswith("Z")
    assert item["entity"] == graph.graph.served("component:default/web")


def test_a_reader_goes_on_where_a_page_ended(graph):
    for number in range(10):
        graph.put(f"c{number}")

    page = graph.feed.page(0, Lens(), Bounds(items=4))
    rest = graph.feed.page(page.next, Lens(), Bounds(items=100))

    assert [seq for seq, _ in page.items] == [1, 2, 3, 4]
    assert [seq for seq, _ in rest.items] == list(range(5, 11))
    assert (page.next, page.span.newest, rest.next) == (4, 10, 10)
    assert graph.feed.page(10, Lens()).items == []


def test_a_filter_tells_what_comes_changes_and_leaves(graph):
    graph.put("web", "red")
    graph.put("web", "blue")
    graph.put("other", "red")
    graph.put("web", "blue", ("ownedBy", "group:default/a"))
    graph.put("web", "green")
    graph.put("web", "red")
    graph.put("shop", "blue")
    graph.drop("shop")
    graph.drop("web")

    assert graph.told(lens=BLUE) == [
        ("update", "web", "blue", False),
        ("update", "web", "blue", False),
        ("update", "web", "blue", True),
        ("create", "shop", "blue", False),
        ("delete", "shop", "blue", True),
    ]


def test_an_entity_that_comes_back_is_new(graph):
    graph.put("web", "blue")
    graph.drop("web")
    graph.put("web", "blue")

    assert [told[0] for told in graph.told(lens=BLUE)] == ["create", "delete", "create"]


def test_what_left_is_shown_as_the_reader_saw_it_last(graph):
    graph.put("web", "blue")
    graph.put("web", "hidden")

    (_, left) = graph.items(lens=BLUE)

    assert left["left"] is True
    assert left["entity"]["metadata"]["description"] == "blue"


def test_a_page_looks_at_so_many_changes_and_no_more(graph):
    for number in range(10):
        graph.put(f"c{number}", "red")
    graph.put("web", "blue")

    page = graph.feed.page(0, BLUE, Bounds(scanned=4))

    assert (page.items, page.next, page.span.newest) == ([], 4, 11)
    assert graph.told(lens=BLUE, scanned=4) == [("create", "web", "blue", False)]


def test_a_page_ends_when_it_is_large_but_is_never_empty_for_that(graph):
    for number in range(5):
        graph.put(f"c{number}", "x" * 2000)

    page = graph.feed.page(0, Lens(), Bounds(bytes=3000))

    assert [seq for seq, _ in page.items] == [1, 2]
    assert page.next == 2
    assert len(graph.feed.page(0, Lens(), Bounds(bytes=1)).items) == 1
    assert len(graph.told(bytes=1)) == 5


def test_a_page_may_end_at_a_place_that_was_said_before(graph):
    for number in range(5):
        graph.put(f"c{number}")

    page = graph.feed.page(1, Lens(), Bounds(until=3))

    assert [seq for seq, _ in page.items] == [2, 3]
    assert (page.next, page.span.newest) == (3, 5)


def test_fields_and_include_say_what_to_show(graph):
    graph.put("web")

    (some,) = graph.items(lens=Lens(fields=parse_fields(["kind", "metadata.name"])))
    (none,) = graph.items(lens=Lens(has_entity=False))

    assert some["entity"] == {"kind": "Component", "metadata": {"name": "web"}}
    assert "entity" not in none
    assert none["entityRef"] == "component:default/web"


def test_who_may_see_nothing_is_told_nothing_and_gets_on(graph):
    graph.put("web")

    page = graph.feed.page(0, Lens(NOTHING))

    assert (page.items, page.next) == ([], 1)


def test_who_may_see_some_entities_is_told_of_those(graph):
    graph.put("web", "blue")
    graph.put("shop", "blue")
    ((web,),) = graph.graph.rows("SELECT id FROM ref WHERE ref = 'component:default/web'")

    seen = Lens(both(IdIn((web,)), BLUE.expression))

    assert [told[1] for told in graph.told(lens=seen)] == ["web"]


def test_what_is_not_kept_any_more_is_refused_with_the_oldest_place(graph, database):
    for number in range(5):
        graph.put(f"c{number}")
    with database.begin() as connection:
        sql = Statements.on(connection)
        sequence.forget_before(sql, 3)
        sql.execute("DELETE FROM change WHERE seq < 3")

    with pytest.raises(HistoryGoneError, match="since=3") as gone:
        graph.feed.page(2, Lens())

    assert (gone.value.status, gone.value.properties) == (410, {"oldest": 3})
    assert [item["seq"] for item in graph.items(3)] == [4, 5]


def test_what_has_not_happened_yet_is_refused(graph):
    graph.put("web")

    with pytest.raises(InputError, match="no change 2 yet, the newest is 1"):
        graph.feed.page(2, Lens())


def test_a_reader_without_a_place_begins_with_what_comes_next(graph):
    graph.put("web")

    assert graph.feed.start(None) == 1
    assert graph.feed.start(0) == 0
    with pytest.raises(InputError):
        graph.feed.start(5)


NAMES, COLOURS = ["web", "shop", "cart"], ["red", "blue", "green"]
STEPS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from([*COLOURS, ""])), min_size=1, max_size=9
)
FILTERS = st.sampled_from(
    [
        ["metadata.description=blue"],
        ["metadata.name=web", "metadata.description=green"],
        ["kind=component,metadata.description=red,metadata.description=blue"],
        ["kind"],
        ["spec.nothing"],
    ]
)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS, filters=FILTERS, size=st.integers(1, 4))
def test_a_copy_kept_by_the_feed_equals_what_the_index_finds(graph, database, steps, filters, size):
    seen = lens(*filters)
    for name, colour in steps:
        if colour:
            graph.put(name, colour)
        else:
            graph.drop(name)

    items = graph.items(lens=seen, items=size, scanned=5 - size)

    assert copied(items) == served(database, seen.expression)


def test_a_follower_of_concurrent_writers_gets_each_change_once_and_in_order(graph):
    writers = [threading.Thread(target=write, args=(graph, n)) for n in range(3)]
    for writer in writers:
        writer.start()
    followed, since = [], 0
    while any(writer.is_alive() for writer in writers) or since < graph.newest:
        page = graph.feed.page(since, Lens(), Bounds(items=7))
        followed += [seq for seq, _ in page.items]
        since = page.next
    for writer in writers:
        writer.join()

    (logged,) = zip(*graph.graph.rows("SELECT seq FROM change ORDER BY seq"), strict=True)
    assert followed == list(logged) == list(range(1, len(logged) + 1))
    assert len(followed) == 36


def write(graph: FeedGraph, number: int) -> None:
    for turn in range(4):
        for name in ("a", "b", "c"):
            graph.put(f"{name}{number}", f"v{turn}")
