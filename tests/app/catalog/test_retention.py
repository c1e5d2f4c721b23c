"""Retention: old history goes, and every state since the horizon stays as it was."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from app.catalog.change_store import ChangeStore
from app.catalog.emission import Parent
from app.catalog.retention import Retention
from app.catalog.snapshot import Snapshots
from app.db.statements import Statements
from tests.app.catalog.write_side import Graph, emission

ONE = Parent("one")
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
LONG = " ".join(f"word{n}" for n in range(100))
NAMES = "abcdef"


def ref(name):
    return f"component:default/{name}"


@pytest.fixture
def graph(database):
    return Graph(database)


def date(graph):
    """Let change number n be n minutes after noon."""
    with graph.database.begin() as connection:
        sql = Statements.on(connection)
        for (seq,) in sql.rows("SELECT seq FROM change"):
            sql.execute(
                "UPDATE change SET at = ? WHERE seq = ?", NOON + timedelta(minutes=seq), seq
            )


def states(graph, since):
    """Answer every state from a number on, as the history tells it."""
    with graph.database.snapshot() as connection:
        sql = Statements.on(connection)
        store = ChangeStore(sql, graph.writer.codec)
        ids = [row[0] for row in sql.rows("SELECT id FROM ref")]
        span = store.span()
        found = {seq: store.documents_at(ids, seq) for seq in range(since, span.newest + 1)}
    return span, found


def live(graph, seed, steps=40):
    chance = random.Random(seed)  # noqa: S311
    for step in range(steps):
        names = chance.sample(NAMES, chance.randint(1, 2))
        if chance.random() < 0.25:
            graph.drop(ONE, *map(ref, names))
        else:
            text = f"{LONG} {step}" if chance.random() < 0.8 else str(step)
            edges = [("ownedBy", ref(chance.choice(NAMES)))] if chance.random() < 0.3 else []
            graph.write(ONE, *(emission(ref(name), *edges, text=text) for name in names))
    date(graph)


@pytest.mark.parametrize("seed", range(3))
def test_every_state_since_the_horizon_is_what_it_was(graph, seed):
    live(graph, seed)
    ((newest,),) = graph.rows("SELECT seq FROM sequence")
    retention = Retention(graph.database, graph.writer.codec, batch=7)
    for horizon in (newest // 3, newest // 2, newest - 1, newest):
        before = states(graph, horizon)[1]
        kept = graph.rows("SELECT count(*) FROM change")

        assert retention.forget(NOON + timedelta(minutes=horizon, seconds=30))

        span, after = states(graph, horizon)
        assert after == before
        assert span == (horizon, newest)
        assert graph.rows("SELECT count(*) FROM change") < kept
        check_nothing_is_left_over(graph, horizon)


def check_nothing_is_left_over(graph, horizon):
    """Of each entity at most one change is left that is not newer, and what that needs."""
    old = graph.rows(
        "SELECT entity_id, seq, operation FROM change WHERE seq <= ? ORDER BY seq", horizon
    )
    latest = {entity_id: (seq, operation) for entity_id, seq, operation in old}
    assert all(operation != "delete" for _, operation in latest.values())
    needed = {
        row[0]
        for entity_id, (seq, _) in latest.items()
        for row in graph.rows(
            "SELECT base FROM change WHERE entity_id = ? AND seq >= ?", entity_id, seq
        )
    }
    assert {seq for _, seq, _ in old} <= needed | {seq for seq, _ in latest.values()}


def test_what_was_deleted_goes_entirely(graph):
    graph.write(ONE, emission(ref("a")))
    graph.drop(ONE, ref("a"))
    graph.write(ONE, emission(ref("b")))
    date(graph)

    Retention(graph.database, graph.writer.codec).forget(NOON + timedelta(minutes=2))

    assert graph.rows("SELECT seq FROM change") == [(3,)]


def test_a_bounded_part_is_forgotten_at_a_time(graph):
    live(graph, 1)
    retention = Retention(graph.database, graph.writer.codec, batch=5, batches=1)
    turns = 1
    while not retention.forget(NOON + timedelta(days=1)):
        turns += 1
    assert turns > 5
    check_nothing_is_left_over(graph, graph.rows("SELECT seq FROM sequence")[0][0])


def test_nothing_old_means_nothing_to_do(graph):
    graph.write(ONE, emission(ref("a")))
    assert Retention(graph.database, graph.writer.codec).forget(NOON - timedelta(days=9999))
    assert graph.rows("SELECT oldest FROM sequence") == [(0,)]
    assert Retention(graph.database, graph.writer.codec).forgotten == 0


def test_an_index_that_slept_longer_than_history_is_kept_misses_no_deletion(graph):
    graph.write(ONE, emission(ref("a")), emission(ref("b")))
    snapshots = Snapshots(graph.database)
    snapshots.refresh()
    graph.drop(ONE, ref("a"))
    graph.write(ONE, emission(ref("b"), text="v2"))
    date(graph)
    Retention(graph.database, graph.writer.codec).forget(NOON + timedelta(days=1))

    snapshots.refresh()

    assert snapshots.index.ids_of([ref("a")]) == [None]
    assert len(snapshots.index) == 1
    snapshots.close()
