"""The index answers as if it had asked every entity."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from app.errors import InputError
from app.index.build import IndexRow
from app.index.index import EntityIndex
from app.index.terms import DuplicateKeysError, encode_terms
from app.model.query import AllOf, Contains, Has, HasPrefix, In, Not, Order, Position
from tests.app.index import strategies as some
from tests.app.index.naive import Naive

IDS = st.integers(1, 12)


def identity(owner: int, version: int) -> tuple[str, str, str]:
    name = f"n{owner % 7}-{owner}"
    return name, f"component:default/{name}", f"{(owner * 7919 + version) % 1000:03d}-uid"


class IndexMachine(RuleBasedStateMachine):
    """Changes come in any order, with and without merges, and answers stay right."""

    def __init__(self) -> None:
        super().__init__()
        self.naive = Naive()
        self.index = EntityIndex(self.naive.load_documents, column_room=2000)
        self.seq = 0

    def store(self, owner: int, version: int, data: st.DataObject) -> bool:
        name, ref, uid = identity(owner, version)
        entity = data.draw(some.entities(name, uid))
        try:
            encode_terms(entity)
        except DuplicateKeysError:
            return False
        self.naive.entities[owner] = ref, uid, entity
        return True

    @initialize(data=st.data(), owners=st.lists(IDS, max_size=12, unique=True))
    def load(self, data: st.DataObject, owners: list[int]) -> None:
        for owner in owners:
            self.store(owner, 0, data)
        self.index.load(self.naive.rows(), 1)

    @rule(data=st.data(), owner=IDS, version=st.integers(0, 1))
    def put(self, data: st.DataObject, owner: int, version: int) -> None:
        if self.store(owner, version, data):
            self.seq += 1
            self.index.apply([(owner, self.naive.row(owner))], self.seq)

    @rule(owner=IDS)
    def delete(self, owner: int) -> None:
        self.naive.entities.pop(owner, None)
        self.seq += 1
        self.index.apply([(owner, None)], self.seq)

    @rule(data=st.data(), owners=st.lists(IDS, max_size=3, unique=True), order=some.orders)
    def read_while_documents_are_ahead(
        self, data: st.DataObject, owners: list[int], order: some.Order
    ) -> None:
        for owner in owners:
            if owner % 3 or not self.store(owner, 1, data):
                self.naive.entities.pop(owner, None)
        selection = self.index.match(AllOf())
        self.index.page(selection, order, 5)
        self.index.facets([order.key], selection)
        changes = [
            (owner, self.naive.row(owner) if owner in self.naive.entities else None)
            for owner in owners
        ]
        self.seq += 1
        self.index.apply(changes, self.seq)

    @rule()
    def merge(self) -> None:
        self.index.merge()

    @rule(columns=st.lists(some.keys, max_size=3), facets=st.lists(some.keys, max_size=3))
    def warm(self, columns: list[str], facets: list[str]) -> None:
        self.index.warm(columns, facets)

    @rule(key=some.common_keys, version=st.integers(0, 1), data=st.data(), owner=IDS)
    def ask_about_a_key_before_and_after_a_change(
        self, key: str, version: int, data: st.DataObject, owner: int
    ) -> None:
        for _ in range(2):
            everyone = self.index.match(AllOf())
            order = some.Order(key)
            page = self.index.page(everyone, order, 50)
            assert page == self.naive.page(everyone, order, 50)
            assert self.index.facets([key]) == self.naive.facets([key], None)
            for search in (Contains("e", (key,)), HasPrefix(key, "a"), Has(key), Not(Has(key))):
                assert set(self.index.match(search)) == self.naive.match(search)
            self.put(data, owner, version)

    @rule(expression=some.expressions)
    def match(self, expression: some.Expression) -> None:
        found = self.index.match(expression)
        assert set(found) == self.naive.match(expression)
        assert self.index.count(expression) == len(found)

    @rule(
        expression=some.expressions,
        order=st.none() | some.orders,
        limit=st.integers(0, 5),
        offset=st.integers(0, 5),
        term=st.none() | some.terms,
    )
    def walk_there_and_back(
        self,
        expression: some.Expression,
        order: some.Order | None,
        limit: int,
        offset: int,
        term: str | None,
    ) -> None:
        found = self.index.match(expression)
        position = None
        pages = []
        while True:
            page = self.index.page(found, order, limit, offset, position, term)
            assert page == self.naive.page(found, order, limit, offset, position, term)
            offset = 0
            pages.append(page)
            if not page.has_more or not page.entries:
                break
            position = Position(page.entries[-1].value, page.entries[-1].uid)
        for page in reversed(pages[1:]):
            if page.entries:
                start = Position(page.entries[0].value, page.entries[0].uid, backwards=True)
                before = self.index.page(found, order, limit, 0, start, term)
                assert before == self.naive.page(found, order, limit, 0, start, term)

    @rule(
        order=st.none() | some.orders,
        value=some.lowered,
        uid=st.integers(0, 999).map(lambda number: f"{number:03d}"),
        is_backwards=st.booleans(),
    )
    def begin_anywhere(
        self, order: some.Order | None, value: str, uid: str, *, is_backwards: bool
    ) -> None:
        found = self.index.match(AllOf())
        position = Position(value, uid, is_backwards)
        page = self.index.page(found, order, 3, 0, position)
        assert page == self.naive.page(found, order, 3, 0, position)

    @rule(expression=some.expressions, order=st.none() | some.orders)
    def list_and_count(self, expression: some.Expression, order: some.Order | None) -> None:
        found = self.index.match(expression)
        entries = self.naive.entries(found, order)
        assert self.index.ids_in_order(found, order).tolist() == [entry.id for entry in entries]
        assert self.index.total(found, order) == self.naive.total(found, order)

    @rule(expression=some.expressions, orders=st.lists(some.orders, min_size=1, max_size=3))
    def list_as_of_old(self, expression: some.Expression, orders: list[some.Order]) -> None:
        found = self.index.match(expression)
        assert self.index.sorted_ids(found, orders).tolist() == self.naive.sorted_ids(found, orders)
        assert self.index.by_ref(found).tolist() == self.naive.by_ref(found)

    @rule(
        expression=st.none() | some.expressions,
        keys=st.lists(some.keys | some.keys.map(str.upper), max_size=3),
    )
    def count_values(self, expression: some.Expression | None, keys: list[str]) -> None:
        found = None if expression is None else self.index.match(expression)
        assert self.index.facets(keys, found) == self.naive.facets(keys, found)

    @invariant()
    def everyone_is_found_by_ref_and_uid(self) -> None:
        for owner in range(1, 13):
            known = self.naive.entities.get(owner)
            ref = identity(owner, 0)[1]
            assert self.index.id_of(ref) == (owner if known else None)
            assert self.index.contains_id(owner) == bool(known)
            for version in range(2):
                uid = identity(owner, version)[2]
                expected = owner if known and known[1] == uid else None
                assert self.index.id_of_uid(uid) == expected
        assert len(self.index) == len(self.naive.entities)


IndexMachine.TestCase.settings = settings(
    max_examples=50,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestIndex = IndexMachine.TestCase


class Interrupted:
    """Documents whose reading is when something else happens."""

    def __init__(self) -> None:
        self.naive = Naive()
        self.happens: list[Callable[[], None]] = []

    def put(self, owner: int, title: str) -> IndexRow:
        name, ref, uid = identity(owner, 0)
        metadata = {"name": name, "uid": uid, "title": title}
        self.naive.entities[owner] = ref, uid, {"kind": "API", "metadata": metadata}
        return self.naive.row(owner)

    def load_documents(self, ids: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        if self.happens:
            self.happens.pop()()
        return self.naive.load_documents(ids)


def test_a_change_during_a_merge_is_not_lost():
    source = Interrupted()
    index = EntityIndex(source.load_documents)
    index.load([source.put(owner, f"title {owner}") for owner in range(1, 9)], 1)
    index.warm(["metadata.title"])
    index.apply([(1, source.put(1, "first")), (2, source.put(2, "first"))], 2)
    source.happens.append(
        lambda: index.apply([(1, source.put(1, "second")), (3, None), (9, source.put(9, "new"))], 3)
    )

    index.merge()
    del source.naive.entities[3]

    assert not source.happens
    assert set(index.match(In("metadata.title", ("first",)))) == {2}
    assert set(index.match(AllOf())) == {1, 2, 4, 5, 6, 7, 8, 9}
    page = index.page(index.match(AllOf()), Order("metadata.title"), 3)
    assert [entry.value for entry in page.entries] == ["first", "new", "second"]
    assert index.seq == 3


def test_loading_anew_during_a_merge_wins():
    source = Interrupted()
    index = EntityIndex(source.load_documents)
    index.load([source.put(1, "one")], 1)
    index.warm(["metadata.title"])
    index.apply([(1, source.put(1, "two"))], 2)
    source.happens.append(lambda: index.load([source.put(5, "five")], 7))

    index.merge()

    assert not source.happens
    assert set(index.match(AllOf())) == {5}
    assert index.seq == 7


def test_a_change_while_a_column_is_read_is_seen():
    source = Interrupted()
    index = EntityIndex(source.load_documents)
    index.load([source.put(owner, f"title {owner}") for owner in range(1, 4)], 1)
    everyone = index.match(AllOf())
    source.happens.append(lambda: index.apply([(2, source.put(2, "a change"))], 2))

    page = index.page(everyone, Order("metadata.title"), 2)

    assert [entry.value for entry in page.entries] == ["a change", "title 1"]


def test_an_empty_index_answers():
    index = EntityIndex(Naive().load_documents)

    everyone = index.match(AllOf())

    assert len(index) == index.count(Has("kind")) == index.total(everyone, Order("kind")) == 0
    assert index.page(everyone, None, 5) == index.page(everyone, Order("kind"), 5)
    assert index.facets(["Kind", "kind"], everyone) == {"Kind": [], "kind": []}
    assert index.id_of("component:default/x") is index.id_of_uid("u") is None
    assert index.sorted_ids(everyone, [Order("kind")]).tolist() == []


def test_names_can_be_ordered_while_titles_are_still_read():
    source = Interrupted()
    index = EntityIndex(source.load_documents)
    index.load([source.put(owner, f"title {owner}") for owner in range(1, 4)], 1)
    pages = []

    def read() -> None:
        found = index.match(AllOf())
        pages.append(index.page(found, Order("metadata.name"), 5))

    def read_in_another_thread() -> None:
        thread = Thread(target=read)
        thread.start()
        thread.join(10)

    source.happens.append(read_in_another_thread)
    index.warm(["metadata.title", "metadata.name"])

    assert [entry.id for entry in pages[0].entries] == [1, 2, 3]


def test_two_readers_read_a_column_once():
    source = Interrupted()
    index = EntityIndex(source.load_documents)
    index.load([source.put(owner, f"title {owner}") for owner in range(1, 4)], 1)
    found = index.match(AllOf())
    is_reading, may_go_on = Event(), Event()
    reads = []

    def wait() -> None:
        reads.append("read")
        is_reading.set()
        may_go_on.wait(10)

    source.happens += [wait, wait]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(index.page, found, Order("metadata.title"), 5)
        assert is_reading.wait(10)
        second = pool.submit(index.page, found, Order("metadata.title"), 5)
        may_go_on.set()
        assert first.result(10) == second.result(10)

    assert reads == ["read"]


@pytest.mark.parametrize("is_loaded", [True, False])
def test_an_order_that_multiplies_beyond_measure_is_refused_before_it_takes_memory(is_loaded):
    naive = Naive()
    name, ref, uid = identity(1, 0)
    metadata = {"name": name, "uid": uid, "tags": [f"t{number}" for number in range(200)]}
    naive.entities[1] = ref, uid, {"kind": "API", "metadata": metadata}
    index = EntityIndex(naive.load_documents)
    if is_loaded:
        index.load(naive.rows(), 1)
    else:
        index.load([], 0)
        index.apply([(1, naive.row(1))], 1)
    everyone = index.match(AllOf())
    tags = Order("metadata.tags")

    assert len(index.sorted_ids(everyone, [tags] * 2)) == 40_000
    with pytest.raises(InputError, match=r"Ordering by metadata.tags as well makes more than"):
        index.sorted_ids(everyone, [tags] * 3)
