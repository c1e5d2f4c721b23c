"""Differences between documents: by value where a place is noise, in a fixed order."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.graph.history.diffing import differences

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b", "~/"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["a", "b", "url", "name", "x/y", "m~n"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


def diff(before, after):
    return [difference.json() for difference in differences(before, after)]


def at(document, pointer):
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [{"op": "changed", "pointer": "/a", "from": 1, "to": 2}]),
        ({"a": 1}, {"a": True}, [{"op": "changed", "pointer": "/a", "from": 1, "to": True}]),
        ({"a": 1}, {}, [{"op": "removed", "pointer": "/a", "from": 1}]),
        ({}, {"a": None}, [{"op": "added", "pointer": "/a", "to": None}]),
        (None, {"a": 1}, [{"op": "added", "pointer": "", "to": {"a": 1}}]),
        ({"a": 1}, None, [{"op": "removed", "pointer": "", "from": {"a": 1}}]),
        (None, None, []),
        ({"x/y": 1}, {"x~y": 1}, [
            {"op": "removed", "pointer": "/x~1y", "from": 1},
            {"op": "added", "pointer": "/x~0y", "to": 1},
        ]),
        ({"a": [1]}, {"a": {"0": 1}}, [
            {"op": "changed", "pointer": "/a", "from": [1], "to": {"0": 1}},
        ]),
    ],
)  # fmt: skip
def test_values_are_compared_by_key(before, after, expected):
    assert diff(before, after) == expected


def test_an_item_put_before_others_is_one_difference():
    assert diff({"targets": ["b", "c"]}, {"targets": ["a", "b", "c"]}) == [
        {"op": "added", "pointer": "/targets/0", "to": "a"}
    ]


def test_repeated_items_are_counted():
    assert diff(["a", "a"], ["a"]) == [{"op": "removed", "pointer": "/1", "from": "a"}]


def test_order_matters_where_lists_have_one():
    assert diff({"a": [1, 2]}, {"a": [2, 1]}) == [
        {"op": "changed", "pointer": "/a", "from": [1, 2], "to": [2, 1]}
    ]
    assert diff({"metadata": {"tags": [1, 2]}}, {"metadata": {"tags": [2, 1]}}) == []


def test_relations_are_compared_by_value():
    one, two, three = ({"type": "ownedBy", "targetRef": name} for name in "abc")
    assert diff({"relations": [one, two]}, {"relations": [two, one]}) == []
    assert diff({"relations": [one, two]}, {"relations": [three, one]}) == [
        {"op": "removed", "pointer": "/relations/1", "from": two},
        {"op": "added", "pointer": "/relations/0", "to": three},
    ]


def test_items_with_a_name_are_held_against_the_one_of_that_name():
    before = {"links": [{"url": "u", "title": "old"}, {"url": "v"}]}
    after = {"links": [{"url": "w"}, {"url": "u", "title": "new"}]}
    assert diff(before, after) == [
        {"op": "removed", "pointer": "/links/1", "from": {"url": "v"}},
        {"op": "added", "pointer": "/links/0", "to": {"url": "w"}},
        {"op": "changed", "pointer": "/links/1/title", "from": "old", "to": "new"},
    ]


def test_items_without_a_name_are_held_against_the_one_in_their_place():
    assert diff({"steps": [{"if": 1}, {"if": 2}]}, {"steps": [{"if": 1}, {"if": 3}]}) == [
        {"op": "changed", "pointer": "/steps/1/if", "from": 2, "to": 3}
    ]


def test_the_tag_of_the_version_is_left_out():
    before, after = ({"metadata": {"etag": tag, "uid": "u"}} for tag in "ab")
    assert diff(before, after) == []
    assert diff({"metadata": {}}, after | {"metadata": {"etag": "x"}}) == []
    assert [d["pointer"] for d in diff({"etag": 1}, {"etag": 2})] == ["/etag"]


@given(JSON, JSON)
def test_pointers_lead_to_what_they_say_and_nothing_differs_from_itself(before, after):
    assert differences(before, before) == []
    found = diff(before, after)
    assert found == diff(before, after)
    if before is None or after is None:
        return
    if orjson.dumps(before, option=orjson.OPT_SORT_KEYS) != orjson.dumps(
        after, option=orjson.OPT_SORT_KEYS
    ):
        assert found or isinstance(before, dict)
    for difference in found:
        if difference["op"] != "added" and difference["op"] != "changed":
            assert at(before, difference["pointer"]) == difference["from"]
        if difference["op"] != "removed":
            assert at(after, difference["pointer"]) == difference["to"]
