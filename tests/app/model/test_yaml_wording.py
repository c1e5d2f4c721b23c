"""What is wrong is said in the words of Backstage's parser, with the place shown."""

import pytest

from app.model.yaml_events import Limits, read_documents
from app.model.yaml_wording import Fault


def message_of(text):
    with pytest.raises(Fault) as raised:
        list(read_documents(text, 1, Limits()))
    return raised.value.message


FLOW = "in block collection must be sufficiently indented and end with a"


@pytest.mark.parametrize(
    ("text", "reason", "shown"),
    [
        ("kind: [\n", f"Flow sequence {FLOW} ] at line 2, column 1", "kind: [\n\n^"),
        ("a: {x: 1\nb: 3\n", f"Flow map {FLOW} }} at line 2, column 1", "a: {x: 1\nb: 3\n^"),
        ("1: a\n1.0: b\n", "Map keys must be unique at line 2, column 1", "1: a\n1.0: b\n^"),
        (
            "key: - a\n",
            "Unexpected block-seq-ind on same line with key at line 1, column 6",
            "key: - a\n     ^",
        ),
        ("\ta: 1\n", "Tabs are not allowed as indentation at line 1, column 1", "\ta: 1\n^"),
    ],
)
def test_common_mistakes_read_exactly_as_in_backstage(text, reason, shown):
    assert message_of(text) == f"YAMLParseError: {reason}:\n\n{shown}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: b: c\n", "Nested mappings are not allowed in compact mappings"),
        ('a: "x\n', 'Missing closing "quote'),
        ("a: 'x\n", "Missing closing 'quote"),
        ("a: @x\n", "Plain value cannot start with reserved character @"),
        ("a: %x\n", "Plain value cannot start with directive indicator character %"),
        ("a: 'x' y\n", "Unexpected scalar at node end"),
        ("a: ]\n", "Unexpected ] at node end"),
        ("a:\n  - b\n c: d\n", "All mapping items must start at the same column"),
        ("a: !e!x y\n", "Could not resolve tag"),
        ('x: "\\q"\n', "Invalid escape sequence"),
        ("a: 1\nb\n", "Implicit map keys need to be followed by map values"),
        (" a: 1\nb: 2\n", "Unexpected scalar at node end"),
        ("%YAML\n---\na: 1\n", "while scanning a %YAML directive"),
    ],
)
def test_mistakes_have_their_name(text, words):
    assert words in message_of(text)


def test_a_long_line_is_cut_around_the_mistake():
    message = message_of(f"a: {'x' * 200} 'y\n\nb: {'z' * 100}: {'w' * 100}: v\n")
    shown, caret = message.split("\n")[2:4]

    assert shown.startswith("…")
    assert shown.endswith("…")
    assert len(shown) <= 80
    assert shown[len(caret) - 1] == ":"


def test_a_fault_reads_as_its_message():
    assert str(Fault("the file is odd", 1, 2)) == "the file is odd"
