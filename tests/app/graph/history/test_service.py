"""The history of one entity: what is listed, what differs, and who may see it."""

from __future__ import annotations

import pytest

from app.catalog.emission import Parent
from app.catalog.snapshot import Snapshots
from app.db import sequence
from app.db.statements import Statements
from app.errors import InputError, NotFoundError
from app.graph.history.service import History, HistoryRequest
from app.model.query import NOTHING, equals
from app.model.ref import EntityRef
from tests.app.catalog.write_side import Graph, emission

ONE = Parent("one")
A, B = "component:default/a", "component:default/b"
REF = EntityRef.parse(A)


@pytest.fixture
def graph(database):
    return Graph(database)


@pytest.fixture
def history(graph, database):
    snapshots = Snapshots(database)
    yield History(snapshots, graph.writer.codec)
    snapshots.close()


@pytest.fixture
def written(graph):
    """Changes 1 to 5: made, changed, related, removed with what was related, made again."""
    graph.write(ONE, emission(A))
    graph.write(ONE, emission(A, text="v2"))
    graph.write(ONE, emission(A, ("ownedBy", B), text="v2"))
    graph.drop(ONE, A)
    graph.write(ONE, emission(A, text="v3"))
    return graph


def listed(found):
    return [(item["seq"], item["operation"]) for item in found["items"]]


def test_changes_are_listed_newest_first(history, written):
    found = history.changes(REF, HistoryRequest())

    assert listed(found) == [
        (5, "create"), (4, "delete"), (3, "update"), (2, "update"), (1, "create"),
    ]  # fmt: skip
    assert found["entityRef"] == A
    assert found["pageInfo"] == {}
    newest = found["items"][0]
    assert newest["cause"]["source"] == "one"
    assert newest["at"].endswith("Z")
    assert len(newest["etag"]) == 40


def test_changes_are_paged(history, written):
    seen, cursor = [], None
    while True:
        page = history.changes(REF, HistoryRequest(2, cursor))
        seen += [seq for seq, _ in listed(page)]
        cursor = page["pageInfo"].get("nextCursor")
        if cursor is None:
            break
    assert seen == [5, 4, 3, 2, 1]


def test_a_summary_points_to_what_changed(history, written):
    found = history.changes(REF, HistoryRequest(limit=4, summary=True))

    assert [item["changed"] for item in found["items"]] == [
        [""], [""], ["/relations/0", "/spec/edges/0"], ["/metadata/description"],
    ]  # fmt: skip


def test_what_is_gone_has_a_history_too(history, graph, written):
    graph.drop(ONE, A)
    assert listed(history.changes(REF, HistoryRequest(limit=1))) == [(6, "delete")]


@pytest.mark.parametrize("ref", ["component:default/nobody", B, "component:default/\0"])
def test_what_was_never_served_has_no_history(history, written, ref):
    for ask in (lambda r: history.changes(r, HistoryRequest()), history.diff):
        with pytest.raises(NotFoundError, match="No history of"):
            ask(EntityRef.parse(ref))


@pytest.mark.parametrize("cursor", ["x", "-1", "9" * 40, "٣", "1 "])
def test_cursors_that_no_page_has_are_refused(history, written, cursor):
    with pytest.raises(InputError, match="Malformed cursor"):
        history.changes(REF, HistoryRequest(cursor=cursor))


# -- differences ----------------------------------------------------------------------------------


def pointers(found):
    return [(one["op"], one["pointer"]) for one in found["changes"]]


def test_without_moments_it_is_the_last_change(history, graph, written):
    graph.write(ONE, emission(A, text="v4"))
    graph.write(ONE, emission(B))  # concerns nobody here

    found = history.diff(REF)

    assert (found["from"]["seq"], found["to"]["seq"]) == (5, 6)
    assert found["changes"] == [
        {"op": "changed", "pointer": "/metadata/description", "from": "v3", "to": "v4"}
    ]


@pytest.mark.parametrize(
    ("moments", "versions", "expected"),
    [
        (("1", "2"), (1, 2), [("changed", "/metadata/description")]),
        ((None, "3"), (2, 3), [("added", "/relations/0"), ("added", "/spec/edges/0")]),
        (("3", "2"), (3, 2), [("removed", "/relations/0"), ("removed", "/spec/edges/0")]),
        ((None, "4"), (3, 4), [("removed", "")]),
        (("4", None), (4, 5), [("added", "")]),
        (("0", "1"), (None, 1), [("added", "")]),
        (("2", "2"), (2, 2), []),
    ],
)
def test_any_two_states_can_be_compared(history, written, moments, versions, expected):
    found = history.diff(REF, *moments)

    assert tuple(found[end] and found[end]["seq"] for end in ("from", "to")) == versions
    assert pointers(found) == expected


def test_times_are_understood(history, written):
    at = history.changes(REF, HistoryRequest(limit=1))["items"][0]["at"]
    with pytest.raises(InputError, match="before the history begins"):
        history.diff(REF, "2020-01-01")
    with pytest.raises(InputError, match="to must be a sequence number or a time"):
        history.diff(REF, until="soon")
    assert at > "2020"


# -- what is not known any more -------------------------------------------------------------------


def test_nothing_is_told_of_what_was_before_the_history_begins(history, graph, written):
    graph.write(ONE, emission(A, text="v4"))
    with graph.database.begin() as connection:
        sequence.forget_before(Statements.on(connection), 5)

    assert listed(history.changes(REF, HistoryRequest())) == [(6, "update"), (5, "create")]
    with pytest.raises(InputError, match="from 5 to 6"):
        history.diff(REF, "4")
    with pytest.raises(InputError, match="not known any more"):
        history.diff(REF, until="5")


# -- who may see it -------------------------------------------------------------------------------


def test_those_who_may_not_see_an_entity_are_told_nothing(history, graph, written):
    for visible in (NOTHING, equals("kind", "api"), equals("metadata.description", "v1")):
        with pytest.raises(NotFoundError):
            history.changes(REF, HistoryRequest(), visible)
        with pytest.raises(NotFoundError):
            history.diff(REF, visible=visible)


def test_only_versions_that_a_caller_may_see_are_listed(history, graph, written):
    graph.write(ONE, emission(A, text="v2"))
    v2 = equals("metadata.description", "v2")

    found = history.changes(REF, HistoryRequest(summary=True), v2)

    assert listed(found) == [(6, "update"), (4, "delete"), (3, "update"), (2, "update")]
    assert found["items"][0]["changed"] == [""]  # what it was before is not shown
    with pytest.raises(NotFoundError):
        history.diff(REF, "1", "2", v2)
    assert pointers(history.diff(REF, "2", "6", v2)) == [("changed", "/metadata/uid")]
