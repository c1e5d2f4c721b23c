"""Whether an entity would be accepted, and why not."""

from __future__ import annotations

import pytest

from app.catalog.dry_run import DryRunLimits, DryRuns
from app.catalog.validation import EntityValidator, url_location
from app.errors import ServiceUnavailableError
from app.model.processing_error import ProcessingError
from tests.app.catalog.web_catalog import component, location, make_processor
from tests.app.scm.web_server import web_server

PLACE = "url:https://example.org/catalog-info.yaml"
SPEC = {"type": "service", "lifecycle": "production", "owner": "team-a"}


@pytest.fixture
def site():
    with web_server() as server:
        yield server


@pytest.fixture
def processor(site, tmp_path):
    return make_processor(site, tmp_path)


@pytest.fixture
def validator(processor):
    return EntityValidator(processor, DryRuns(processor))


def entity(kind="Component", name="web", spec=SPEC, **parts):
    metadata = {"name": name, **parts}
    return {"apiVersion": "backstage.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def test_a_valid_entity_has_no_errors(validator):
    assert validator.errors(entity(), PLACE) == []
    # Rules are about what locations hold; this is not held by one.
    assert validator.errors(entity("Group", spec={"type": "team", "children": []}), PLACE) == []


def test_an_envelope_that_is_wrong_is_all_that_is_told(validator):
    message = "/metadata must have required property 'name' - missingProperty: name"

    found = validator.errors({**entity(), "metadata": {}}, "nope")

    assert found == [{"name": "TypeError", "message": message}]


def test_errors_carry_their_causes(validator):
    (error,) = validator.errors(entity(spec={"type": "service", "lifecycle": "x"}), PLACE)

    message = "/spec must have required property 'owner' - missingProperty: owner"
    assert error["name"] == "InputError"
    assert error["message"].endswith(f"; caused by TypeError: {message}")
    assert error["cause"] == {"name": "TypeError", "message": message}


def test_relations_are_looked_at(validator):
    (error,) = validator.errors(entity(spec={**SPEC, "dependsOn": ["plain"]}), PLACE)

    assert "threw an error while postprocessing" in error["message"]


def test_an_entity_does_not_say_where_it_was_found(validator):
    annotations = {"backstage.io/managed-by-location": "file:/etc/passwd"}
    targets = {"targets": ["./shadow"]}

    (error,) = validator.errors(entity("Location", spec=targets, annotations=annotations), PLACE)

    assert "Reading from 'https://example.org/shadow' is not allowed" in error["message"]


@pytest.mark.parametrize("annotations", ["text", [], 1])
def test_annotations_that_are_none_are_an_error(validator, annotations):
    (error,) = validator.errors(entity(annotations=annotations), PLACE)

    assert "/metadata/annotations must be object" in error["message"]
    assert validator.errors(entity(annotations=None), PLACE) == []


def test_what_is_nested_too_deep_to_be_stored_is_an_error(validator, processor):
    spec = dict(SPEC)
    inner = spec
    for _ in range(processor.limits.depth):
        inner["x"] = inner = {}

    (error,) = validator.errors(entity(spec=spec), PLACE)

    assert error["message"] == (
        f"The entity is nested more than {processor.limits.depth} levels deep"
    )


# -- reading --------------------------------------------------------------------------------------


def test_placeholders_are_read(validator, site):
    site.answer("/openapi.yaml", b"openapi: 3.0.0")
    place = f"url:{site.url}/catalog-info.yaml"
    api = {**SPEC, "definition": {"$text": "./openapi.yaml"}}

    assert validator.errors(entity("API", spec=api), place) == []
    (error,) = validator.errors(entity("API", spec={**api, "x": {"$text": "./gone"}}), place)

    assert "Placeholder $text could not read location ./gone" in error["message"]
    assert error["cause"]["name"] == "Error"


def test_targets_are_read_and_held_to_the_rules(validator, site):
    site.answer("/good.yaml", component("web").encode())
    site.answer("/bad.yaml", b"kind: User\napiVersion: v1\nmetadata: {name: ada}\n")
    place = f"url:{site.url}/catalog-info.yaml"

    good = entity("Location", spec={"targets": ["./good.yaml"]})
    bad = entity("Location", spec={"targets": ["./bad.yaml", "./good.yaml", "./gone.yaml"]})

    assert validator.errors(good, place) == []
    assert [error["name"] for error in validator.errors(bad, place)] == [
        "NotFoundError",
        "NotAllowedError",
    ]
    optional = entity("Location", spec={"target": "./gone.yaml", "presence": "optional"})
    assert validator.errors(optional, place) == []


def test_what_targets_hold_is_not_validated(validator, site):
    leaf = location("leaf", "nowhere.yaml")
    site.answer("/tree.yaml", f"{component('no good')}---\n{leaf}".encode())

    found = entity("Location", spec={"targets": [f"{site.url}/tree.yaml"]})

    assert validator.errors(found, PLACE) == []


def test_reading_needs_a_turn_and_nothing_else_does(processor):
    dry_runs = DryRuns(processor, DryRunLimits(turns=1, patience=0.01))
    validator = EntityValidator(processor, dry_runs)

    with dry_runs.walk():
        assert validator.errors(entity(), PLACE) == []
        with pytest.raises(ServiceUnavailableError):
            validator.errors(entity("Location", spec={"target": "./x.yaml"}), PLACE)


# -- location refs --------------------------------------------------------------------------------


@pytest.mark.parametrize("ref", [PLACE, " url : https://example.org/catalog-info.yaml "])
def test_a_location_ref_is_a_type_and_a_target(ref):
    assert url_location(ref) == PLACE


@pytest.mark.parametrize(
    ("ref", "complaint"),
    [
        (
            "nope",
            (
                "Unable to parse location ref 'nope', expected '<type>:<target>', "
                "e.g. 'url:https://host/path'"
            ),
        ),
        (
            "url:",
            (
                "Unable to parse location ref 'url:', expected '<type>:<target>', "
                "e.g. 'url:https://host/path'"
            ),
        ),
        (
            "https://example.org",
            (
                "Invalid location ref 'https://example.org', please prefix it with 'url:', "
                "e.g. 'url:https://example.org'"
            ),
        ),
        (
            "file:/x",
            (
                "Invalid location ref file:/x, only 'url:<target>' is supported, "
                "e.g. url:https://host/path"
            ),
        ),
        (
            "url:java\tscript:alert(1)",
            "Invalid location ref 'url:java\tscript:alert(1)', target is a javascript: URL",
        ),
    ],
)
def test_other_refs_are_refused(validator, ref, complaint):
    assert url_location(ref) == ProcessingError("TypeError", complaint)
    assert validator.errors(entity(), ref) == [{"name": "TypeError", "message": complaint}]
