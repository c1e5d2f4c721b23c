"""A sorted list of texts is found by bisection and searched for substrings."""

from __future__ import annotations

import time
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.index.like import like
from app.index.strings import Strings
from app.index.text import LONGEST, utf8
from tests.app.index import strategies as some
from tests.app.index.naive import is_like

texts = st.lists(
    st.one_of(some.words, st.text("abc%_\\\0\u00ff\uffff ", max_size=6)), max_size=12, unique=True
).map(lambda found: sorted(found, key=utf8))


@given(texts, some.terms | st.just("\u00ff\uffff"))
def test_matching_marks_what_like_would(values, term):
    strings = Strings.of([utf8(value) for value in values])

    marks = strings.matching(like(term)).tolist()

    assert marks == [is_like(term, value) for value in values]


@given(texts, some.words)
def test_texts_are_found_where_they_are(values, wanted):
    encoded = [utf8(value) for value in values]
    strings = Strings.of(encoded)

    assert list(strings) == strings.all() == encoded
    assert strings.seek(utf8(wanted)) == (bisect_left(encoded, utf8(wanted)), wanted in values)
    low, high = strings.prefixed(utf8(wanted))
    assert encoded[low:high] == [text for text in encoded if text.startswith(utf8(wanted))]


def test_a_match_never_spans_two_texts():
    strings = Strings.of([b"ab", b"ba", b"bb"])

    assert strings.matching(like("bb")).tolist() == [False, False, True]


def test_many_wildcards_take_no_time():
    strings = Strings.of([b"a" * 200] * 50)

    assert not strings.matching(like("%a" * 60 + "%b")).any()
    assert strings.matching(like("_%" * 200)).all()
    assert not strings.matching(like("_" * 201)).any()


@pytest.mark.parametrize(
    "term",
    [
        "_" * 90_000,
        "a_" * 40_000,
        "%".join(f"{n}" for n in range(9000)),
        "\\a" * 40_000,
        "x" * 90_000,
    ],
    ids=["any", "pairs", "pieces", "escapes", "plain"],
)
def test_a_term_that_is_longer_than_any_value_matches_nothing_and_costs_nothing(term):
    began = time.process_time()

    pattern = like(term)

    assert not pattern.matches("a" * LONGEST)
    assert time.process_time() - began < 0.05


@pytest.mark.parametrize("wild", ["_", "\\a", "a%", "%%a", "\\%"])
def test_a_term_as_long_as_the_longest_value_still_matches(wild):
    value = wild[-1] * LONGEST if wild == "\\%" else "a" * LONGEST

    assert like(wild * LONGEST).matches(value)
    assert not like(wild * (LONGEST + 1)).matches(value)
