"""Catalog files become entities and problems, as Backstage's parser sees them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.model import documents
from app.model.documents import Limits, iterate, parse, position_in, position_of
from app.model.entity import Entity
from app.model.problem import Problem
from app.model.yaml_wording import Fault

RECORDED = json.loads((Path(__file__).parent / "recorded_yaml.json").read_text("utf-8"))
LOCATION = "file:/catalog-info.yaml"

COMPONENT = b"""\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: web
  tags: [a, B]
spec:
  type: service
"""


def read(text: str | bytes, limits: Limits | None = None) -> list[Entity | Problem]:
    data = text.encode() if isinstance(text, str) else text
    return parse(data, LOCATION, limits or Limits())


def values(text: str | bytes) -> list[object]:
    return [item.data if isinstance(item, Entity) else item for item in read(text)]


def problem(text: str | bytes) -> Problem:
    (found,) = [item for item in read(text) if isinstance(item, Problem)]
    return found


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["text"][:30])
def test_a_text_means_what_backstages_parser_says_it_means(case):
    found = read(case["text"])

    assert len(found) == len(case["documents"])
    for item, expected in zip(found, case["documents"], strict=True):
        if "data" in expected:
            assert isinstance(item, Entity)
            assert json.dumps(item.data) == json.dumps(expected["data"]) or (
                item.data == expected["data"]
            )
        elif expected["problem"] == "syntax":
            assert isinstance(item, Problem)
            assert item.message.startswith(f"YAML error at {LOCATION}, YAMLParseError: ")
            assert (item.name, item.line > 0, item.column > 0) == ("Error", True, True)
        else:
            assert isinstance(item, Problem)
            assert (item.name, item.message) == ("Error", expected["problem"])


def test_the_same_entity_may_come_in_many_documents_with_empty_ones_between():
    found = read("---\n---\n# nothing\n---\nkind: A\n...\n---\n\n\nkind: B\n---\n")

    assert [(item.data["kind"], item.line) for item in found] == [("A", 5), ("B", 10)]


def test_a_mistake_in_one_document_leaves_the_others_readable():
    found = read("kind: A\n---\nkind: [unclosed\nmetadata: {\n---\n- a list\n---\nkind: B\n")

    assert [type(item) for item in found] == [Entity, Problem, Problem, Entity]
    assert found[1].message == (
        f"YAML error at {LOCATION}, YAMLParseError: Flow sequence in block collection must be "
        "sufficiently indented and end with a ] at line 4, column 1:\n\n"
        "kind: [unclosed\nmetadata: {\n^\n"
    )
    assert found[1].place == f"{LOCATION}:4:1"
    assert found[2].message == "Expected object at root, got object"
    assert found[2].place == f"{LOCATION}:6:1"
    assert found[3].line == 8


@pytest.mark.parametrize(
    ("document", "name"),
    [("- a", "object"), ("5", "number"), ("true", "boolean"), ("foo", "string"), ("1.5", "number")],
)
def test_a_document_that_is_no_object_is_named_as_javascript_does(document, name):
    assert problem(document).message == f"Expected object at root, got {name}"


@pytest.mark.parametrize(
    "document", ["", "null", "~", "# only a comment", "---", "--- # x\n", "\n"]
)
def test_an_empty_document_is_left_out(document):
    assert read(document) == []


@pytest.mark.parametrize(
    "data",
    [
        "kind: ü\n".encode(),
        b"\xef\xbb\xbf" + "kind: ü\n".encode(),
        b"\xff\xfe" + "kind: ü\n".encode("utf-16-le"),
        b"\xfe\xff" + "kind: ü\n".encode("utf-16-be"),
        "kind: ü\r\n".encode(),
        "kind: ü".encode(),
    ],
)
def test_utf_8_and_utf_16_are_read_with_any_line_breaks(data):
    assert values(data) == [{"kind": "ü"}]


@pytest.mark.parametrize(
    ("data", "line", "column", "words"),
    [
        (b"kind: A\nname: \xfc\n", 2, 7, "not valid UTF-8"),
        (b"\xff\xfek\x00\x00\xd8", 1, 2, "not valid UTF-16-LE"),
        (b"\xff\xfe\x00\x00k\x00\x00\x00", 1, 1, "UTF-32"),
        (b"k\x00i\x00n\x00d\x00", 1, 2, "Control character '\\x00'"),
        (b"a: 1\nb: \x07\n", 2, 4, "Control character '\\x07'"),
    ],
)
def test_other_encodings_and_control_characters_are_problems_with_a_place(
    data, line, column, words
):
    found = problem(data)

    assert words in found.message
    assert (found.line, found.column) == (line, column)


def test_characters_that_only_old_yaml_takes_for_line_breaks_are_text():
    assert values("a: x\x85y\u2028z\u2029\ufeff\nb: 'c\u2028d'\n") == [
        {"a": "x\x85y\u2028z\u2029\ufeff", "b": "c\u2028d"}
    ]


def test_the_two_halves_of_a_character_in_json_are_joined():
    text = '{"a": "\\ud83d\\ude00 \\\\ud83d", "b": ["\\uD83D\\uDE00"]}'

    assert values(text) == [{"a": "😀 \\ud83d", "b": ["😀"]}]


def test_a_tab_on_an_otherwise_empty_line_is_no_mistake():
    assert values("a: 1\n  \t\nb:\n  c: 2\n\t# tabbed\n  d: 3\n") == [
        {"a": 1, "b": {"c": 2, "d": 3}}
    ]


def test_directives_belong_to_the_document_after_them():
    text = "%YAML 1.2\n%FOO bar\n---\na: 1\n...\n%TAG !e! tag:yaml.org,2002:\n---\nb: !e!str 2\n"

    assert values(text) == [{"a": 1}, {"b": "2"}]
    assert [item.line for item in read(text)] == [4, 8]


def test_what_aliases_stand_for_is_not_shared():
    (entity,) = values("a: &x {list: [1]}\nb: *x\nc: [*x, *x]\n")

    assert entity == {"a": {"list": [1]}, "b": {"list": [1]}, "c": [{"list": [1]}, {"list": [1]}]}
    entity["b"]["list"].append(2)
    assert entity["a"] == entity["c"][0] == {"list": [1]}


def test_merge_keys_are_not_expanded():
    assert values("a: &x {b: 1}\nc:\n  <<: *x\n  d: 2\n") == [
        {"a": {"b": 1}, "c": {"<<": {"b": 1}, "d": 2}}
    ]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n"
    for before, name in zip("abcdefghij", "bcdefghijk", strict=True)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "more values in one file than are read"),
        ("[" * 100_000, "Nested too deeply"),
        ("{" * 100_000, "Nested too deeply"),
        ("- " * 100_000, "nested more than 100 levels deep"),
        ("? " * 100_000, "nested more than 100 levels deep"),
        ("a: " + "[" * 200 + "]" * 200, "nested more than 100 levels deep"),
        ("".join(" " * n + "a:\n" for n in range(300)), "nested more than 100 levels deep"),
        ("a: &a " + "[" * 60 + "]" * 60 + "\nb: " + "[" * 60 + "*a" + "]" * 60, "100 levels deep"),
        (
            f"a: &a {'x' * 100_000}" + "".join(f"\nk{n}: *a" for n in range(1000)),
            "more values in one file than are read",
        ),
        (
            f"a: &a {{? {'x' * 1000} : [{'x' * 50_000}]}}"
            + "".join(f"\nk{n}: *a" for n in range(1000)),
            "more values in one file than are read",
        ),
        ("a: &x [*x]", "refers to a node that contains it"),
        ("a: *x", "Unresolved alias"),
        ("x" * 5000 + ": 1", "Nested mappings"),
        ("? " + "x" * 5000 + "\n: 1", "a key of more than 1024 characters"),
    ],
)
def test_what_would_exhaust_us_is_a_problem_with_a_place(text, words):
    found = problem(text)

    assert words in found.message
    assert found.line > 0


def test_a_bomb_in_every_document_goes_off_only_once():
    found = read(BOMB.replace("k: &k", "]: &k") + "---\n" + BOMB * 2 + ("---\n" + BOMB) * 50)

    assert len(found) < 5
    assert "more values in one file than are read" in found[-1].message


@pytest.mark.parametrize(
    ("text", "limits", "words"),
    [
        ("a: 1\n" * 9, Limits(bytes=20), "the file has 45 bytes, more than the 20 that are read"),
        ("a: 1\n---\n" * 9, Limits(documents=5), "more than 5 documents in one file"),
        ("a: [\n---\n" * 9, Limits(documents=5), "more than 5 documents in one file"),
        ("a: 1\nb: 2\nc: 3\nd: 4\n", Limits(nodes=5), "more values in one file than are read"),
        (
            "a: 1\n---\nb: [1, 2, 3]\n---\nc: 1\n",
            Limits(nodes=6),
            "more values in one file than are read",
        ),
        ("a:\n  b:\n    c: 1\n", Limits(depth=2), "nested more than 2 levels deep"),
    ],
)
def test_limits_are_settings(text, limits, words):
    assert words in read(text, limits)[-1].message


def test_documents_come_one_at_a_time():
    first = next(iterate(b"a: 1\n---\nb: [\n", LOCATION))

    assert first == Entity({"a": 1}, LOCATION, 1)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8")))
def test_nothing_makes_reading_fail(data):
    for item in read(data):
        assert isinstance(item, (Entity, Problem))
        assert item.line > 0


@given(st.text("ab:-?[]{},#&*!|>'\"%@\n \t0.~", max_size=60))
def test_no_mixture_of_indicators_makes_reading_fail(text):
    for item in read(text):
        json.dumps(item.data if isinstance(item, Entity) else item.message, allow_nan=False)


def test_documents_of_any_shape_are_read_as_values():
    assert documents.values(b"[1, a]\n---\n---\nx\n---\na: \xc2\x85\n") == [
        [1, "a"],
        None,
        "x",
        {"a": "\x85"},
    ]
    with pytest.raises(Fault, match="unique"):
        documents.values(b"a: 1\n---\na: 1\na: 2\n")


FIELDS = b"# first\n---\n" + COMPONENT + b"---\n" + COMPONENT.replace(b"web", b"api")


@pytest.mark.parametrize(
    ("index", "pointer", "place"),
    [
        (0, "/kind", (4, 7)),
        (0, "/metadata", (5, 1)),
        (0, "/metadata/tags/1", (7, 13)),
        (0, "/metadata/tags", (7, 3)),
        (0, "/spec", (8, 1)),
        (0, "/spec/owner", (8, 1)),
        (0, "", (3, 1)),
        (1, "/metadata/name", (14, 9)),
        (2, "/kind", (0, 0)),
    ],
)
def test_a_field_is_found_by_its_pointer(index, pointer, place):
    assert position_of(FIELDS, index, pointer) == place


def test_a_field_is_found_by_the_line_its_document_starts_on():
    assert [position_in(FIELDS, item.line, "/metadata/name") for item in read(FIELDS)] == [
        (6, 9),
        (14, 9),
    ]
    assert position_in(FIELDS, 1, "/kind") == (0, 0)
    assert position_in(b"a: [", 1, "/b") == (0, 0)
    assert position_in(b"\xff\xff", 1, "/a") == (0, 0)


def test_a_field_is_found_in_any_of_thousands_of_documents():
    many = (COMPONENT + b"---\n") * 1000 + b"...\n--- {a: b}\n--- {c: d}\n"

    items = read(many)

    assert [position_in(many, item.line, "/metadata/name") for item in items[:1000]] == [
        (8 * number + 4, 9) for number in range(1000)
    ]
    assert position_in(many, items[1000].line, "/a") == (8002, 9)
    assert position_in(many, items[1001].line, "/c") == (8003, 9)
