"""Lists of issues as messages hold them."""

import pytest

from app.web.issues import (
    MISSING,
    empty_list,
    no_variant,
    type_name,
    unknown_keys,
    written,
    wrong_literal,
    wrong_type,
)


def test_issues_are_written_as_indented_json():
    assert written([unknown_keys(["zz", "ü"], [])]) == (
        "[\n"
        "  {\n"
        '    "code": "unrecognized_keys",\n'
        '    "keys": [\n'
        '      "zz",\n'
        '      "ü"\n'
        "    ],\n"
        '    "path": [],\n'
        "    \"message\": \"Unrecognized key(s) in object: 'zz', 'ü'\"\n"
        "  }\n"
        "]"
    )


def test_what_is_missing_is_required():
    assert wrong_type("array", MISSING, ["items"]) == {
        "code": "invalid_type",
        "expected": "array",
        "received": "undefined",
        "path": ["items"],
        "message": "Required",
    }
    assert wrong_type("array", 1, ())["message"] == "Expected array, received number"


def test_a_list_has_to_have_members():
    issue = empty_list(["items", 0])
    assert issue["message"] == "Array must contain at least 1 element(s)"
    assert issue["path"] == ["items", 0]


def test_variants_are_told_one_by_one():
    issue = no_variant([[wrong_literal("a", None, [])], [wrong_literal("b", None, [])]], ["x"])

    assert issue["path"] == ["x"]
    assert [e["name"] for e in issue["unionErrors"]] == ["ZodError", "ZodError"]
    assert [e["issues"][0]["expected"] for e in issue["unionErrors"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (MISSING, "undefined"),
        (None, "null"),
        (True, "boolean"),
        (1, "number"),
        (1.5, "number"),
        ("", "string"),
        ([], "array"),
        ({}, "object"),
    ],
)
def test_values_have_types(value, name):
    assert type_name(value) == name
