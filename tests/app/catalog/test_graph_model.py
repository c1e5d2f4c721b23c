"""Whatever is done to files and to the catalog, in any order, the graph is what the rules say.

The catalog and a plain reference (`reference_graph`) are told the same, one step at a time, and
compared after each. `--hypothesis-profile=nightly` takes ten thousand steps.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.db.engine import open_database
from app.errors import ConflictError, UpstreamError
from app.model.problem import Problem
from tests.app.catalog.catalog_world import BROKEN, PUSHED, World
from tests.app.catalog.reference_graph import ORPHAN, Doc, Found, Reference, generated
from tests.conftest import drop_postgres

RANKS = {f"{rank}{n}.yaml": rank for rank in ("root", "mid", "leaf") for n in (1, 2)}
FILES = list(RANKS)
LEAVES = "leaf*.yaml"
NAMES, TEAMS, TEXTS = ("a", "b", "c"), ("s", "t"), ("x", "y")
LISTED = [f"url:https://list.example/{number}" for number in (1, 2)]
VALID = st.sampled_from([True, True, True, False])

components = st.builds(
    Doc,
    st.just("Component"),
    st.sampled_from(NAMES),
    st.sampled_from(TEXTS),
    st.sampled_from(TEAMS),
    st.lists(st.sampled_from(NAMES), max_size=2, unique=True).map(tuple),
    is_valid=VALID,
)
groups = st.builds(
    Doc, st.just("Group"), st.sampled_from(TEAMS), st.sampled_from(TEXTS), is_valid=VALID
)


# So that none leads to itself: which Locations may stand where, and what they may name.
STAND = {"root": ("l", "m"), "mid": ("m",), "leaf": (), "": ("k", "l", "m")}
NAME = {
    "k": [*FILES, LEAVES],
    "l": [name for name in FILES if not name.startswith("root")] + [LEAVES],
    "m": [name for name in FILES if name.startswith("leaf")] + [LEAVES],
}


def locations(file):
    return st.sampled_from(STAND[RANKS.get(file, "")]).flatmap(
        lambda name: st.builds(
            Doc,
            st.just("Location"),
            st.just(name),
            st.just(""),
            targets=st.lists(st.sampled_from(NAME[name]), min_size=1, max_size=3, unique=True).map(
                tuple
            ),
            is_optional=st.booleans(),
            is_valid=VALID,
        )
    )


def documents(file=""):
    """Documents that may stand in a file, or that a source may hold itself."""
    some = [components, components, groups]
    if STAND[RANKS.get(file, "")]:
        some += [locations(file), locations(file)]
    return st.one_of(*some)


def file_contents(most=4):
    return st.sampled_from(FILES).flatmap(
        lambda name: st.tuples(st.just(name), st.lists(documents(name), max_size=most))
    )


NOTICED = st.sampled_from([True, True, False])
SOME_FILES = st.lists(st.sampled_from(FILES), max_size=3, unique=True)


class Cataloguing(RuleBasedStateMachine):
    """The catalog beside the reference, told the same."""

    folder: Path
    make_database = staticmethod(lambda _: None)
    remove_database = staticmethod(lambda _: None)
    steps = 0

    def __init__(self):
        super().__init__()
        # The same one every time, since names are made of it.
        self.folder.mkdir()
        self.url = self.make_database(self.folder)
        self.database = open_database(self.url)
        self.seen, self.copy, self.uids = 0, {}, {}
        self.spoiled = {}
        self.locations = {}

    def teardown(self):
        self.database.close()
        self.remove_database(self.url)
        shutil.rmtree(self.folder)

    @initialize(keeps_orphans=st.booleans(), contents=st.lists(file_contents(), max_size=5))
    def begin(self, keeps_orphans, contents):
        self.world = World(self.database, self.folder, keeps_orphans=keeps_orphans)
        self.reference = Reference(self.world.folders, keeps_orphans)
        for name, docs in contents:
            self._put(name, docs)

    # -- files ------------------------------------------------------------------------------------

    @property
    def files(self):
        return self.reference.files

    def _put(self, name, docs):
        self.world.write(name, docs)
        self.files[name] = tuple(docs)

    def _look_round(self, noticed):
        """Let the worker read every Location again, unless it has not come round yet."""
        if noticed:
            refs = list(self.world.readings())
            self.world.read(refs)
            self.reference.visit(refs)

    @rule(given=file_contents(), noticed=NOTICED)
    def write_a_file(self, given, noticed):
        self._put(*given)
        self._look_round(noticed)

    def _written(self, kind=""):
        return sorted(
            name
            for name, docs in self.files.items()
            if docs and any(doc.kind.startswith(kind) for doc in docs)
        )

    @precondition(lambda self: self._written())
    @rule(data=st.data(), noticed=NOTICED)
    def change_an_entity(self, data, noticed):
        """Rename it, or write something else of it."""
        name = data.draw(st.sampled_from(self._written()))
        docs = list(self.files[name])
        number = data.draw(st.integers(0, len(docs) - 1))
        docs[number] = data.draw(documents(name))
        self._put(name, docs)
        self._look_round(noticed)

    @precondition(lambda self: self._written())
    @rule(data=st.data(), noticed=NOTICED)
    def rename_an_entity(self, data, noticed):
        name = data.draw(st.sampled_from(self._written()))
        docs = list(self.files[name])
        number = data.draw(st.integers(0, len(docs) - 1))
        pools = {"Component": NAMES, "Group": TEAMS, "Location": STAND[RANKS[name]]}
        new = data.draw(st.sampled_from(pools[docs[number].kind]))
        if set(docs[number].targets) <= set(NAME.get(new, ())):
            docs[number] = replace(docs[number], name=new)
        self._put(name, docs)
        self._look_round(noticed)

    @precondition(lambda self: self._written())
    @rule(data=st.data(), to=st.sampled_from(FILES), noticed=NOTICED)
    def move_an_entity(self, data, to, noticed):
        name = data.draw(st.sampled_from(self._written()))
        docs = list(self.files[name])
        doc = docs.pop(data.draw(st.integers(0, len(docs) - 1)))
        if name == to or (doc.kind == "Location" and doc.name not in STAND[RANKS[to]]):
            return
        self._put(name, docs)
        self._put(to, [*(self.files.get(to) or ()), doc])
        self._look_round(noticed)

    @precondition(lambda self: self.files)
    @rule(data=st.data(), how=st.sampled_from(sorted(BROKEN)), noticed=NOTICED)
    def break_a_file(self, data, how, noticed):
        name = data.draw(st.sampled_from(sorted(self.files)))
        self.spoiled[name] = self.files[name] or ()
        self.world.spoil(name, how)
        self.files[name] = None
        self._look_round(noticed)

    @precondition(lambda self: self.spoiled)
    @rule(data=st.data(), noticed=NOTICED)
    def mend_a_file(self, data, noticed):
        name = data.draw(st.sampled_from(sorted(self.spoiled)))
        self._put(name, self.spoiled.pop(name))
        self._look_round(noticed)

    @precondition(lambda self: self.files)
    @rule(data=st.data(), noticed=NOTICED)
    def remove_a_file(self, data, noticed):
        name = data.draw(st.sampled_from(sorted(self.files)))
        self.world.remove(name)
        del self.files[name]
        self._look_round(noticed)

    @precondition(lambda self: self._written("Location"))
    @rule(data=st.data(), noticed=NOTICED)
    def change_a_target(self, data, noticed):
        """Add it, or take it away."""
        name = data.draw(st.sampled_from(self._written("Location")))
        docs = list(self.files[name])
        number = next(n for n, doc in enumerate(docs) if doc.kind == "Location")
        target = data.draw(st.sampled_from(NAME[docs[number].name]))
        rest = tuple(one for one in docs[number].targets if one != target)
        targets = rest if target in docs[number].targets else (*rest, target)
        docs[number] = replace(docs[number], targets=targets)
        self._put(name, docs)
        self._look_round(noticed)

    # -- sources ----------------------------------------------------------------------------------

    def _place(self, kind, name):
        return self.world.folders[kind] + name

    @rule(names=SOME_FILES)
    def run_the_configured_locations(self, names):
        self.world.run_config(names)
        self.reference.source("config", [generated(self._place("file", n)) for n in names])

    @rule(names=SOME_FILES)
    def run_a_source_of_files(self, names):
        names = [name for name in names if name in self.files]
        self.world.run_git(names)
        self.reference.source("git", [generated(self._place("url", n)) for n in names])

    @rule(
        given=st.lists(st.tuples(documents(), st.sampled_from(LISTED)), max_size=3),
        spared=st.lists(st.sampled_from(LISTED), max_size=1),
    )
    def run_a_source_of_entities(self, given, spared):
        all_found = [Found(doc, place, place) for doc, place in given]
        self.world.run_list(all_found, *(Problem(place, "not there today") for place in spared))
        self.reference.source("list", all_found, spared)

    @rule(given=st.lists(documents(), max_size=2))
    def run_a_source_that_breaks_off(self, given):
        all_found = [Found(doc, LISTED[0], LISTED[0]) for doc in given]
        with pytest.raises(UpstreamError):
            self.world.run_list(all_found, breaks=True)

    @rule(name=st.sampled_from(["config", "git", "list", "push:cmdb"]))
    def configure_a_source_no_more(self, name):
        self.world.ingest.forget_source(name)
        self.reference.drop(self.reference.roots_of(name), eager=True)
        if name == "push:cmdb":
            self.world.version = 0

    @rule(docs=st.lists(documents(), max_size=3, unique_by=lambda doc: doc.ref))
    def push_everything(self, docs):
        self.world.push(docs)
        self.reference.push("push:cmdb", self._pushed(docs))
        self._ask_for_more(docs)

    @rule(
        docs=st.lists(documents(), max_size=2, unique_by=lambda doc: doc.ref),
        names=st.lists(st.sampled_from(NAMES), max_size=1),
    )
    def push_a_difference(self, docs, names):
        deleted = {f"component:default/{name}" for name in names} - {doc.ref for doc in docs}
        self.world.push(docs, deleted)
        self.reference.push("push:cmdb", self._pushed(docs), deleted)
        self._ask_for_more(docs)

    def _ask_for_more(self, docs):
        """A Location that is pushed may be read again without need."""
        more = self.world.asked() - self.reference.asked
        assert more <= {doc.ref for doc in docs if doc.kind == "Location"}
        self.reference.asked |= more

    def _pushed(self, docs):
        return [Found(doc, f"url:{PUSHED}", f"url:{PUSHED}") for doc in docs]

    # -- callers ----------------------------------------------------------------------------------

    @rule(name=st.sampled_from(FILES), again=st.booleans())
    def register_a_location(self, name, again):
        place = self._place("url", name)
        target = place.removeprefix("url:")
        if place in self.locations.values() and not again:
            with pytest.raises(ConflictError):
                self.world.registered.register("url", target)
            return
        made = self.world.register(target)
        self.locations[made.id, made.entity_ref] = place
        self.reference.register(made.entity_ref, place)

    @precondition(lambda self: self.locations)
    @rule(data=st.data(), name=st.sampled_from(FILES))
    def move_a_location(self, data, name):
        place = self._place("url", name)
        location_id, ref = data.draw(st.sampled_from(list(self.locations)))
        if place in self.locations.values():
            return
        self.world.move(location_id, place.removeprefix("url:"))
        self.locations[location_id, ref] = place
        self.reference.register(ref, place)

    @precondition(lambda self: self.locations)
    @rule(data=st.data())
    def unregister_a_location(self, data):
        location_id, ref = data.draw(st.sampled_from(list(self.locations)))
        self.world.registered.remove(location_id)
        del self.locations[location_id, ref]
        self.reference.unregister(ref)

    @rule()
    def start_the_worker_anew(self):
        """What is registered and was deleted is there again."""
        self.world.restore()
        for (_, ref), place in self.locations.items():
            roots = self.reference.roots_of("registered")
            if ref not in {said.ref for said in roots}:
                self.reference.register(ref, place)

    @precondition(lambda self: self.uids)
    @rule(data=st.data())
    def delete_an_entity(self, data):
        ref = data.draw(st.sampled_from(sorted(self.uids)))
        self.world.delete(ref)
        self.reference.delete(ref)

    @rule(kind=st.sampled_from(["component", "group", "location"]), data=st.data())
    def refresh_an_entity(self, kind, data):
        refs = {said.ref for said in self.reference.said} | {"component:default/none"}
        some = sorted(ref for ref in refs if ref.startswith(kind)) or sorted(refs)
        ref = data.draw(st.sampled_from(some))
        assert self.world.refresh(ref) == self.reference.refresh(ref)

    @rule()
    def answer_requests(self):
        assert self.world.asked() == self.reference.asked
        self.reference.visit(self.world.answer())
        self.reference.asked.clear()

    @rule()
    def look_round(self):
        self._look_round(noticed=True)

    # -- what has to hold -------------------------------------------------------------------------

    @invariant()
    def the_graph_is_what_the_rules_say(self):
        Cataloguing.steps += 1
        served = self.world.platform.served()
        self._compare_descriptions()
        self._compare_served(served)
        self._follow_the_feed(served)
        uids = {ref: entity["metadata"]["uid"] for ref, entity in served.items()}
        assert all(self.uids.get(ref, uid) == uid for ref, uid in uids.items())
        self.uids = uids

    def _compare_descriptions(self):
        """Who describes what, who holds it, what is wrong with whom, and what is to be read."""
        rows = self.world.emissions()
        expected = {
            (s.ref, s.parent, s.source, s.newest.place, s.holds, s.valid is not None): s
            for s in self.reference.said
        }
        assert set(rows) == set(expected)
        troubles = self.world.troubles()
        told = {key: troubles.get(row, []) for key, row in rows.items()}
        assert told == {key: said.troubles for key, said in expected.items()}
        assert self.world.readings() == self.reference.read
        assert self.world.asked() == self.reference.asked
        assert self.world.waiting() == []

    def _compare_served(self, served):
        """What is served is what its holder says, with relations on both ends."""
        expected = self.reference.served
        assert set(served) == set(expected)
        for ref, said in expected.items():
            metadata, annotations = served[ref]["metadata"], served[ref]["metadata"]["annotations"]
            assert metadata.get("description", "") == said.valid.doc.text
            assert annotations["backstage.io/managed-by-location"] == said.valid.place
            assert annotations["backstage.io/managed-by-origin-location"] == said.valid.origin
            assert ("backstage.io/orphan" in annotations) == (said.parent == ORPHAN)
            relations = [(r["type"], r["targetRef"]) for r in served[ref]["relations"]]
            assert relations == sorted(self.reference.relations(ref))
            failures = [trouble for trouble in said.troubles if not trouble.is_notice]
            assert len(served[ref].get("status", {"items": []})["items"]) == len(failures)

    def _follow_the_feed(self, served):
        """Whoever applies the changes one by one has what is served."""
        for seq, ref, operation, document in self.world.changes(self.seen):
            assert seq == self.seen + 1
            assert (operation == "create") == (ref not in self.copy)
            if operation == "delete":
                del self.copy[ref]
            else:
                self.copy[ref] = orjson.loads(document)
            self.seen = seq
        assert self.copy == served


def follow(machine, *, steps):
    """Take so many steps, fifty or fewer with each new catalog."""
    Cataloguing.steps = 0
    while Cataloguing.steps < steps:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=max(5, min(100, (steps - Cataloguing.steps) // 40)),
                stateful_step_count=50,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )


def test_the_graph_on_sqlite_is_what_the_rules_say(migrated_sqlite, tmp_path):
    class OnSqlite(Cataloguing):
        folder = tmp_path / "model"
        make_database = staticmethod(lambda folder: migrated_sqlite(folder / "model.sqlite"))

    steps = 10_000 if settings.get_current_profile_name() == "nightly" else 600
    follow(OnSqlite, steps=steps)
    assert Cataloguing.steps >= steps


def test_the_graph_on_postgresql_is_what_the_rules_say(migrated_postgres, tmp_path):
    class OnPostgres(Cataloguing):
        folder = tmp_path / "model"
        make_database = staticmethod(lambda _: migrated_postgres())
        remove_database = staticmethod(drop_postgres)

    follow(OnPostgres, steps=1000 if settings.get_current_profile_name() == "nightly" else 100)
