"""Processing: from one file to what it emits, in Backstage's order and words."""

from __future__ import annotations

from textwrap import dedent

import orjson
import pytest

from app.catalog.processing import LOCATION, MAX_REF_BYTES, Processor
from app.catalog.rules import Allowed, Rule, Rules
from app.model.documents import Limits
from app.model.entity import Entity
from app.model.kinds import KindRegistry
from app.ports import Content
from app.scm.readers import ReaderSettings, open_readers
from tests.app.catalog.platform import ALL_KINDS, document
from tests.app.scm.web_server import web_server
from tests.builders import component

PLACE = "url:https://example.org/team/catalog.yaml"
ORIGIN = "file:/srv/all.yaml"


@pytest.fixture
def processor(tmp_path):
    readers = open_readers(ReaderSettings(tmp_path, allow=[{"host": "127.0.0.1:1-65535"}]))
    return Processor(KindRegistry(), ALL_KINDS, readers, Limits())


def process(processor, text, place=PLACE):
    return processor.file(Content(place, dedent(text).encode()), ORIGIN)


def annotated(value):
    return document("b").replace("metadata:\n", f"metadata:\n  annotations: {value}\n")


def only(processor, text, place=PLACE):
    (emission,) = process(processor, text, place).emissions
    return emission, orjson.loads(emission.document or emission.unprocessed)


def test_every_document_of_a_file_is_emitted_with_its_line(processor):
    processed = process(processor, document("a") + "---\n" + document("b"))

    assert [(e.ref, e.location, e.line) for e in processed.emissions] == [
        ("component:default/a", PLACE, 1),
        ("component:default/b", PLACE, 10),
    ]
    assert processed.flaws == ()


def test_an_entity_says_where_it_was_found_and_where_its_tree_began(processor):
    _, data = only(processor, document("a"))

    assert data["metadata"]["annotations"] == {
        "backstage.io/managed-by-location": PLACE,
        "backstage.io/managed-by-origin-location": ORIGIN,
        "backstage.io/view-url": "https://example.org/team/catalog.yaml",
    }


def test_what_a_file_says_about_its_own_place_is_overruled(processor):
    text = document("a").replace(
        "  name: a",
        "  name: a\n  annotations: {backstage.io/managed-by-location: 'url:forged', "
        "backstage.io/view-url: 'https://mine', other: kept}",
    )

    annotations = only(processor, text)[1]["metadata"]["annotations"]

    assert annotations["backstage.io/managed-by-location"] == PLACE
    assert annotations["backstage.io/view-url"] == "https://mine"
    assert annotations["other"] == "kept"


def test_a_file_on_disk_has_nothing_to_look_at(processor):
    _, data = only(processor, document("a"), "file:/srv/a.yaml")

    assert "backstage.io/view-url" not in data["metadata"]["annotations"]


def test_a_url_that_is_a_script_is_rejected(processor):
    text = document("a").replace(
        "  name: a", "  name: a\n  annotations: {backstage.io/view-url: 'javascript:alert(1)'}"
    )

    annotations = only(processor, text)[1]["metadata"]["annotations"]

    assert annotations["backstage.io/view-url"].startswith("https://backstage.io/annotation-rej")


def test_relations_are_drawn_and_lists_of_refs_sorted(processor):
    emission, data = only(processor, document("a", dependsOn=["resource:b", "component:a"]))

    assert data["spec"]["dependsOn"] == ["component:a", "resource:b"]
    assert set(emission.relations) == {
        ("ownedBy", "group:default/team-a"),
        ("dependsOn", "component:default/a"),
        ("dependsOn", "resource:default/b"),
    }
    assert set(processor.relations_of(data)) == set(emission.relations)


def test_relations_of_what_has_no_kind_any_more_are_none(processor):
    assert processor.relations_of({"apiVersion": "x/v1", "kind": "Gone", "metadata": {}}) == ()
    bad = {"apiVersion": "backstage.io/v1alpha1", "kind": "Component", "metadata": {},
           "spec": {"owner": "a:"}}  # fmt: skip
    assert processor.relations_of(bad) == ()


def test_an_invalid_entity_is_emitted_without_a_document(processor):
    good, bad = process(processor, document("a") + "---\n" + document("b", type=3)).emissions

    assert good.document is not None
    assert bad.document is None
    (flaw,) = bad.flaws
    assert flaw.error["name"] == "InputError"
    assert flaw.problem.ref == "component:default/b"
    assert (flaw.problem.line, flaw.problem.column) == (15, 9)
    assert orjson.loads(bad.unprocessed)["spec"]["type"] == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("name: a", "name: -a-"), "Policy check failed for component:default/-a-"),
        (("kind: Component", "kind: Thing"), "No processor recognized the entity thing:default/a"),
        (('owner: "team-a"', "owner: 'a:'"), "threw an error while postprocessing"),
        (("spec:", "extra: 1\nspec:"), "<root> must NOT have additional properties"),
    ],
)
def test_a_flaw_is_worded_as_in_backstage(tmp_path, change, message):
    rules = Rules((*ALL_KINDS.rules, Rule((Allowed("Thing"),))))
    processor = Processor(KindRegistry(), rules, open_readers(ReaderSettings(tmp_path)), Limits())

    (emission,) = process(processor, document("a").replace(*change)).emissions

    assert message in emission.flaws[0].error["message"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: [unclosed\n", "YAML error at"),
        ("- a list\n", "Expected object at root, got object"),
        ("kind: Component\n", "must have required property 'apiVersion'"),
        (document("b").replace("name: b", "name: 3"), "must be string"),
        (document("b", kind="User"), "is not of an allowed kind for that location"),
        (annotated("[a]"), "metadata.annotations must be a valid object"),
        (annotated("[]"), "metadata.annotations must be a valid object"),
        (annotated("text"), "metadata.annotations must be a valid object"),
    ],
)
def test_a_document_that_is_none_stops_its_whole_file(processor, text, message):
    processed = process(processor, document("a") + "---\n" + text)

    assert processed.emissions == ()
    (flaw,) = processed.flaws
    assert message in flaw.problem.message
    assert flaw.problem.line >= 10
    assert flaw.problem.location == PLACE


def test_annotations_that_are_no_object_are_named_with_line_and_column(processor):
    (flaw,) = process(processor, document("a") + "---\n" + annotated("text")).flaws

    assert flaw.error == {"name": "Error", "message": "metadata.annotations must be a valid object"}
    assert (flaw.problem.line, flaw.problem.column) == (13, 16)
    assert flaw.problem.pointer == "/metadata/annotations"


@pytest.mark.parametrize("nothing", ["", "null", "''", "0", "false"])
def test_annotations_that_javascript_takes_for_nothing_are_none(processor, nothing):
    (emission,) = process(processor, annotated(nothing)).emissions

    assert orjson.loads(emission.document)["metadata"]["annotations"][LOCATION] == PLACE


def test_what_a_rule_refuses_is_named_with_its_origin(processor):
    (flaw,) = process(processor, document("b", kind="User")).flaws

    assert flaw.error == {
        "name": "NotAllowedError",
        "message": f"Entity user:default/b at {PLACE}, originated at {ORIGIN}, "
        "is not of an allowed kind for that location",
    }


def test_an_empty_file_emits_nothing_and_is_no_flaw(processor):
    for text in ("", "---\n---\n", "# nothing\n"):
        assert process(processor, text) == process(processor, "")
    assert (process(processor, "").emissions, process(processor, "").flaws) == ((), ())


def test_placeholders_are_filled_in_and_remembered(processor):
    with web_server() as site:
        site.answer("/api.json", b'{"openapi": "3.0.0"}')
        place = f"url:{site.url}/catalog.yaml"

        text = document("a", kind="API", definition={"$text": "./api.json"})
        processed = process(processor, text, place)

    (emission,) = processed.emissions
    assert orjson.loads(emission.document)["spec"]["definition"] == '{"openapi": "3.0.0"}'
    assert orjson.loads(emission.unprocessed)["spec"]["definition"] == {"$text": "./api.json"}
    assert list(processed.fingerprints) == [f"url:{site.url}/api.json"]


def test_a_placeholder_that_fails_makes_its_entity_invalid_and_no_other(processor):
    with web_server() as site:
        bad = document("a", kind="API", definition={"$text": "./absent"})
        processed = process(
            processor, bad + "---\n" + document("b"), f"url:{site.url}/catalog.yaml"
        )

    first, second = processed.emissions
    assert (
        first.flaws[0]
        .error["message"]
        .startswith(
            "Processor PlaceholderProcessor threw an error while preprocessing; caused by Error: "
            "Placeholder $text could not read location ./absent, NotFoundError: "
        )
    )
    assert first.flaws[0].problem.line == 9
    assert second.document is not None
    assert processed.fingerprints == {f"url:{site.url}/absent": ""}


def test_a_ref_that_no_database_can_hold_makes_an_entity_invalid(processor):
    for owner in ("a\0b", "x" * (MAX_REF_BYTES + 1), "ä" * MAX_REF_BYTES):
        emission, _ = only(processor, document("a", owner=owner))
        assert emission.document is None
        assert "An entity reference has a NUL character" in emission.flaws[0].error["message"]


def test_a_name_that_no_database_can_hold_is_remembered_by_another(processor):
    refs = set[str]()
    for name in ('"a\\0b"', "x" * 5000, "x" * 5001):
        emission, _ = only(processor, document("a").replace("name: a", f"name: {name}"))
        assert emission.document is None
        refs.add(emission.ref)

    assert len(refs) == 3
    assert all("\0" not in ref and len(ref.encode()) <= MAX_REF_BYTES for ref in refs)


def test_an_entity_of_a_source_is_held_to_no_rule(tmp_path):
    processor = Processor(
        KindRegistry(), Rules(()), open_readers(ReaderSettings(tmp_path)), Limits()
    )

    assert processor.entity(component("a"), PLACE).document is not None


def test_an_entity_that_is_too_large_is_invalid_and_only_its_head_is_kept(tmp_path):
    readers = open_readers(ReaderSettings(tmp_path))
    processor = Processor(KindRegistry(), ALL_KINDS, readers, Limits(entity=2000))
    big = document("big", extra="x" * 2000)

    first, second = process(processor, big + "---\n" + document("b")).emissions

    assert first.ref == "component:default/big"
    assert first.document is None
    (flaw,) = first.flaws
    assert flaw.error["name"] == "InputError"
    assert "bytes as JSON, more than the 2000 that catalog.limits" in flaw.error["message"]
    assert (flaw.problem.location, flaw.problem.line) == (PLACE, 1)
    assert orjson.loads(first.unprocessed) == {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {
            "name": "big",
            "annotations": {
                "backstage.io/managed-by-location": PLACE,
                "backstage.io/managed-by-origin-location": ORIGIN,
            },
        },
    }
    assert second.document is not None


def test_an_entity_that_becomes_too_large_by_what_it_refers_to_is_invalid(tmp_path):
    readers = open_readers(ReaderSettings(tmp_path, allow=[{"host": "127.0.0.1:1-65535"}]))
    processor = Processor(KindRegistry(), ALL_KINDS, readers, Limits(entity=2000))
    with web_server() as site:
        site.answer("/api.json", b"x" * 2000)
        text = document("a", kind="API", definition={"$text": "./api.json"})
        (emission,) = process(processor, text, f"url:{site.url}/catalog.yaml").emissions

    assert emission.document is None
    assert "bytes as JSON" in emission.flaws[0].error["message"]
    assert orjson.loads(emission.unprocessed)["spec"]["definition"] == {"$text": "./api.json"}


@pytest.mark.parametrize("odd", ["x" * 3000, "\0" * 3000])
def test_the_head_of_what_is_too_large_is_small_whatever_makes_it_large(tmp_path, odd):
    readers = open_readers(ReaderSettings(tmp_path))
    processor = Processor(KindRegistry(), ALL_KINDS, readers, Limits(entity=2000))
    for place in ("apiVersion", "kind", "name", "namespace", "annotations"):
        data = {"apiVersion": "x", "kind": "Component", "metadata": {"name": "a"}, "spec": {}}
        (data if place in data else data["metadata"])[place] = odd

        emission = processor.entity(Entity(data, PLACE), ORIGIN)

        assert "bytes as JSON" in emission.flaws[0].error["message"]
        assert len(emission.unprocessed) < 2000
