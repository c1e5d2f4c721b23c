"""The past: every state that ever was is answered as it would have been answered then."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.catalog.change_store import ChangeStore
from app.catalog.cursors import Cursor, Listing
from app.catalog.emission import Emission, Parent
from app.catalog.questions import PageRequest
from app.catalog.reading import CatalogReader
from app.catalog.snapshot import Snapshots
from app.db import sequence
from app.db.engine import open_database
from app.db.statements import Statements
from app.errors import InputError, NotFoundError
from app.graph.past import snapshots as module
from app.graph.past.snapshots import Past
from app.index import fork
from app.model.query import EVERYTHING, AnyOf, Contains, Has, Not, Order, equals
from tests.app.catalog.write_side import HERE, Graph
from tests.app.index.naive import Naive

NIGHTLY = settings().max_examples > 100
NAMES = ["a", "b", "c", "d", "e"]
ONE = Parent("one")
ASKED = [
    EVERYTHING,
    equals("spec.owner", "x"),
    Not(equals("metadata.tags", "java")),
    AnyOf((Has("spec.lifecycle"), equals("relations.dependson", "component:default/a"))),
    Contains("y", ("metadata.description",)),
]
ORDERS = [None, Order("metadata.name", "desc"), Order("metadata.description", "asc")]
FACETS = ["spec.owner", "metadata.tags", "relations.ownedBy", "metadata.description"]


def component(name, *, owner="x", text="one", tags=(), edges=(), lifecycle=None):  # noqa: PLR0913
    spec = {"owner": owner, "edges": [list(edge) for edge in edges]}
    if lifecycle:
        spec["lifecycle"] = lifecycle
    data = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": name, "description": text, "tags": list(tags)},
        "spec": spec,
    }
    content = orjson.dumps(data)
    return Emission(f"component:default/{name}", HERE, 1, content, content, tuple(edges))


COMPONENTS = st.builds(
    component,
    st.sampled_from(NAMES),
    owner=st.sampled_from(["x", "Y", "z"]),
    text=st.sampled_from(["one", "Two y", "three"]),
    tags=st.lists(st.sampled_from(["java", "Data"]), unique=True),
    edges=st.lists(
        st.tuples(
            st.sampled_from(["dependsOn", "ownedBy"]),
            st.sampled_from([f"component:default/{name}" for name in NAMES]),
        ),
        unique=True,
        max_size=2,
    ).map(tuple),
    lifecycle=st.sampled_from([None, "live"]),
)
STEPS = st.lists(
    st.lists(COMPONENTS, min_size=1, max_size=3) | st.sampled_from(NAMES), min_size=4, max_size=20
)


class Replay:
    """What was served after every change, noted when it was made."""

    def __init__(self, graph):
        self.graph, self.states = graph, [{}]

    def note(self):
        after = len(self.states) - 1
        changes = self.graph.rows(
            "SELECT c.seq, c.entity_id, r.ref FROM change c JOIN ref r ON r.id = c.entity_id "
            "WHERE c.seq > ? ORDER BY c.seq", after,
        )  # fmt: skip
        served = dict(self.graph.rows("SELECT seq, document FROM entity WHERE seq > ?", after))
        for seq, entity_id, ref in changes:
            state = dict(self.states[-1])
            state.pop(entity_id, None)
            if seq in served:
                state[entity_id] = (ref, served[seq])
            self.states.append(state)

    def naive(self, seq):
        naive = Naive()
        for entity_id, (ref, document) in self.states[seq].items():
            data = orjson.loads(document)
            naive.entities[entity_id] = (ref, data["metadata"]["uid"], data)
        return naive


def apply(graph, replay, steps):
    for step in steps:
        if isinstance(step, str):
            graph.drop(ONE, f"component:default/{step}")
        else:
            graph.write(ONE, *step)
        replay.note()


def check(past, replay, seq):
    reader, naive = CatalogReader(past.at(seq)), replay.naive(seq)
    for expression in ASKED:
        chosen = naive.match(expression)
        for order in ORDERS:
            listing = Listing(expression=expression, order=(order,) if order else ())
            answer = orjson.loads(reader.page(PageRequest(listing, 4)).body)
            entries = naive.page(chosen, order, 4).entries
            assert answer["items"] == [naive.entities[entry.id][2] for entry in entries]
            assert answer["totalItems"] == naive.total(chosen, order)
        facets = orjson.loads(reader.facets(FACETS, expression).body)["facets"]
        assert facets == {
            key: [{"value": value, "count": count} for value, count in counts]
            for key, counts in naive.facets(FACETS, chosen).items()
        }
    documents = dict(replay.states[seq].values())
    for name in NAMES:
        ref = f"component:default/{name}"
        if ref in documents:
            assert reader.by_name("component", "default", name) == documents[ref]
        else:
            with pytest.raises(NotFoundError):
                reader.by_name("component", "default", name)


@pytest.fixture(scope="module")
def migrated(migrated_sqlite, tmp_path_factory):
    path = tmp_path_factory.mktemp("past") / "migrated.sqlite"
    migrated_sqlite(path)
    return path


@pytest.mark.parametrize("least", [0, fork.OVERLAY_LEAST], ids=["rebuilt", "overlaid"])
def test_every_past_state_is_answered_as_it_was(migrated, monkeypatch, least):
    monkeypatch.setattr(fork, "OVERLAY_LEAST", least)
    checked = 0

    @settings(
        max_examples=120 if NIGHTLY else 8, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(STEPS, st.integers(0, 10))
    def states(steps, merged_after):
        nonlocal checked
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "past.sqlite"
            path.write_bytes(migrated.read_bytes())
            graph = Graph(open_database(f"sqlite:///{path}"))
            replay, snapshots = Replay(graph), Snapshots(graph.database)
            past = Past(snapshots, graph.writer.codec, remembered=2)
            apply(graph, replay, steps[:merged_after])
            # The live index has texts of its own time, and a base of it.
            CatalogReader(snapshots).facets(FACETS)
            snapshots.index.merge()
            apply(graph, replay, steps[merged_after:])
            CatalogReader(snapshots).facets(FACETS)
            for seq in range(len(replay.states)):
                check(past, replay, seq)
                checked += 1
            snapshots.close()
            graph.database.close()

    states()
    assert checked > (1000 if NIGHTLY else 20)


# -- on both databases ----------------------------------------------------------------------------


@pytest.fixture
def graph(database):
    return Graph(database)


@pytest.fixture
def snapshots(database):
    snapshots = Snapshots(database)
    yield snapshots
    snapshots.close()


@pytest.fixture
def past(graph, snapshots):
    return Past(snapshots, graph.writer.codec)


def test_some_history_on_either_database(graph, past):
    replay = Replay(graph)
    steps = [
        [component("a", text=f"text {n}", tags=["java"] * (n % 2)), component("bcde"[n % 4])]
        for n in range(12)
    ]
    apply(
        graph, replay, [*steps, "a", [component("a", edges=[("ownedBy", "component:default/b")])]]
    )

    for seq in range(len(replay.states)):
        check(past, replay, seq)


def test_versions_are_stored_as_what_differs_and_read_back_exactly(graph, past):
    text = " ".join(f"word{n}" for n in range(300))
    for n in range(5):
        graph.write(ONE, component("a", text=f"{text} {n}"))

    (whole,), *rest = graph.rows("SELECT length(document) FROM change ORDER BY seq")
    assert all(length * 5 < whole for (length,) in rest)
    assert [row[0] for row in graph.rows("SELECT base FROM change ORDER BY seq")] == [None] + [
        1
    ] * 4
    for n in range(5):
        with past.at(n + 1).open() as snapshot:
            (document,) = snapshot.find(["component:default/a"])
        assert orjson.loads(document)["metadata"]["description"] == f"{text} {n}"


def test_a_version_that_has_little_in_common_is_kept_whole(graph):
    graph.write(ONE, component("a", text="a"))
    graph.write(ONE, component("a", text="".join(f"{n * n:x} " for n in range(900))))
    graph.write(ONE, component("a", text="".join(f"{n * n:x} " for n in range(901))))

    bases = graph.rows("SELECT base FROM change ORDER BY seq")
    assert bases == [(None,), (None,), (2,)]


def test_a_moment_is_a_number_or_a_time(graph, past):
    graph.write(ONE, component("a"))
    with graph.database.begin() as connection:
        sql = Statements.on(connection)
        noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
        sql.execute("UPDATE change SET at = ?", noon)
    graph.write(ONE, component("a", text="two"))

    assert past.resolve("1") == 1
    assert past.resolve("2026-01-31T12:00:00Z") == 1
    assert past.resolve("2026-01-31T13:00:00+01:00") == 1
    assert past.resolve("2026-01-31T13:00:00 01:00") == 1  # a plus that was not encoded
    assert past.resolve("2026-01-31 12:30") == 1
    assert past.resolve(datetime.now(UTC).isoformat()) == 2


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("3", "in the future"),
        ("99999999999999999", "in the future"),
        ("2999-01-01", "in the future"),
        ("1999-01-01", "before the history begins"),
        ("soon", "must be a sequence number or a time"),
        ("-1", "must be a sequence number or a time"),
        ("٣", "must be a sequence number or a time"),
        ("9" * 70, "must be a sequence number or a time"),
        ("0001-01-01T00:00:00+23:59", "must be a sequence number or a time"),
    ],
)
def test_moments_that_are_not_known_are_refused(graph, past, text, why):
    graph.write(ONE, component("a"))
    graph.write(ONE, component("a", text="two"))

    with pytest.raises(InputError, match=why) as refusal:
        past.resolve(text)
    if "must be" not in why:
        assert "from 0 to 2" in str(refusal.value)


def test_without_any_history_there_is_nothing_to_look_back_to(past):
    with pytest.raises(InputError, match="nothing has happened yet"):
        past.resolve("2020-01-01")
    assert past.resolve("0") == 0


def test_states_before_the_history_begins_are_refused_even_when_remembered(graph, past):
    for n in range(3):
        graph.write(ONE, component("a", text=str(n)))
    reader = CatalogReader(past.at(1))
    assert reader.page(PageRequest(Listing()))
    with graph.database.begin() as connection:
        sequence.forget_before(Statements.on(connection), 2)

    with pytest.raises(InputError, match="from 2 to 3"):
        reader.page(PageRequest(Listing()))


def test_few_states_are_remembered(graph, snapshots):
    past = Past(snapshots, graph.writer.codec, remembered=2)
    for n in range(5):
        graph.write(ONE, component("a", text=str(n)))
    for seq in (1, 2, 1, 3):
        CatalogReader(past.at(seq)).page(PageRequest(Listing()))

    assert list(past._indexes) == [1, 3]

    past.room = 1
    CatalogReader(past.at(4)).page(PageRequest(Listing()))
    assert list(past._indexes) == [4]


def test_looking_back_at_too_many_changes_is_refused(graph, snapshots):
    past = Past(snapshots, graph.writer.codec, most_changed=1)
    graph.write(ONE, component("a"), component("b"))

    with pytest.raises(InputError, match="More than 1 entities changed since asOf 0"):
        CatalogReader(past.at(0)).page(PageRequest(Listing()))


def test_many_documents_are_sent_by_and_by(graph, past, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 2)
    graph.write(ONE, *(component(name) for name in NAMES))
    graph.write(ONE, *(component(name, text="two") for name in NAMES))

    with past.at(5).open() as snapshot:
        ids = snapshot.ask(lambda index: list(index.match(EVERYTHING)))
        batches = [[orjson.loads(d) for d in batch] for batch in snapshot.stream(ids)]

    assert list(map(len, batches)) == [2, 2, 1]
    texts = {document["metadata"]["description"] for batch in batches for document in batch}
    assert texts == {"one"}


def test_relations_of_then_are_answered(graph, past):
    graph.write(ONE, component("a", edges=[("dependsOn", "component:default/b")]), component("b"))
    graph.write(ONE, component("a"))

    with past.at(2).open() as snapshot:
        ids = snapshot.ids_of(["component:default/a", "component:default/b"])
        relations = snapshot.relations(list(ids.values()))
        uid = orjson.loads(snapshot.find(["component:default/b"])[0])["metadata"]["uid"]
        assert orjson.loads(snapshot.find_by_uid(uid))["metadata"]["name"] == "b"
        assert snapshot.find_by_uid("nobody") is None
        with pytest.raises(InputError, match="present only"):
            snapshot.parents([1])
    assert relations == {
        ids["component:default/a"]: [("dependsOn", "component:default/b")],
        ids["component:default/b"]: [("dependencyOf", "component:default/a")],
    }


def test_times_are_found_among_many_changes(graph):
    graph.write(ONE, *(component(f"n{n}") for n in range(40)))
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    with graph.database.begin() as connection:
        sql = Statements.on(connection)
        for seq in range(1, 41):
            moment = noon + timedelta(minutes=seq // 3)
            sql.execute("UPDATE change SET at = ? WHERE seq = ?", moment, seq)
        # Numbers that were forgotten are no obstacle.
        sql.execute("DELETE FROM change WHERE seq IN (7, 8, 9, 20, 21, 40)")
    times = dict(graph.rows("SELECT seq, at FROM change"))
    with graph.database.snapshot() as connection:
        store = ChangeStore(Statements.on(connection), graph.writer.codec)
        for minute in range(-1, 16):
            moment = noon + timedelta(minutes=minute, seconds=30)
            known = [seq for seq in times if store.at(seq) <= moment]
            assert store.seq_at(moment) == max(known, default=0)


def test_a_cursor_keeps_the_moment(graph, past):
    listing = Listing(order=(Order("metadata.name", "asc"),), as_of=7)
    cursor = Cursor(listing, ("a", "uid"), ("a", "uid"), 3)

    assert Cursor.decode(cursor.encode()).listing.as_of == 7
    bad = orjson.loads(__import__("base64").b64decode(cursor.encode())) | {"asOf": -1}
    with pytest.raises(InputError, match="asOf"):
        Cursor.decode(__import__("base64").b64encode(orjson.dumps(bad)).decode())
