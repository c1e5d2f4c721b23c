"""Stitching: what is served is what was emitted, and the history says how it came to be."""

from __future__ import annotations

import threading
from datetime import datetime

import orjson
import pytest
import zstandard

from app.catalog import stitching as module
from app.catalog.change_store import ChangeStore
from app.catalog.emission import Counts, Emission, Flaw, Parent
from app.catalog.stitching import Stitcher
from app.catalog.store import GraphStore
from app.db.documents import SAMPLES
from app.db.statements import Statements
from app.model.problem import Problem
from tests.app.catalog.write_side import HERE, REVERSE, Graph, emission

ONE, TWO = Parent("one"), Parent("two")
WEB, TEAM = "component:default/web", "group:default/team"
BROKEN = Flaw({"name": "InputError", "message": "no owner"}, Problem(HERE, "no owner"))


@pytest.fixture
def graph(database):
    return Graph(database)


def described(**parts):
    """An emission of `web` with these parts in its document."""
    metadata = {"name": "web", "namespace": "default", **parts.pop("metadata", {})}
    data = {"apiVersion": "backstage.io/v1alpha1", "kind": "Component", "metadata": metadata}
    content = orjson.dumps({**data, "spec": {"edges": []}, **parts})
    return Emission(WEB, HERE, 1, content, content)


def changes(graph):
    rows = graph.rows("SELECT seq, operation, etag, cause, at FROM change ORDER BY seq")
    with graph.database.snapshot() as connection:
        store = ChangeStore(Statements.on(connection), graph.writer.codec)
        found = store.documents(row[0] for row in rows)
    documents = {seq: orjson.loads(document) for seq, document in found.items()}
    return [(*row[:3], documents.get(row[0]), *row[3:]) for row in rows]


# -- what is served -------------------------------------------------------------------------------


def test_an_entity_is_what_was_emitted_with_its_relations_and_identity(graph):
    graph.write(ONE, described(spec={"edges": [], "owner": "team"}))

    served = graph.served(WEB)

    assert list(served) == ["apiVersion", "kind", "metadata", "spec", "relations"]
    assert served["spec"] == {"edges": [], "owner": "team"}
    assert served["relations"] == []
    assert served["metadata"]["uid"]
    assert len(served["metadata"]["etag"]) == 40


def test_the_default_namespace_is_filled_in(graph):
    graph.write(ONE, described(metadata={"namespace": ""}))

    assert graph.served(WEB)["metadata"]["namespace"] == "default"


def test_relations_are_sorted_and_each_is_shown_once(graph):
    graph.write(
        ONE,
        emission(WEB, ("dependsOn", "component:default/b"), ("dependsOn", "component:default/a")),
        emission("component:default/a", ("dependsOn", WEB)),
        emission(TEAM, ("dependsOn", "component:default/b"), ("hasMember", WEB)),
    )

    assert graph.relations(WEB) == [
        ("dependencyOf", "component:default/a"),
        ("dependsOn", "component:default/a"),
        ("dependsOn", "component:default/b"),
        ("memberOf", TEAM),
    ]


def test_an_entity_may_relate_to_itself(graph):
    graph.write(ONE, emission(WEB, ("dependsOn", WEB)))

    assert graph.relations(WEB) == [("dependencyOf", WEB), ("dependsOn", WEB)]


def test_errors_follow_the_status_that_an_entity_brings_itself(graph):
    own = {"type": "mine", "level": "info", "message": "fine"}
    graph.write(ONE, described(status={"items": [own]}))
    assert graph.served(WEB)["status"] == {"items": [own]}

    graph.write(ONE, emission(WEB, flaws=(BROKEN, BROKEN)))

    items = graph.served(WEB)["status"]["items"]
    assert items[0] == own
    assert [item["message"] for item in items[1:]] == ["InputError: no owner"] * 2


def test_an_etag_that_its_author_wrote_is_served_and_changes_are_seen_nevertheless(graph):
    graph.write(ONE, described(metadata={"etag": "mine", "uid": "forged", "title": "a"}))
    first = graph.served(WEB)["metadata"]
    graph.write(ONE, described(metadata={"etag": "mine", "uid": "forged", "title": "b"}))
    second = graph.served(WEB)["metadata"]

    assert (first["etag"], second["etag"]) == ("mine", "mine")
    assert (first["title"], second["title"]) == ("a", "b")
    assert first["uid"] == second["uid"] != "forged"


def test_an_etag_stands_for_the_content(graph):
    graph.write(ONE, described(metadata={"title": "a"}))
    first = graph.served(WEB)["metadata"]["etag"]
    graph.write(ONE, described(metadata={"title": "b"}))
    second = graph.served(WEB)["metadata"]["etag"]
    graph.write(ONE, described(metadata={"title": "a"}))

    assert graph.served(WEB)["metadata"]["etag"] == first != second


def test_an_entity_that_comes_back_is_another_one(graph):
    graph.write(ONE, emission(WEB))
    first = graph.served(WEB)["metadata"]["uid"]
    graph.drop(ONE, WEB)
    graph.write(ONE, emission(WEB))

    assert graph.served(WEB)["metadata"]["uid"] != first


def test_keys_that_differ_only_in_case_keep_what_was_served_before(graph, caplog):
    graph.write(ONE, described(spec={"edges": [], "a": 1}))
    graph.write(ONE, described(spec={"edges": [], "a": 1, "A": 2}))

    assert graph.served(WEB)["spec"] == {"edges": [], "a": 1}
    assert "cannot stitch" in caplog.text
    assert graph.rows("SELECT * FROM stitch") == []


def test_an_edge_of_a_kind_that_is_configured_no_more_stops_nothing(database, graph):
    graph.write(ONE, emission(WEB, ("dependsOn", TEAM)), emission(TEAM))
    later = Stitcher(database, graph.writer.codec, {"ownedBy": REVERSE["ownedBy"]})
    with graph.writer.begin() as claims:
        claims.store.mark_dirty(dict.fromkeys(claims.store.known_refs([TEAM]).values(), "{}"))

    later.stitch_all()

    assert graph.relations(TEAM) == []


# -- the history ----------------------------------------------------------------------------------


def test_every_change_is_in_the_history_with_the_whole_entity(graph):
    graph.write(ONE, emission(WEB))
    graph.write(ONE, emission(WEB, text="v2"))
    graph.drop(ONE, WEB)

    first, second, third = changes(graph)

    assert [change[:2] for change in (first, second, third)] == [
        (1, "create"),
        (2, "update"),
        (3, "delete"),
    ]
    assert [c[3] and c[3]["metadata"]["description"] for c in (first, second, third)] == [
        "v1",
        "v2",
        None,
    ]
    assert third[2] == second[2] != first[2]
    times = [
        datetime.fromisoformat(c[5]) if isinstance(c[5], str) else c[5] for c in changes(graph)
    ]
    assert times == sorted(times)


def test_a_change_says_why(graph):
    graph.write(ONE, emission(TEAM))
    graph.write(TWO, emission(WEB, ("ownedBy", TEAM), location=f"{HERE}#web"))

    causes = {orjson.loads(c[4]).get("by") or orjson.loads(c[4])["source"] for c in changes(graph)}

    assert causes == {"one", "two", WEB}
    by_web = next(c for c in changes(graph) if "by" in c[4])
    assert by_web[3]["metadata"]["name"] == "team"
    placed = next(orjson.loads(c[4]) for c in changes(graph) if "two" in c[4])
    assert placed == {"source": "two", "location": f"{HERE}#web", "line": 1}


def test_what_comes_out_as_it_was_writes_nothing(graph):
    graph.write(ONE, emission(WEB))
    before = changes(graph)
    with graph.writer.begin() as claims:
        claims.store.mark_dirty(dict.fromkeys(claims.store.known_refs([WEB]).values(), "{}"))

    assert graph.stitcher.stitch_all() == 0
    assert changes(graph) == before


def test_stitching_nothing_takes_no_number(graph):
    assert graph.stitcher.stitch_all() == 0
    assert graph.rows("SELECT seq FROM sequence") == [(0,)]


def test_a_ref_that_has_no_entity_may_be_stitched(graph):
    with graph.writer.begin() as claims:
        claims.store.mark_dirty(dict.fromkeys(claims.store.ref_ids([WEB]).values(), "{}"))

    assert graph.stitcher.stitch_all() == 0
    assert graph.rows("SELECT * FROM stitch") == []


# -- the queue ------------------------------------------------------------------------------------


def write_unstitched(graph, *emissions, parent=ONE):
    with graph.writer.begin() as claims:
        claims.write(parent, emissions, Counts())


def test_the_queue_is_worked_off_in_batches(database, graph):
    write_unstitched(graph, *(emission(f"component:default/n{i}") for i in range(7)))
    stitcher = Stitcher(database, graph.writer.codec, REVERSE, batch=3)

    assert stitcher.stitch_all() == 7
    assert graph.rows("SELECT * FROM stitch") == []


def test_what_a_stop_leaves_is_done_the_next_time(database, graph):
    write_unstitched(graph, *(emission(f"component:default/n{i}") for i in range(7)))
    stitcher = Stitcher(database, graph.writer.codec, REVERSE, batch=3)
    answers = iter([False, False, True])

    assert stitcher.stitch_all(lambda: next(answers)) == 6
    assert len(graph.rows("SELECT * FROM entity")) == 6
    assert stitcher.stitch_all() == 1


def test_a_batch_that_fails_leaves_no_trace_and_is_done_again(graph, monkeypatch):
    write_unstitched(graph, emission(WEB))
    with monkeypatch.context() as broken:
        broken.setattr(GraphStore, "log", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            graph.stitcher.stitch_all()
    assert graph.served(WEB) is None
    assert graph.rows("SELECT seq FROM sequence") == [(0,)]

    assert graph.stitcher.stitch_all() == 1
    assert graph.text(WEB) == "v1"


def test_stitchers_and_writers_at_once_lose_nothing_and_do_not_wait_for_ever(database):
    """Four writers change the same refs; the history has no gaps and ends with what is served."""
    graphs = [Graph(database) for _ in range(4)]
    refs = [f"component:default/n{i}" for i in range(6)]
    failures = list[Exception]()

    def work(number, graph):
        try:
            for turn in range(6):
                some = [refs[(number + turn + i) % 6] for i in range(3)]
                edges = [("dependsOn", refs[(turn + i) % 6]) for i in range(2)]
                graph.write(
                    Parent(f"s{number}"),
                    *(emission(ref, *edges, text=f"{number}.{turn}") for ref in some),
                )
                if turn % 3 == 2:
                    graph.drop(Parent(f"s{number}"), *some[:1])
        except Exception as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=work, args=item) for item in enumerate(graphs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    (graph, *_) = graphs
    history = graph.rows("SELECT seq, entity_id, operation, etag FROM change ORDER BY seq")
    last = {entity: (seq, op, etag) for seq, entity, op, etag in history}
    served = graph.rows("SELECT id, seq, etag FROM entity")
    assert failures == []
    assert [row[0] for row in history] == list(range(1, len(history) + 1))
    assert graph.rows("SELECT seq FROM sequence") == [(len(history),)]
    assert graph.rows("SELECT * FROM stitch") == []
    assert {i: (seq, etag) for i, seq, etag in served} == {
        i: (seq, etag) for i, (seq, op, etag) in last.items() if op != "delete"
    }
    _stitch_everything_again(graph)
    assert graph.rows("SELECT id, seq, etag FROM entity") == served


def _stitch_everything_again(graph):
    with graph.writer.begin() as claims:
        ids = [row[0] for row in claims.store.sql.rows("SELECT id FROM ref")]
        claims.store.mark_dirty(dict.fromkeys(ids, "{}"))
    graph.stitcher.stitch_all()


def test_a_large_queue_is_worth_a_better_dictionary(database, graph, monkeypatch):
    monkeypatch.setattr(module, "LEARN_AT", (4 * SAMPLES, 100_000))
    write_unstitched(graph, *(emission(f"component:default/n{i}") for i in range(4 * SAMPLES)))

    graph.stitcher.stitch_all()

    with database.snapshot() as connection:
        sql = Statements.on(connection)
        assert sql.rows("SELECT id FROM dictionary") == [(2,)]
        frames = sql.rows("SELECT document FROM change LIMIT 10")
    used = {zstandard.get_frame_parameters(frame).dict_id for (frame,) in frames}
    assert used == {2}
    assert len(changes(graph)) == 4 * SAMPLES
