"""The exact reader: keys, anchors, indentation."""

import pytest

from app.model.yaml_events import Limits, events_of, read_documents
from app.model.yaml_wording import Fault


def value_of(text):
    (document,) = read_documents(text + "\n", 1, Limits())
    return document.value


def fault_of(text):
    with pytest.raises(Fault) as raised:
        value_of(text)
    return raised.value


@pytest.mark.parametrize(
    "text",
    ["a: 1\na: 2", "{a: 1, a: 2}", "'a': 1\n\"a\": 2", "1: a\n1.0: b", "x:\n  ~: 1\n  null: 2"],
)
def test_a_key_comes_once(text):
    assert "Map keys must be unique" in fault_of(text).message


def test_keys_of_different_types_are_different_and_the_later_wins():
    assert value_of("1: a\n'1': b\ntrue: c\n'true': d") == {"1": "b", "true": "d"}
    assert "unique" in fault_of("'1': a\n1: b\n'1': c").message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("? [a, b]\n: x", {"[ a, b ]": "x"}),
        ("? {a: 1}\n: x", {"{ a: 1 }": "x"}),
        ("name: {{ x }}", {"name": {"{ x }": None}}),
        ("{{ x }}: foo", {"{ ? { x } }": "foo"}),
        ("? []\n: 1", {"[]": 1}),
        ("a: &x [1]\n? *x\n: 2", {"a": [1], "[ 1 ]": 2}),
        ("&k a: 1\n*k : 2\n", None),
    ],
)
def test_collections_serve_as_keys_by_their_text(text, value):
    if value is None:
        assert "unique" in fault_of(text).message
    else:
        assert value_of(text) == value


def test_an_anchor_may_be_set_anew():
    assert value_of("a: &x 1\nb: *x\nc: &x 2\nd: *x") == {"a": 1, "b": 1, "c": 2, "d": 2}


@pytest.mark.parametrize(
    "text",
    [
        *("a: [x,\ny]", "a:\n  b: [\n x]", "a: {b: [\n 1\n]\n}", "a:\n- [x,\ny]", "- a: [x,\n  y]"),
        *('a: "x\ny"', "a:\n  b: 'x\n y'", "- 'x\ny'", 'a: "x\n\ty"'),
    ],
)
def test_lines_inside_brackets_and_quotes_are_indented(text):
    assert fault_of(text).line > 1


@pytest.mark.parametrize(
    "text",
    [
        *("a: [\n  x\n]", "a: {\n\n# c\n  b: 1\n}", "[\nx\n]", '{"a": [\n1\n]}', '"x\ny"'),
        *(
            "a: 'x\n\n y'",
            "a:\n- [x,\n y]",
            "- a: [x,\n   y]",
            "a: !!seq [x,\n y]",
            "!!map\na: [\n]",
        ),
    ],
)
def test_indented_lines_inside_brackets_and_quotes_are_fine(text):
    assert value_of(text) is not None


def test_numbers_of_lines_and_nodes_are_those_of_the_text():
    (document,) = read_documents("\n# c\na: &x [1, 2]\nb: *x\n", 10, Limits())

    assert (document.line, document.nodes) == (12, 9)


def test_events_end_at_the_first_mistake():
    with pytest.raises(Fault, match="line 7"):
        list(events_of("a: 1\nb: [\n", 5))
