"""Any sequence of writes and removals comes to what the rules of claims say, edges included."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.catalog.emission import Flaw, Parent
from app.db.engine import open_database
from app.model.problem import Problem
from tests.app.catalog.naive_claims import NaiveClaims
from tests.app.catalog.write_side import REVERSE, Graph, emission

COMPONENTS = [f"component:default/{name}" for name in "ab"]
LOCATIONS = [f"location:default/{name}" for name in "lm"]
REFS = COMPONENTS + LOCATIONS
PLACES = ["url:https://example.org/1", "url:https://example.org/2"]
FLAW = Flaw({"name": "InputError", "message": "bad"}, Problem(PLACES[0], "bad"))
EDGES = st.lists(
    st.tuples(st.sampled_from(["ownedBy", "dependsOn"]), st.sampled_from(COMPONENTS)),
    max_size=3,
    unique=True,
)
ENTRIES = st.fixed_dictionaries(
    {
        "ref": st.sampled_from(REFS),
        "place": st.sampled_from(PLACES),
        "text": st.sampled_from("xy"),
        "edges": EDGES.map(lambda edges: tuple(sorted(edges))),
        "is_valid": st.sampled_from([True, True, False]),
    }
)
SOURCES = st.sampled_from(["one", "two"])


class Claiming(RuleBasedStateMachine):
    """The graph on SQLite beside the naive one, told the same."""

    migrated: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "claims.sqlite"
        path.write_bytes(self.migrated.read_bytes())
        self.graph = Graph(open_database(f"sqlite:///{path}"))
        self.naive = NaiveClaims()
        self.graph.read_every_location()

    def teardown(self) -> None:
        self.graph.database.close()
        self.folder.cleanup()

    def parent(self, ref: str, source: str) -> Parent:
        with self.graph.writer.begin() as claims:
            return Parent(source, claims.store.ref_ids([ref])[ref] if ref else 0)

    @rule(data=st.data(), source=SOURCES, entries=st.lists(ENTRIES, min_size=1, max_size=2))
    def write(self, data, source, entries):
        holders = [ref for ref in LOCATIONS if self.naive.holder(ref)]
        parent = data.draw(st.sampled_from(["", *holders]))
        batch = [
            emission(
                e["ref"], *e["edges"], location=e["place"], text=e["text"],
                flaws=() if e["is_valid"] else (FLAW,),
            )
            for e in entries
        ]  # fmt: skip
        self.graph.write(self.parent(parent, source), *batch)
        for entry in {entry["ref"]: entry for entry in entries}.values():
            self.naive.write(parent, source, **entry)

    @precondition(lambda self: self.naive.said)
    @rule(data=st.data(), eager=st.booleans())
    def release(self, data, eager):
        said = data.draw(st.sampled_from(self.naive.said))
        more = data.draw(st.lists(st.sampled_from(REFS), max_size=1))
        self.graph.drop(self.parent(said.parent, said.source), said.ref, *more, eager=eager)
        self.naive.release(said.parent, said.source, [said.ref, *more])

    @invariant()
    def what_is_served_is_what_the_rules_say(self):
        served = {ref: self.graph.text(ref) for ref in REFS}
        assert {ref: text for ref, text in served.items() if text} == self.naive.served

    @invariant()
    def edges_are_those_of_what_is_served(self):
        found = self.graph.rows(
            "SELECT o.ref, r.type, t.ref FROM relation r "
            "JOIN ref o ON o.id = r.origin JOIN ref t ON t.id = r.target"
        )
        assert len(set(found)) == len(found)
        assert set(found) == self.naive.edges

    @invariant()
    def every_entity_shows_the_edges_on_both_ends(self):
        for ref in self.naive.served:
            outgoing = {(kind, t) for o, kind, t in self.naive.edges if o == ref}
            incoming = {(REVERSE[kind], o) for o, kind, t in self.naive.edges if t == ref}
            assert self.graph.relations(ref) == sorted(outgoing | incoming)

    @invariant()
    def what_was_said_is_remembered_and_no_more(self):
        found = self.graph.rows(
            "SELECT r.ref, coalesce(p.ref, ''), e.source, e.claimed FROM emission e "
            "JOIN ref r ON r.id = e.ref_id LEFT JOIN ref p ON p.id = e.parent"
        )
        assert {(*row[:3], bool(row[3])) for row in found} == {
            (s.ref, s.parent, s.source, s.is_claimed) for s in self.naive.said
        }
        assert self.graph.rows("SELECT * FROM stitch") == []

    @invariant()
    def the_history_ends_with_what_is_served(self):
        history = self.graph.rows("SELECT seq, entity_id, operation, etag FROM change ORDER BY seq")
        assert [row[0] for row in history] == list(range(1, len(history) + 1))
        last = {entity: etag for _, entity, operation, etag in history if operation != "delete"}
        for _, entity, operation, _ in history:
            if operation == "delete":
                assert entity in last
        served = dict(self.graph.rows("SELECT id, etag FROM entity"))
        assert served.items() <= last.items()


@pytest.fixture(scope="module")
def migrated(migrated_sqlite, tmp_path_factory):
    path = tmp_path_factory.mktemp("claims") / "migrated.sqlite"
    migrated_sqlite(path)
    return path


def test_any_sequence_of_writes_and_removals_keeps_the_rules(migrated):
    Claiming.migrated = migrated
    is_nightly = settings.get_current_profile_name() == "nightly"
    examples, steps = (400, 25) if is_nightly else (42, 12)
    run_state_machine_as_test(
        Claiming,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
