"""Every entity is held to the policies, in Backstage's order and words."""

import copy
import json
from pathlib import Path

import pytest

from app.model.kinds import KindRegistry
from app.model.policies import (
    EDIT_URL,
    REJECTED_URL,
    VIEW_URL,
    check_envelope,
    check_fields,
    fill_namespace,
    presort,
    ref_text,
    sanitize_annotations,
)
from app.model.processing_error import ProcessingError

RECORDED = json.loads((Path(__file__).parent / "recorded_verdicts.json").read_text("utf-8"))
REGISTRY = KindRegistry()


def component(**metadata):
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": "web", **metadata},
        "spec": {"type": "service", "lifecycle": "production", "owner": "team"},
    }


def cause(data):
    error = check_fields(data)
    assert error is not None
    assert error.name == "InputError"
    assert error.cause is not None
    assert error.cause.name == "Error"
    assert error.message == (
        f"Policy check failed for {ref_text(data)}; caused by Error: {error.cause.message}"
    )
    return error.cause


def verdict(data):
    """Process as far as it goes; answer the stage that objected and its error."""
    error = check_envelope(data)
    if error:
        return "envelope", str(error)
    error = check_fields(data) or REGISTRY.validate(fill_namespace(data))
    if error:
        return "processing", str(error).split(" To learn more")[0]
    presort(data)
    found = REGISTRY.relations_of(data)
    if isinstance(found, ProcessingError):
        return "relations", str(found.cause)
    return "none", ""


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["stage"])
def test_the_verdict_is_backstages(case):
    assert verdict(copy.deepcopy(case["entity"])) == (case["stage"], case["error"])


@pytest.mark.parametrize(
    ("data", "message", "pointer"),
    [
        ({}, "<root> must have required property 'apiVersion' - missingProperty: apiVersion", ""),
        ([], "<root> must be object - type: object", ""),
        (
            {"apiVersion": "v1", "kind": "A", "metadata": {}},
            "/metadata must have required property 'name' - missingProperty: name",
            "/metadata",
        ),
        (
            {"apiVersion": "v1", "kind": "", "metadata": {"name": "a"}},
            "/kind must NOT have fewer than 1 characters - limit: 1",
            "/kind",
        ),
        (
            {"apiVersion": "v1", "kind": "A", "metadata": {"name": "a", "namespace": None}},
            "/metadata/namespace must be string - type: string",
            "/metadata/namespace",
        ),
    ],
)
def test_a_malformed_envelope_is_a_type_error(data, message, pointer):
    assert check_envelope(data) == ProcessingError("TypeError", message, pointer)


def test_a_sound_entity_passes():
    entity = component(
        namespace="a-b",
        title="T",
        description="",
        labels={"x.y/z": "a", "b": ""},
        annotations={"a/b": "anything at all"},
        tags=["a", "c++"],
        links=[{"url": "https://x", "title": "t", "icon": "i", "type": "x"}],
    )

    assert check_envelope(entity) is None
    assert check_fields(entity) is None


@pytest.mark.parametrize(
    ("metadata", "message", "pointer"),
    [
        ({"labels": {"a": 1}}, "/metadata/labels/a must be string", "/metadata/labels/a"),
        (
            {"annotations": {"a/b": {}}},
            "/metadata/annotations/a~1b must be string",
            "/metadata/annotations/a~1b",
        ),
        ({"tags": "a"}, "/metadata/tags must be array", "/metadata/tags"),
        (
            {"links": [{"title": "x"}]},
            "/metadata/links/0 must have required property 'url'",
            "/metadata/links/0",
        ),
        ({"title": ""}, "/metadata/title must NOT have fewer than 1 characters", "/metadata/title"),
        ({"uid": 5}, "/metadata/uid must be string", "/metadata/uid"),
    ],
)
def test_a_field_of_the_wrong_type_is_a_malformed_envelope(metadata, message, pointer):
    found = cause(component(**metadata))

    assert (found.message, found.pointer) == (f"Malformed envelope, {message}", pointer)


@pytest.mark.parametrize(
    ("metadata", "field", "expectation", "value", "pointer"),
    [
        ({"name": "a b"}, "metadata.name", "separated by any of [-_.]", "a b", "/metadata/name"),
        (
            {"namespace": "Up"},
            "metadata.namespace",
            "sequences of [a-z0-9] separated by [-]",
            "Up",
            "/metadata/namespace",
        ),
        ({"tags": ["a", "B"]}, "tags.1", "[a-z0-9+#] separated by [-]", "B", "/metadata/tags/1"),
        (
            {"labels": {"a/b/c": "x"}},
            "labels.a/b/c",
            "a valid prefix and/or suffix",
            "a/b/c",
            "/metadata/labels/a~1b~1c",
        ),
        (
            {"links": [{"url": "nope"}]},
            "links.0.url",
            "a string that is a valid url",
            "nope",
            "/metadata/links/0/url",
        ),
        (
            {"links": [{"url": "a:b", "icon": " "}]},
            "links.0.icon",
            "a non empty string",
            " ",
            "/metadata/links/0/icon",
        ),
    ],
)
def test_a_field_of_the_wrong_format_says_what_was_expected(
    metadata, field, expectation, value, pointer
):
    found = cause(component(**metadata))

    assert found.message.startswith(f'"{field}" is not valid; expected ')
    assert f"{expectation} " in found.message.replace(",", " ,").replace(" but", " but")
    assert f'but found "{value}". To learn more about catalog file format, visit: ' in found.message
    assert found.pointer == pointer


def test_relations_and_status_are_not_for_authors():
    assert cause({**component(), "relations": []}).message == "Unknown field relations"
    assert cause({**component(), "status": {}}).message == "Unknown field status"


def test_the_schema_comes_first_then_foreign_fields_then_formats():
    both = {**component(name="a b"), "relations": 5}

    assert cause(both).message == "Malformed envelope, /relations must be array"
    assert cause({**both, "relations": []}).message == "Unknown field relations"
    assert cause(component(name="a b", tags=["B"])).message.startswith('"metadata.name"')
    assert cause({**component(), "x": 1}).message == (
        "Malformed envelope, <root> must NOT have additional properties"
    )


def test_keys_and_values_that_look_odd_but_are_right_pass():
    assert check_fields(component(links=[{"url": "x:y", "type": "  "}], custom={"a": [1]})) is None


def test_the_default_namespace_is_filled_in_without_touching_the_original():
    entity = component()

    assert fill_namespace(entity)["metadata"] == {"name": "web", "namespace": "default"}
    assert "namespace" not in entity["metadata"]
    named = component(namespace="a")
    assert fill_namespace(named) is named


def test_lists_of_refs_are_sorted_by_utf_16_code_units():
    entity = {"spec": {"dependsOn": ["b", "B", "\uffff", "😀", "a"], "memberOf": ["b", "a"]}}

    presort(entity)

    assert entity["spec"] == {"dependsOn": ["B", "a", "b", "😀", "\uffff"], "memberOf": ["a", "b"]}


@pytest.mark.parametrize("spec", [None, [], {"children": ["b", 1]}, {"tags": ["b", "a"]}])
def test_other_lists_keep_their_order(spec):
    entity = {"spec": copy.deepcopy(spec)}

    presort(entity)

    assert entity == {"spec": spec}


@pytest.mark.parametrize("url", ["javascript:alert(1)", " \x01jAva\nscRipt\t:x", "JAVASCRIPT:"])
def test_scripts_are_no_urls(url):
    entity = component(annotations={VIEW_URL: url, EDIT_URL: "https://x", "other": url})

    assert sanitize_annotations(entity)["metadata"]["annotations"] == {
        VIEW_URL: REJECTED_URL,
        EDIT_URL: "https://x",
        "other": url,
    }
    assert entity["metadata"]["annotations"][VIEW_URL] == url


def test_an_entity_without_scripts_is_answered_as_it_is():
    for annotations in ({VIEW_URL: "https://x/javascript:"}, {EDIT_URL: 5}, {}, "text", ["a"], 5):
        entity = component(annotations=annotations)
        assert sanitize_annotations(entity) is entity
    entity = component()
    assert sanitize_annotations(entity) is entity
