"""A sorted list of texts is found by bisection and searched for substrings."""

from __future__ import annotations

from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from app.index.like import like
from app.index.strings import Strings
from app.index.text import utf8
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
