"""The first error of a value is the one that AJV reports."""

import json
from pathlib import Path

import pytest

from app.model.ajv import SchemaError, first_error, text

RECORDED = json.loads((Path(__file__).parent / "recorded_schemas.json").read_text("utf-8"))


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: str(case["error"])[:40])
def test_the_first_error_reads_as_ajvs(case):
    found = first_error(case["schema"], case["value"])

    assert (found and found.text_with_params) == case["error"]


def test_paths_are_json_pointers():
    schema = {"properties": {"a/b": {"items": {"properties": {"c~d": False}}}}}

    assert first_error(schema, {"a/b": [{}, {"c~d": 1}]}) == SchemaError(
        "/a~1b/1/c~0d", "boolean schema is false"
    )


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/definitions/a~1b", "definitions": {"a/b": {"type": "string"}}},
        {"$ref": "#named", "definitions": {"x": {"$id": "#named", "type": "string"}}},
        {"$ref": "Other"},
        {"$ref": "Other#/definitions/x"},
    ],
)
def test_references_are_followed(schema):
    other = {"type": "string", "definitions": {"x": {"type": "string"}}}

    found = first_error(schema, 5, {"Other": other})

    assert found is not None
    assert found.text == "<root> must be string"


def test_schemas_that_refer_to_themselves_end():
    assert first_error({"$ref": "#"}, 5) is None
    assert first_error({"$ref": "#/nowhere"}, 5) is None
    tree = {"properties": {"child": {"$ref": "#"}}, "required": ["name"]}
    found = first_error(tree, {"name": 1, "child": {"name": 1, "child": {}}})
    assert found is not None
    assert found.pointer == "/child/child"


def test_values_are_shown_as_javascript_shows_them():
    assert text([1, None, "a", [2.0, 2.5]]) == "1,,a,2,2.5"
    assert [text(value) for value in (None, True, False, {})] == [
        "null",
        "true",
        "false",
        "[object Object]",
    ]


def test_draft_7_ignores_what_stands_beside_a_reference():
    schema = {"$ref": "#/definitions/a", "minimum": 9, "definitions": {"a": {"type": "number"}}}

    assert first_error(schema, 5) is None
