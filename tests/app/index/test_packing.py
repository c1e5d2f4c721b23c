"""A base that was packed and unpacked is the same base, or refused."""

from __future__ import annotations

import gc
import weakref

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from app.index.index import EntityIndex
from app.index.packing import DamagedError, read_about, unpack
from app.index.terms import DuplicateKeysError, encode_terms
from app.model.query import AllOf, Order
from tests.app.index import strategies as some
from tests.app.index.naive import Naive

ORDERS = [None, Order("metadata.name", "asc"), Order("spec.type", "desc")]
SOME = Order("metadata.name", "asc")


@st.composite
def catalogs(draw):
    naive = Naive()
    for owner in range(1, draw(st.integers(1, 9))):
        uid = f"{owner * 7919 % 1000:03d}-uid"
        entity = draw(some.entities(f"n{owner}", uid))
        try:
            encode_terms(entity)
        except DuplicateKeysError:
            continue
        naive.entities[owner] = f"component:default/n{owner}", uid, entity
    return naive


def loaded(naive, seq=5):
    index = EntityIndex(naive.load_documents)
    index.load(naive.rows(), seq)
    return index


def packed(index, **about):
    return memoryview(b"".join(index.packed(about)))


def answers(index):
    everyone = index.match(AllOf())
    return [
        *(index.page(everyone, order, 50).entries for order in ORDERS),
        index.facets(["spec.type", "metadata.tags", "kind"], everyone),
        index.by_ref(everyone).tolist(),
    ]


@settings(max_examples=60, deadline=None)
@given(catalogs(), st.booleans(), st.data())
def test_what_is_adopted_answers_the_same_without_a_look_at_documents(naive, is_warm, data):
    index = loaded(naive)
    index.warm(["metadata.name", "spec.type"] if is_warm else [])
    read = []

    def load_documents(ids):
        read.append(list(ids))
        return naive.load_documents(ids)

    other = EntityIndex(load_documents)
    other.adopt(unpack(packed(index)))

    assert (other.seq, other.base_seq, len(other)) == (5, 5, len(index))
    other.page(other.match(AllOf()), SOME, 5)
    if is_warm:
        assert read == []
    assert answers(other) == answers(index)
    for ref, uid, _ in naive.entities.values():
        assert other.id_of(ref) == index.id_of(ref) is not None
        assert other.id_of_uid(uid) == index.id_of_uid(uid) is not None
    condition = data.draw(some.expressions)
    assert other.match(condition) == index.match(condition)


@settings(max_examples=60, deadline=None)
@given(catalogs(), st.data())
def test_changes_lie_beside_what_was_adopted_or_exchanged(naive, data):
    index, other = loaded(naive), EntityIndex(naive.load_documents)
    answers(index)
    whole = unpack(packed(index))
    changed = sorted(naive.entities)[:2]
    for owner in changed:
        naive.entities.pop(owner)
    changes = [(owner, None) for owner in changed]
    index.apply(changes, 6)
    index.exchange(whole)
    other.adopt(whole)
    other.apply(changes, 6)

    assert index.seq == other.seq == 6
    assert index.base_seq == 5
    assert answers(index) == answers(other) == answers(loaded(naive, 6))
    index.merge()
    assert index.base_seq == 6
    assert answers(index) == answers(other)


def test_another_base_is_not_exchanged():
    naive = Naive()
    index = loaded(naive)
    before = index.nbytes

    index.exchange(unpack(packed(loaded(naive, 7))))

    assert (index.base_seq, index.nbytes) == (5, before)


def test_what_was_written_beside_it_can_be_read_alone():
    data = packed(loaded(Naive()), lineage="x")

    assert read_about(data) == unpack(data).about == {"lineage": "x", "seq": 5}


@pytest.fixture(scope="module")
def whole():
    naive = Naive()
    for owner in (1, 2, 3):
        ref = f"component:default/n{owner}"
        naive.entities[owner] = ref, f"{owner}-uid", {"kind": "Component", "metadata": {}}
    return bytes(packed(loaded(naive)))


@given(st.data())
def test_damaged_bytes_are_refused_or_say_the_same(whole, data):
    if data.draw(st.booleans()):
        damaged = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        at = data.draw(st.integers(0, len(whole) - 1))
        damaged = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]

    try:
        found = unpack(memoryview(damaged))
    except DamagedError:
        return
    assert found.base.entities.refs.all() == unpack(memoryview(whole)).base.entities.refs.all()


def test_another_format_is_refused(whole, monkeypatch):
    monkeypatch.setattr("app.index.packing.FORMAT", 2)

    with pytest.raises(DamagedError, match="another format"):
        unpack(memoryview(whole))


def test_an_old_base_is_gone_as_soon_as_there_is_a_new_one():
    index = loaded(Naive())
    whole = unpack(packed(index))
    gc.disable()
    try:
        for renew in (index.merge, lambda: index.exchange(whole), lambda: index.adopt(whole)):
            answers(index)
            old = weakref.ref(index._answers)
            renew()
            assert old() is None
    finally:
        gc.enable()
