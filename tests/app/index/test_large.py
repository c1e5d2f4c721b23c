"""With thousands of entities other ways are taken than with a few; the answers are the same."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from app.index.build import IndexRow, build
from app.index.index import EntityIndex
from app.index.terms import encode_terms
from app.model.query import AllOf, Contains, Has, HasPrefix, IdIn, In, Not, Order, Position
from tests.app.index.naive import Naive

COUNT = 3000
COMPONENTS = In("kind", ("component",))
NAME, TAGS = Order("metadata.name"), Order("metadata.tags", "desc")


def document(chance, owner):
    kind = chance.choice(["Component", "Component", "component", "API", "User"])
    name = f"{chance.choice(['web', 'ledger', 'cart', 'tide'])}-{chance.randrange(10**6)}-{owner}"
    uid = f"{chance.getrandbits(64):016x}"
    metadata = {"name": name, "uid": uid, "tags": chance.sample(["java", "go", "c++", "Go"], 2)}
    if chance.random() < 0.5:
        metadata["title"] = f"The {name.upper()}"
    spec = {"type": chance.choice(["service", "Service", "website"]), "owner": f"team-{owner % 90}"}
    relations = [{"type": "ownedBy", "targetRef": f"group:default/team-{owner % 90}"}]
    entity = {"kind": kind, "metadata": metadata, "spec": spec, "relations": relations}
    return f"{kind}:default/{name}".lower(), uid, entity


@pytest.fixture(scope="module")
def naive():
    chance = random.Random(7)  # noqa: S311
    found = Naive()
    owners = chance.sample(range(1, 2 * COUNT), COUNT)
    found.entities = {owner: document(chance, owner) for owner in owners}
    return found


@pytest.fixture(params=["loaded", "changed", "merged"])
def index(naive, request):
    """The same entities: loaded at once, or partly as changes, or with these merged."""
    made = EntityIndex(naive.load_documents)
    if request.param == "loaded":
        made.load(naive.rows(), 1)
        return made
    chance = random.Random(3)  # noqa: S311
    old = Naive()
    for owner in naive.entities:
        fate = chance.random()
        if fate > 0.05:
            old.entities[owner] = naive.entities[owner]
        elif fate > 0.02:
            old.entities[owner] = document(chance, owner)
    gone = [owner for owner in range(1, 40) if owner not in naive.entities]
    old.entities |= {owner: document(chance, owner) for owner in gone}
    made.load(old.rows(), 1)
    changes = [
        (owner, naive.row(owner))
        for owner, known in naive.entities.items()
        if old.entities.get(owner) is not known
    ]
    made.warm(["metadata.name", "metadata.tags"], ["spec.type"])
    made.apply([*changes, *((owner, None) for owner in gone)], 2)
    if request.param == "merged":
        made.merge()
    return made


@pytest.mark.parametrize(
    "expression",
    [
        AllOf(),
        COMPONENTS,
        In("spec.owner", ("team-7",)),
        In("metadata.tags.go", ("true",)),
        Has("metadata.title"),
        Not(Has("metadata.title")),
        HasPrefix("metadata.name", "web-1"),
        Contains("e", ("metadata.name",)),
        Contains("ledger-1", ("metadata.name", "metadata.title")),
        AllOf((COMPONENTS, In("spec.owner", ("team-7", "team-8")), Not(Has("metadata.title")))),
        IdIn(tuple(range(50))),
    ],
)
def test_pages_totals_and_facets(naive, index, expression):
    found = index.match(expression)

    assert set(found) == naive.match(expression)
    for order in (None, NAME, Order("metadata.name", "desc"), TAGS, Order("metadata.title")):
        entries = naive.entries(found, order)
        assert index.ids_in_order(found, order).tolist() == [entry.id for entry in entries]
        assert index.total(found, order) == naive.total(found, order)
        for offset in (0, 3, len(entries) // 2, max(0, len(entries) - 4)):
            page = index.page(found, order, 20, offset)
            assert list(page.entries) == entries[offset : offset + 20]
            assert page.has_more == (len(entries) > offset + 20)
        for entry in entries[:: len(entries) // 3 + 1]:
            for is_backwards in (False, True):
                start = Position(entry.value, entry.uid, is_backwards)
                page = index.page(found, order, 7, 0, start)
                at = entries.index(entry)
                expected = (
                    entries[max(0, at - 7) : at] if is_backwards else entries[at + 1 : at + 8]
                )
                assert list(page.entries) == expected
    keys = ["kind", "spec.type", "metadata.tags", "relations.ownedBy", "metadata.name"]
    assert index.facets(keys, found) == naive.facets(keys, found)
    assert index.facets(keys) == naive.facets(keys, None)
    orders = [Order("spec.type", "desc"), TAGS, NAME]
    assert index.sorted_ids(found, orders).tolist() == naive.sorted_ids(found, orders)
    assert index.by_ref(found).tolist() == naive.by_ref(found)


def test_refs_and_uids(naive, index):
    refs = [ref for ref, _, _ in naive.entities.values()]

    assert index.ids_of(refs) == list(naive.entities)
    assert index.ids_of(["component:default/none", refs[0].upper()]) == [None, None]
    for owner, (_, uid, _) in list(naive.entities.items())[::100]:
        assert index.id_of_uid(uid) == owner


def test_a_base_that_was_packed_on_the_way_is_the_same(naive):
    rows = naive.rows()

    plain, packed = build(rows), build(rows, waiting=3000)

    for name in ("keys", "term_starts", "shared_starts", "id_starts", "terms", "starts", "ids"):
        assert getattr(plain, name).tolist() == getattr(packed, name).tolist()
    for name in ("cased", "cased_originals", "mixed", "mixed_starts", "mixed_originals"):
        one, other = getattr(plain.spellings, name), getattr(packed.spellings, name)
        assert one.tolist() == other.tolist()


def test_columns_that_are_not_kept_make_room(naive):
    index = EntityIndex(naive.load_documents, column_room=0)
    index.load(naive.rows(), 1)
    index.warm(["metadata.name"])
    size = index.nbytes

    everyone = index.match(AllOf())
    index.page(everyone, Order("metadata.title"), 5)
    with_title = index.nbytes
    index.page(everyone, Order("spec.type"), 5)

    assert size < index.nbytes < with_title


def test_a_merge_is_due_when_much_has_changed(naive):
    index = EntityIndex(naive.load_documents)
    index.load(naive.rows(), 1)
    rows = naive.rows()

    index.apply([(row.id, row) for row in rows[:1000]], 2)
    assert not index.needs_merge
    index.apply([(row.id, row) for row in rows[1000:1001]], 3)
    assert index.needs_merge
    index.merge()

    assert not index.needs_merge
    assert index.seq == 3


def test_readers_see_each_call_of_apply_whole(naive):
    """A writer moves all entities of a team at once; nobody ever sees a part of them moved."""
    team = [owner for owner in naive.entities if owner % 90 == 7]
    moved = Naive()
    moved.entities = dict(naive.entities)
    rows = {True: [], False: []}
    for owner in team:
        ref, uid, entity = naive.entities[owner]
        for is_away, moves in rows.items():
            spec = {**entity["spec"], "owner": "away" if is_away else "home"}
            terms = encode_terms({**entity, "spec": spec})
            moves.append((owner, IndexRow(owner, ref, uid, terms)))
    index = EntityIndex(moved.load_documents)
    index.load(naive.rows(), 1)
    index.apply(rows[False], 2)
    stop = Event()

    def write():
        for seq in range(60):
            index.apply(rows[seq % 2 == 0], seq)
        stop.set()

    def merge():
        while not stop.is_set():
            index.merge()

    def read():
        seen = set()
        while not stop.is_set():
            seen.add(index.count(In("spec.owner", ("away",))))
            page = index.page(index.match(COMPONENTS), NAME, 5)
            assert len(page.entries) == 5
            assert sum(count for _, count in index.facets(["spec.type"])["spec.type"]) == COUNT
        return seen

    with ThreadPoolExecutor(4) as pool:
        merger, *readers = pool.submit(merge), pool.submit(read), pool.submit(read)
        write()
        merger.result()
        assert set().union(*(reader.result() for reader in readers)) <= {0, len(team)}
