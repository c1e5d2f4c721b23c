"""Texts are read from as few documents as will do."""

from __future__ import annotations

from hypothesis import given

from app.index.build import build
from app.index.gather import gather, values_of
from app.index.terms import DuplicateKeysError, index_rows
from tests.app.index import strategies as some
from tests.app.index.naive import Naive


@given(some.entities(), some.keys)
def test_the_values_of_a_key_are_its_index_rows(document, key):
    try:
        rows = index_rows(document)
    except DuplicateKeysError:
        return
    assert list(values_of(document, key)) == [
        (value, original) for name, value, original in rows if name == key
    ]


def catalog(count):
    naive = Naive()
    for owner in range(1, count + 1):
        document = {
            "kind": "Component",
            "metadata": {"name": f"n-{owner}", "uid": f"u-{owner}", "title": f"Title {owner}"},
            "spec": {"type": ("service", "Service", "website")[owner % 3]},
        }
        naive.entities[owner] = f"component:default/n-{owner}", f"u-{owner}", document
    return naive


class Reader:
    """Counts what is read."""

    def __init__(self, naive):
        self.naive = naive
        self.asked = []

    def load(self, ids):
        self.asked += ids
        return self.naive.load_documents(ids)


def test_one_document_is_read_per_value_and_spelling():
    naive = catalog(300)
    reader = Reader(naive)

    columns, facets = gather(build(naive.rows()), reader.load, {"spec.type": {}}, {"spec.type": ()})

    assert sorted(columns[0].found) == [b"service", b"website"]
    assert sorted(facets[0].found) == ["Service", "service", "website"]
    assert len(reader.asked) <= 5


def test_names_and_uids_are_read_from_no_document():
    naive = catalog(10)
    reader = Reader(naive)
    keys = ("metadata.name", "metadata.namespace", "metadata.uid", "kind")

    columns, _ = gather(build(naive.rows()), reader.load, {key: {} for key in keys}, {})

    assert [column.name for column in columns if column.found] == list(keys)
    assert reader.asked == []


def test_texts_that_are_known_are_not_read_again():
    naive = catalog(10)
    base = build(naive.rows())
    columns, _ = gather(base, naive.load_documents, {"metadata.title": {}}, {})
    reader = Reader(naive)

    again, _ = gather(base, reader.load, {"metadata.title": columns[0].found}, {})

    assert again[0].found == columns[0].found
    assert reader.asked == []


def test_another_entity_is_asked_if_the_first_has_changed():
    naive = catalog(30)
    base = build(naive.rows())
    naive.entities[3][2]["spec"]["type"] = "other"
    del naive.entities[6]

    _, facets = gather(base, naive.load_documents, {}, {"spec.type": ()})

    assert "service" in facets[0].found
    assert facets[0].patches == {}


def test_a_value_nobody_has_any_more_is_patched():
    naive = catalog(5)
    base = build(naive.rows())
    naive.entities[3][2]["metadata"]["title"] = "New"
    del naive.entities[4]

    columns, _ = gather(base, naive.load_documents, {"metadata.title": {}}, {})

    assert columns[0].patches == {3: (("new", "New"),), 4: ()}
