"""Walks: equal to a naive one over plain dicts, on the tables and on documents; limits."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.catalog.emission import Parent
from app.catalog.snapshot import Snapshots
from app.graph.walks.ground import DocumentGround, Grounds
from app.graph.walks.walk import Walker, WalkLimits
from tests.app.catalog.graph import Graph as Memory
from tests.app.catalog.graph import entity
from tests.app.catalog.write_side import Graph, emission
from tests.app.graph.walks import naive_walk

NAMES = [f"n{number}" for number in range(8)]
WRITTEN = [forward for forward, _ in naive_walk.PAIRS]
NAME = st.sampled_from(NAMES)
EDGES = st.sets(st.tuples(NAME, st.sampled_from(WRITTEN), NAME), max_size=16)
TYPES = st.none() | st.frozensets(st.sampled_from(sorted(naive_walk.REVERSE)), max_size=4)
_runs = itertools.count()


class Case:
    """A graph in which some entities are missing and some are hidden."""

    def __init__(self, edges, missing, hidden, prefix=""):
        self.parts, self.prefix = (edges, missing, hidden), prefix
        self.entities = [self.ref(name) for name in NAMES if name not in missing]
        self.edges = [
            (self.ref(a), kind, self.ref(b)) for a, kind, b in sorted(edges) if a not in missing
        ]
        self.relations = naive_walk.documents(self.entities, self.edges)
        self.seen = set(self.entities) - {self.ref(name) for name in hidden}

    def renamed(self, prefix):
        return Case(*self.parts, prefix)

    def ref(self, name):
        return f"component:default/{self.prefix}{name}"


CASES = st.builds(Case, EDGES, st.sets(NAME, max_size=2), st.sets(NAME, max_size=2))


def in_memory(case):
    graph = Memory()
    for ref in case.entities:
        graph.put(entity("Component", ref.partition("/")[2], relations=case.relations[ref]))
    return graph


@dataclass(frozen=True)
class Way:
    """What is asked: where from, by which types, how far, and where to."""

    start: list
    types: frozenset | None
    depth: int
    target: str


WAYS = st.builds(Way, st.lists(NAME, min_size=1, max_size=3), TYPES, st.integers(0, 4), NAME)


def check(ground, ids, case, way):
    """Hold a walk and a search for paths against the naive ones."""
    start, target = [case.ref(name) for name in way.start], case.ref(way.target)
    walker = Walker(ground, way.types, {ids[ref] for ref in case.seen})
    found = walker.walk({ids[ref] for ref in start if ref in case.seen}, way.depth)

    assert {
        found.refs[i]: (distance, *_parts(found.path_to(i)))
        for distance, level in enumerate(found.levels)
        for i in level
    } == naive_walk.walk(case.relations, start, way.types, way.depth, case.seen)
    assert found.truncated is None
    for level in found.levels:
        assert [found.refs[i] for i in level] == sorted(found.refs[i] for i in level)

    if {start[0], target} <= case.seen:
        paths, _ = walker.paths(ids[start[0]], ids[target], way.depth, 10_000)
        step = naive_walk.Search(case.relations, way.types, case.seen)
        assert [_parts(path) for path in paths] == step.paths(start[0], target, way.depth)


def _parts(path):
    return path.refs, path.relations


@given(CASES, WAYS)
@settings(max_examples=200, deadline=None)
def test_a_walk_over_documents_finds_what_a_naive_one_finds(case, way):
    graph = in_memory(case)
    with graph.open() as snapshot:
        check(DocumentGround(snapshot), graph.ids, case, way)


@given(CASES, WAYS)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_walk_over_the_tables_finds_what_a_naive_one_finds(database, case, way):
    case = case.renamed(f"r{next(_runs)}-")
    graph = Graph(database)
    graph.stitcher = replace(graph.stitcher, reverse=naive_walk.REVERSE)
    written = [
        emission(ref, *((kind, target) for origin, kind, target in case.edges if origin == ref))
        for ref in case.entities
    ]
    graph.write(Parent(f"git:{case.prefix}"), *written)
    snapshots = Snapshots(database)
    with Grounds(snapshots, naive_walk.REVERSE).open() as ground:
        found = ground.ask(lambda index: index.ids_of(case.entities))
        check(ground, dict(zip(case.entities, found, strict=True)), case, way)
    snapshots.close()


# -- limits ---------------------------------------------------------------------------------------


@pytest.fixture
def fan():
    """One group of which thirty components, in a chain, are each owned."""
    relations = {}
    for number in range(30):
        ref = f"component:default/c{number:02}"
        relations[ref] = [("ownedBy", "group:default/g")]
        if number:
            relations[ref].append(("dependsOn", f"component:default/c{number - 1:02}"))
    graph = Memory()
    graph.put(
        entity("Group", "g", relations=[("ownerOf", ref) for ref in relations]),
        *(
            entity("Component", ref.partition("/")[2], relations=links)
            for ref, links in relations.items()
        ),
    )
    return graph


def walker_on(snapshot, graph, types=None, **limits):
    clock = limits.pop("clock", lambda: 0.0)
    seen = set(graph.ids.values())
    return Walker(DocumentGround(snapshot), types, seen, WalkLimits(**limits), clock)


def test_a_walk_that_meets_more_entities_than_allowed_answers_the_first_of_them(fan):
    with fan.open() as snapshot:
        walk = walker_on(snapshot, fan, nodes=11).walk([fan.ids["group:default/g"]], 3)

    assert walk.truncated.reason == "nodes"
    assert "more than 11 entities" in walk.truncated.message
    assert [walk.refs[i] for i in walk.levels[1]] == [
        f"component:default/c{number:02}" for number in range(10)
    ]


def test_a_walk_that_meets_more_relations_than_allowed_says_so(fan):
    with fan.open() as snapshot:
        walk = walker_on(snapshot, fan, edges=30).walk([fan.ids["group:default/g"]], 3)

    assert walk.truncated.reason == "edges"
    assert len(walk.levels) == 2


def test_a_walk_that_takes_too_long_says_so(fan):
    ticks = itertools.count()
    with fan.open() as snapshot:
        walker = walker_on(snapshot, fan, seconds=1.5, clock=lambda: float(next(ticks)))
        walk = walker.walk([fan.ids["group:default/g"]], 50)

    assert walk.truncated.reason == "seconds"
    assert len(walk.levels) == 2


@pytest.mark.parametrize("limit", [{"nodes": 5}, {"edges": 5}])
def test_a_search_for_paths_is_limited_too(fan, limit):
    with fan.open() as snapshot:
        walker = walker_on(snapshot, fan, frozenset({"dependsOn"}), **limit)
        ids = fan.ids["component:default/c29"], fan.ids["component:default/c15"]
        paths, walk = walker.paths(*ids, 50, 10)

    assert paths == []
    assert walk.truncated.reason in limit


def test_a_long_chain_is_walked_to_its_end(fan):
    with fan.open() as snapshot:
        walker = walker_on(snapshot, fan, frozenset({"dependsOn"}))
        walk = walker.walk([fan.ids["component:default/c29"]], 100)

    assert len(walk.levels) == 30
    assert len(walk.path_to(walk.levels[-1][0]).relations) == 29
