"""What of an entity is searchable."""

from __future__ import annotations

import pytest
from hypothesis import given

from app.errors import InputError
from app.index.blobs import key_hash, term_hash, unpack, unpack_many
from app.index.terms import DuplicateKeysError, TermEncoder, encode_terms, index_rows
from tests.app.index import strategies as some


def entity(**parts):
    return {"kind": "Component", "metadata": {"name": "web", "uid": "u-1", "etag": "e"}, **parts}


def rows_of(document, prefix="spec"):
    return [row for row in index_rows(document) if row[0].startswith(prefix)]


def test_the_rows_of_an_entity():
    document = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {
            "name": "Web",
            "namespace": "shop",
            "uid": "u-1",
            "etag": "e-1",
            "annotations": {"backstage.io/orphan": "true"},
            "tags": ["Java", "web"],
        },
        "relations": [{"type": "ownedBy", "targetRef": "group:default/team-a"}],
        "spec": {"type": "Service"},
        "status": {"items": []},
        "attachments": {"a": 1},
    }

    assert index_rows(document) == [
        ("apiversion", "backstage.io/v1alpha1", "backstage.io/v1alpha1"),
        ("kind", "component", "Component"),
        ("metadata.annotations.backstage.io/orphan", "true", "true"),
        ("metadata.tags", "java", "Java"),
        ("metadata.tags.java", "true", "true"),
        ("metadata.tags", "web", "web"),
        ("metadata.tags.web", "true", "true"),
        ("spec.type", "service", "Service"),
        ("metadata.name", "web", "Web"),
        ("metadata.namespace", "shop", "shop"),
        ("metadata.uid", "u-1", "u-1"),
        ("relations.ownedby", "group:default/team-a", "group:default/team-a"),
    ]


def test_a_namespace_that_is_not_set_is_null_and_default():
    rows = [row for row in index_rows(entity()) if row[0] == "metadata.namespace"]

    assert rows == [
        ("metadata.namespace", None, None),
        ("metadata.namespace", "default", "default"),
    ]


def test_objects_in_lists_share_a_path_and_empty_things_have_no_row():
    spec = {"list": [{"k": "a"}, {"k": "b"}, [{"k": "c"}]], "none": [], "empty": {}}

    rows = rows_of(entity(spec=spec))

    assert rows == [("spec.list.k", value, value) for value in "abc"]


def test_only_texts_in_lists_become_keys():
    assert rows_of(entity(spec={"ports": [8080, True, None, "x"]})) == [
        ("spec.ports", "8080", "8080"),
        ("spec.ports", "true", "true"),
        ("spec.ports", None, None),
        ("spec.ports", "x", "x"),
        ("spec.ports.x", "true", "true"),
    ]


def test_a_value_that_is_too_long_is_null_and_a_key_that_is_too_long_is_dropped():
    spec = {"long": "y" * 201, "fits": "y" * 200, "k" * 200: "x"}

    rows = rows_of(entity(spec=spec))

    assert rows == [("spec.long", None, None), ("spec.fits", "y" * 200, "y" * 200)]


def test_repeated_values_are_one_row_with_the_first_spelling():
    rows = rows_of(entity(spec={"tags": ["Java", "java", "JAVA"]}))

    assert rows == [("spec.tags", "java", "Java"), ("spec.tags.java", "true", "true")]


def test_a_dotted_key_meets_a_nested_one():
    rows = rows_of(entity(spec={"a.b": "X", "a": {"b": "x", "c": 1}}))

    assert rows == [("spec.a.b", "x", "X"), ("spec.a.c", "1", "1")]


@pytest.mark.parametrize(
    "spec",
    [
        {"owner": "a", "Owner": "b"},
        {"a.B": 1, "a": {"b": 2}},
        {"list": ["Foo", {"foo": 1}]},
        {"list": [{"k": 1}, {"K": 2}]},
        {"x" * 200: 1, "X" * 200: 2},
        {"list": ["X" * 200, {"x" * 200: 1}]},
    ],
)
def test_keys_that_differ_only_in_case_are_refused(spec):
    for make in (index_rows, encode_terms, TermEncoder().encode):
        with pytest.raises(DuplicateKeysError, match="vary only in casing"):
            make(entity(spec=spec))


def test_the_message_names_every_such_key():
    spec = {"owner": "a", "Owner": "b", "type": "c", "TYPE": "d", "other": "e"}

    with pytest.raises(InputError) as caught:
        encode_terms(entity(spec=spec))

    assert str(caught.value) == (
        "Entity has duplicate keys that vary only in casing, 'spec.owner', 'spec.type'"
    )


def test_items_that_differ_only_in_case_are_fine():
    document = entity(spec={"tags": ["Java", "java"]}, metadata={"name": "n", "tags": ["GO", "go"]})

    assert ("spec.tags.java", "true", "true") in index_rows(document)
    assert encode_terms(document)


def test_keys_seen_in_another_case_elsewhere_do_no_harm():
    encoder = TermEncoder()
    first, second = entity(spec={"Owner": "a"}), entity(spec={"owner": "a"})

    assert hashes(encoder.encode(first)) == hashes(encoder.encode(second))


def test_lone_surrogates_are_searchable_too():
    document = entity(spec={"odd": "\ud800", "list": ["\udfff"]})

    assert hashes(encode_terms(document)) == expected_hashes(document)


def hashes(blob):
    keys, terms, items = unpack(blob)
    pairs = [*zip(keys, terms, strict=True), *((item, term_hash(item, "true")) for item in items)]
    assert len(pairs) == len(set(pairs))
    return set(pairs)


def expected_hashes(document):
    return {
        (key_hash(key), term_hash(key_hash(key), value)) for key, value, _ in index_rows(document)
    }


@given(some.entities())
def test_a_blob_holds_the_rows_of_its_entity(document):
    try:
        expected = expected_hashes(document)
    except DuplicateKeysError:
        with pytest.raises(DuplicateKeysError):
            encode_terms(document)
    else:
        blob = encode_terms(document)
        assert hashes(blob) == expected
        keys, terms, items = unpack(blob)
        rows = unpack_many([7, 9], [blob, blob])
        half = len(keys)
        assert rows.keys.tolist() == keys * 2 + [0] * 2 * len(items)
        assert rows.terms.tolist() == terms * 2 + items * 2
        assert rows.ids.tolist() == [7] * half + [9] * half + [7] * len(items) + [9] * len(items)


def test_a_blob_of_another_version_is_refused():
    blob = encode_terms(entity())
    other = b"\x09" + blob[1:]

    for read in (unpack, lambda blob: unpack_many([1], [blob])):
        with pytest.raises(ValueError, match="version"):
            read(other)
    for broken in (blob[:-8], blob + bytes(8), blob[:-1], b""):
        with pytest.raises(ValueError, match="blob"):
            unpack_many([1], [broken])
