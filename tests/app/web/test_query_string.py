"""Reading query strings as Express does."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web.query_string import MAX_PARAMETERS, NESTED, parse_query


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ("a=1&b=2&a=3", {"a": ["1", "3"], "b": ["2"]}),
        ("a", {"a": [""]}),
        ("a=", {"a": [""]}),
        ("a=b=c", {"a": ["b=c"]}),
        ("&&=x&a=1&", {"a": ["1"]}),
        ("a=x+y%2B%20z", {"a": ["x y+ z"]}),
        ("%61=%C3%A4", {"a": ["ä"]}),
        ("a[]=1&a[]=2&a[5]=3&a%5B%5D=4", {"a": ["1", "2", "3", "4"]}),
        ("a[b]=1", {"a": [NESTED]}),
        ("a[=1", {"a": [NESTED]}),
        ("[]=1", {}),
        ("a=%FF", {"a": ["%FF"]}),
        ("a=Ã¤", {"a": ["ä"]}),
    ],
)
def test_a_query_string_is_read_into_the_values_of_each_name(raw, found):
    assert parse_query(raw) == found


def test_names_keep_the_order_in_which_they_appear():
    assert list(parse_query("z=1&a=2&z=3")) == ["z", "a"]


def test_no_more_parameters_are_read_than_express_reads():
    assert len(parse_query("&".join(f"p{n}=1" for n in range(2000)))) == MAX_PARAMETERS


NAMES = st.text("abcxyz.-_", min_size=1)


@given(st.lists(st.tuples(NAMES, st.text())))
def test_what_is_encoded_properly_is_read_as_the_standard_library_reads_it(pairs):
    raw = urlencode(pairs, errors="ignore")

    assert parse_query(raw) == parse_qs(raw, keep_blank_values=True)


@given(st.text(st.characters(max_codepoint=255)))
def test_nothing_that_a_client_sends_makes_it_fail(raw):
    parse_query(raw)
