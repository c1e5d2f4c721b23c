"""`fields`: what is kept of an entity."""

import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.projection import parse_fields
from app.errors import InputError

ENTITY = {
    "kind": "Component",
    "metadata": {
        "name": "web",
        "title": None,
        "annotations": {"backstage.io/view-url": "u", "a.b": {"c": 1}, "x": "y"},
        "tags": ["java", "go"],
    },
    "spec": {"targets": ["a", "b", "c"], "nested": [{"k": 1, "l": 2}], "empty": {}},
    "relations": [{"type": "ownedBy", "targetRef": "group:default/a"}],
}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["kind"], {"kind": "Component"}),
        (["kind", "metadata.name"], {"kind": "Component", "metadata": {"name": "web"}}),
        (["metadata.title"], {"metadata": {"title": None}}),
        (["metadata.name", "kind"], {"metadata": {"name": "web"}, "kind": "Component"}),
        (["spec.empty"], {"spec": {"empty": {}}}),
        (["relations"], {"relations": ENTITY["relations"]}),
        (
            ["metadata.annotations.backstage.io/view-url"],
            {"metadata": {"annotations": {"backstage.io/view-url": "u"}}},
        ),
        (["metadata.annotations.a.b.c"], {"metadata": {"annotations": {"a.b": {"c": 1}}}}),
        (["metadata.annotations.a.b"], {"metadata": {"annotations": {"a.b": {"c": 1}}}}),
        (["metadata.annotations.a"], {}),
        (["nope", "spec.nope", "kind.x", "metadata.name.x", "status"], {}),
        (["metadata..name", "", "."], {}),
        (["metadata.tags.1"], {"metadata": {"tags": [None, "go"]}}),
        (["metadata.tags.2", "metadata.tags.01", "metadata.tags.-1", "metadata.tags.x"], {}),
        (["spec.nested.0.l"], {"spec": {"nested": [{"l": 2}]}}),
        (["metadata", "metadata.name"], {"metadata": ENTITY["metadata"]}),
        (["metadata.name", "metadata"], {"metadata": ENTITY["metadata"]}),
        ([" kind ", "kind"], {"kind": "Component"}),
    ],
)
def test_what_the_paths_lead_to_is_kept(fields, expected):
    before = orjson.dumps(ENTITY)
    assert parse_fields(fields).of(ENTITY) == expected
    assert orjson.dumps(ENTITY) == before


def test_order_of_the_fields_is_order_in_the_answer():
    assert parse_fields(["spec.empty", "kind"]).reduce(orjson.dumps(ENTITY)) == (
        b'{"spec":{"empty":{}},"kind":"Component"}'
    )


@pytest.mark.parametrize("fields", [[], [""], [" ", "\ufeff"]])
def test_no_fields_mean_everything(fields):
    assert parse_fields(fields) is None


def test_arrays_cannot_be_asked_for_in_brackets():
    with pytest.raises(InputError) as refused:
        parse_fields(["kind", "metadata.tags[0]"])
    assert str(refused.value) == (
        'Invalid field "metadata.tags[0]", array type fields are not supported'
    )


NAMES = st.sampled_from(["a", "b", "a.b", "b/c", "c"])
VALUES = st.recursive(
    st.none() | st.integers(0, 3), lambda inner: st.dictionaries(NAMES, inner, max_size=3)
)


def naive(path, value):
    """Every way to join the parts, the shortest first; the first key that matches decides."""
    if not path:
        return [()], value
    if isinstance(value, dict):
        for size in range(1, len(path) + 1):
            key = ".".join(path[:size])
            if key in value:
                found = naive(path[size:], value[key])
                return found and ([(key, *keys) for keys in found[0]], found[1])
    return None


@given(
    st.dictionaries(NAMES, VALUES, max_size=3),
    st.lists(st.lists(NAMES, min_size=1, max_size=3).map(".".join), min_size=1, max_size=3),
)
def test_paths_are_joined_from_the_left_until_a_key_matches(entity, fields):
    kept = parse_fields(fields).of(entity)

    for field in fields:
        found = naive(field.split("."), entity)
        if found:
            value = kept
            for key in found[0][0]:
                value = value[key]
            assert value == found[1]
    assert count(kept) <= count(entity)
    assert is_part_of(kept, entity)


def count(value):
    return 1 + sum(map(count, value.values())) if isinstance(value, dict) else 1


def is_part_of(part, whole):
    if not isinstance(part, dict):
        return part == whole
    return all(key in whole and is_part_of(inner, whole[key]) for key, inner in part.items())


@pytest.mark.parametrize(
    "path",
    ["a." * 45_000, "spec." + "a." * 45_000, "metadata.annotations." + "." * 90_000, "x" * 90_000],
    ids=["long", "below", "dots", "one"],
)
def test_a_path_costs_no_more_than_its_length(path):
    projection = parse_fields([path])
    began = time.process_time()

    for _ in range(100):
        assert projection.of(ENTITY) == {}

    assert time.process_time() - began < 0.5
