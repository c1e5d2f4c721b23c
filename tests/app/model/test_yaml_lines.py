"""The quick reader refuses, or says exactly what the exact one says."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.model.yaml_events import Limits, read_documents
from app.model.yaml_lines import is_plain, read_lines
from app.model.yaml_wording import Fault

PLAIN = [
    "a: 1",
    "a:\n  b: c\n  d:\n    e: f\ng: h",
    "a:\n- b\n- c: d\n  e: f\n- g:\n  - h\ni: j",
    "a:\n  - b: 1\n    c:\n      - d\n  - e",
    "a: |\n  x\n    y\n\n  z\n\n\nb: |-\n  w\nc: 1",
    "a: 'it''s'\nb: \"x: y # z\"\nc: ''\nd: \"\"",
    "a: [x, y, 1, true]\nb: []\nc: {}\nd: ~\ne:\nf: null",
    "a: http://x/#y\nb: c:d\nc: x#y\nd: -1.5\ne: -x",
    "--- \n\n# c\na: 1\n\n  # d\nb:   2  \n",
    "a: 0o17\nb: 1e3\nc: .5\nd: 0x1F\ne: .inf\nf: 12345678901234567890",
    "a: x, [y]\nb: 100%\nc: é ü\nd: (x)\ne: $x\nf: =",
]
REFUSED = [
    *("a: 1\na: 2", "a: b\n  c", "a: b # c", "a: >\n  x", "a: &x 1", "a: {b: c}", "- a", "a", ""),
    *(
        "a: |\n   x\n  y",
        "a: |\n  x\n   \n  y",
        "a: |+\n  x",
        "a:\n  b: 1\n c: 2",
        "true: 1",
        "? a",
    ),
    *('a: "\\n"', "a:\tb", "a: b: c", "a: x:", "a:\n  b", "'a': 1", "1: a", "a: [b: c]", "- |\n x"),
    *("a: [x,y]", "a: b\n- c", "a:\n  - b\n - c", "a: -", " a: 1", "a:\n - b: |\n   x", "a: *x"),
]

LINES = st.sampled_from(
    [line for text in PLAIN + REFUSED for line in text.split("\n")]
    + ["  - x", "    y: z", "  k:", "k:", "- ", "-", "  ", "    w", "\t", "...", "kk: |", "kk: >-"]
)
DENTED = st.builds(
    lambda indent, line: " " * indent + line, st.sampled_from([0, 0, 0, 1, 2, 4]), LINES
)
WORDS = st.text("ab1.:#-'\"[]{}, |>~é😀$%&*!?@\\/=+", max_size=12)


def exact(text):
    (document,) = read_documents(text, 1, Limits())
    return document


@pytest.mark.parametrize("text", PLAIN)
def test_plain_documents_are_read_quickly_and_exactly(text):
    quick = read_lines(text + "\n", 1, 100)

    assert quick is not None
    assert json.dumps(quick.value) == json.dumps(exact(text + "\n").value)
    assert quick.line == exact(text + "\n").line


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_plain_is_refused(text):
    assert read_lines(text + "\n", 1, 100) is None


def check(text):
    quick = read_lines(text, 1, 100) if is_plain(text) else None
    if quick is None:
        return
    try:
        documents = list(read_documents(text, 1, Limits()))
    except Fault as fault:
        pytest.fail(f"read {text!r} as {quick.value!r}, but {fault.message}")
    assert [document.value for document in documents] == [quick.value]
    assert json.dumps(documents[0].value) == json.dumps(quick.value)
    assert documents[0].line == quick.line


@given(st.lists(DENTED, min_size=1, max_size=8))
def test_no_sequence_of_lines_is_read_differently(lines):
    check("\n".join(lines) + "\n")


@given(st.sampled_from(["k: {}\n", "k:\n  - {}\n", "k: |\n  {}\n", "{}: v\n", "k: [{}]\n"]), WORDS)
def test_no_scalar_is_read_differently(frame, word):
    check(frame.replace("{}", word))


@given(st.lists(st.sampled_from(["x", " x", "  x", "", " ", "   ", "\tx", "# x"]), max_size=6))
def test_no_block_is_read_differently(lines):
    for header in ("|", "|-"):
        body = "".join(f"  {line}\n" if line else "\n" for line in lines)
        check(f"a:\n  b: {header}\n  {body}c: 1\n")
        check(f"a: {header}\n{body}c: 1\n")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text("abc-:# '\"x", max_size=8),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, min_size=1, max_size=3)
    ),
    max_leaves=12,
)


def written(value, indent):
    """Write a value in the style of people: block collections, quotes only where needed."""
    if isinstance(value, dict) and value:
        return "".join(f"{' ' * indent}{key}:{nested(item, indent)}" for key, item in value.items())
    if isinstance(value, list) and value:
        return "".join(f"{' ' * indent}-{nested(item, indent)}" for item in value)
    return f"{json.dumps(value)}\n"


def nested(item, indent):
    block = isinstance(item, (dict, list)) and item
    return "\n" + written(item, indent + 2) if block else " " + written(item, indent)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), VALUES, min_size=1, max_size=3))
def test_what_is_written_plainly_is_read_back(value):
    text = written(value, 0)

    assert exact(text).value == value
    check(text)


def test_deep_nesting_is_left_to_the_exact_reader():
    text = "".join(" " * n + "a:\n" for n in range(99))

    assert read_lines(text, 1, 100) is None
    assert read_lines("a:\n b:\n  c:\n", 1, 100) is not None


def test_time_is_linear_for_hostile_lines():
    for line in ("a: x" + " " * 200_000 + "#", "a: " + "x:" * 100_000, "a: " + "x#" * 100_000):
        read_lines(line + "\n", 1, 100)


@pytest.mark.parametrize("text", ["a\x85b", "a\u2028b", "a\x07", "a\ufeff", "a\xa0"])
def test_characters_with_two_meanings_are_not_plain(text):
    assert not is_plain(text)
    assert is_plain("a\n\té😀")
