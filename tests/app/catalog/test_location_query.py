"""Predicates over registered locations, and cursors, which anybody may have made up."""

from __future__ import annotations

import base64
import contextlib
import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.location_query import (
    MAX_DEPTH,
    MAX_PARTS,
    MOST,
    compile_predicate,
    first_page,
    page_at,
)
from app.catalog.registered_store import RegisteredLocation
from app.errors import InputError

A = RegisteredLocation("a1", "url", "https://example.org/A.yaml", "location:default/generated-1")
B = RegisteredLocation("b2", "url", "https://example.org/b.yaml", "location:default/generated-2")
NOTHING, EVERYTHING = [], [A, B]


def found(predicate):
    matches = compile_predicate(predicate, "Invalid query")
    return [one for one in (A, B) if matches is None or matches(one)]


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        ({}, EVERYTHING),
        ({"type": "URL"}, EVERYTHING),
        ({"TYPE": "url", "Target": "HTTPS://EXAMPLE.ORG/a.yaml"}, [A]),
        ({"entityRef": "Location:default/generated-2"}, [B]),
        ({"ENTITYREF": {"$in": ["LOCATION:default/generated-2", "x"]}}, [B]),
        ({"id": "A1"}, [A]),
        ({"id": {"$in": ["A1", "b2"]}}, [B]),
        ({"id": {"$in": []}}, NOTHING),
        ({"type": 1}, NOTHING),
        ({"type": True}, NOTHING),
        ({"type": 10**400}, NOTHING),
        ({"target": {"$hasPrefix": "HTTPS://example.org/B"}}, [B]),
        ({"target": {"$hasPrefix": "%"}}, NOTHING),
        ({"target": {"$hasPrefix": ""}}, EVERYTHING),
        ({"target": {"$exists": True}}, EVERYTHING),
        ({"target": {"$exists": False}}, NOTHING),
        ({"target": {"$contains": A.target}}, NOTHING),
        ({"target": {"$contains": {"type": "ownedBy"}}}, NOTHING),
        ({"$not": {"id": "a1"}}, [B]),
        ({"$not": {"target": {"$contains": "x"}}}, EVERYTHING),
        ({"$all": []}, NOTHING),
        ({"$any": []}, NOTHING),
        ({"$not": {"$all": []}}, EVERYTHING),
        ({"$all": [{"type": "url"}, {"id": "b2"}]}, [B]),
        ({"$any": [{"id": "a1"}, {"id": "b2"}]}, EVERYTHING),
        # What says nothing is as if it were not there.
        ({"$not": {}}, EVERYTHING),
        ({"$any": [{}, {"id": "a1"}]}, [A]),
        ({"$any": [{}]}, EVERYTHING),
        ({"$all": [{}, {"$not": {}}]}, EVERYTHING),
    ],
)
def test_a_predicate_finds(predicate, expected):
    assert found(predicate) == expected


@pytest.mark.parametrize(
    ("predicate", "complaint"),
    [
        ({"x": 1}, ("Invalid filter predicate, expected key to be 'id', 'type', 'target', or "
                   "'entityRef', got 'x'")),
        ({"$any": ["url"]}, "Invalid filter predicate, expected an object"),
        ({"$any": [None]}, "Invalid query: Validation error: Expected object, received null"),
        ({"$any": {}}, ("Invalid query: Validation error: Expected array, received object "
                       'at "$any"')),
        ({"$all": [], "id": "a1"}, ("Invalid query: Validation error: Unrecognized key(s) in "
                                   "object: 'id'")),
        ({"$nor": []}, ('Invalid query: Validation error: Invalid at "$nor", expected a field or '
                       "one of $all, $any, $not")),
        ({"id": None}, ("Invalid query: Validation error: Expected a value or one of $exists, "
                       '$in, $contains, $hasPrefix at "id"')),
        ({"id": {"$in": [{}]}}, ("Invalid query: Validation error: Expected a value or one of "
                                '$exists, $in, $contains, $hasPrefix at "id"')),
        ({"id": {"$exists": 1}}, ("Invalid query: Validation error: Expected a value or one of "
                                 '$exists, $in, $contains, $hasPrefix at "id"')),
    ],
)  # fmt: skip
def test_a_predicate_that_makes_no_sense_is_refused(predicate, complaint):
    with pytest.raises(InputError) as raised:
        compile_predicate(predicate, "Invalid query")
    assert str(raised.value) == complaint


def nested(depth, inside):
    predicate = {"id": "a1"}
    for _ in range(depth):
        predicate = inside(predicate)
    return predicate


@pytest.mark.parametrize("inside", [lambda p: {"$not": p}, lambda p: {"$all": [p]}])
def test_predicates_are_bounded(inside):
    compile_predicate(nested(MAX_DEPTH - 1, inside), "Invalid query")
    with pytest.raises(InputError, match="levels deep"):
        compile_predicate(nested(MAX_DEPTH + 1, inside), "Invalid query")
    with pytest.raises(InputError, match="conditions"):
        compile_predicate({"$all": [{"id": "a1"}] * MAX_PARTS}, "Invalid query")


def test_what_is_not_looked_at_is_bounded_too():
    deep = nested(1000, lambda p: {"x": p})
    for predicate in ({"id": {"$contains": deep}}, {"id": {"$in": ["a1"], "x": deep}}):
        with pytest.raises(InputError, match="levels deep"):
            compile_predicate(predicate, "Invalid query")


# -- cursors --------------------------------------------------------------------------------------


def cursor(value):
    return base64.b64encode(orjson.dumps(value)).decode()


def test_a_cursor_says_what_clients_expect():
    written = first_page(1, {"TYPE": "URL"}).cursor(A)

    assert orjson.loads(base64.b64decode(written)) == {
        "limit": 1,
        "afterId": "a1",
        "query": {"TYPE": "URL"},
    }
    assert "query" not in orjson.loads(base64.b64decode(first_page(1, None).cursor(A)))


def test_a_cursor_brings_its_own_question():
    query = page_at(first_page(7.0, {"id": "B2"}).cursor(A))

    assert (query.limit, query.after, query.predicate) == (7, "a1", {"id": "B2"})
    assert [one for one in (A, B) if query.matches(one)] == [B]


def test_a_cursor_may_leave_out_where_it_begins():
    assert page_at(cursor({"limit": 3})).after == ""


@pytest.mark.parametrize("limit", [0, -1, 0.5, 2.5])
def test_a_limit_is_a_positive_number(limit):
    with pytest.raises(InputError, match=r"^Limit must be a positive integer >= 1$"):
        first_page(limit, None)


def test_a_limit_beyond_all_bounds_is_as_good_as_a_large_one():
    assert first_page(1e300, None).limit == MOST
    assert page_at(cursor({"limit": 2**60})).limit == MOST


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "Cursor cannot be empty"),
        ("!", "Malformed cursor, unknown encoding"),
        ("nope", "Malformed cursor, unknown encoding"),
        (cursor([]), "Malformed cursor, unknown encoding"),
        (cursor({}), ("Malformed cursor: Validation error: Expected an integer that is at least 1 "
                     'at "limit"')),
        (cursor({"limit": 0}), ("Malformed cursor: Validation error: Expected an integer that is "
                               'at least 1 at "limit"')),
        (cursor({"limit": True}), ("Malformed cursor: Validation error: Expected an integer that "
                                  'is at least 1 at "limit"')),
        (cursor({"limit": 1, "afterId": 1}), ("Malformed cursor: Validation error: Expected "
                                             'string at "afterId"')),
        (cursor({"limit": 1, "afterId": "\0"}), ("Malformed cursor: Validation error: Expected "
                                                'string at "afterId"')),
        (cursor({"limit": 1, "query": None}), "Query must be an object"),
        (cursor({"limit": 1, "query": {"$any": 1}}), ("Malformed cursor: Validation error: "
                                                     'Expected array, received object at "$any"')),
    ],
)  # fmt: skip
def test_a_cursor_that_makes_no_sense_is_refused(text, complaint):
    with pytest.raises(InputError) as raised:
        page_at(text)
    assert str(raised.value) == complaint


KEYS = st.sampled_from(
    ["id", "type", "TARGET", "entityRef", "$all", "$any", "$not", "$in", "$exists", "$contains",
     "$hasPrefix", "limit", "afterId", "query", "x"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_whatever_is_asked_is_answered_or_refused(value):
    with contextlib.suppress(InputError):
        assert all(one in (A, B) for one in found(value))


@given(JSON)
def test_whatever_is_in_a_cursor_is_read_or_refused(value):
    with contextlib.suppress(InputError):
        page_at(cursor_of_anything(value))


def cursor_of_anything(value):
    return base64.b64encode(json.dumps(value).encode()).decode()
