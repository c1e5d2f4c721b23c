"""The demo organisation in `catalog-info/` is whole: valid, closed, and found from one root.

Read with PyYAML and checked with the rules of the file format alone, so that a mistake in the
platform's own parser cannot hide a mistake in the demo, nor the other way round.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2] / "catalog-info"
TEMPLATES = ROOT / "templates"
KINDS = {
    "API", "Component", "Domain", "Group", "Location", "Resource", "System", "Template", "User",
}  # fmt: skip
NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
DNS_LABEL = re.compile(r"[a-z0-9]+(?:-+[a-z0-9]+)*")
TAG = re.compile(r"[a-z0-9:+#]+(-[a-z0-9:+#]+)*")
REQUIRED = {
    "API": {"type", "lifecycle", "owner", "definition"},
    "Component": {"type", "lifecycle", "owner"},
    "Domain": {"owner"},
    "Group": {"type", "children"},
    "Location": set(),
    "Resource": {"type", "owner"},
    "System": {"owner"},
    "Template": {"type", "steps"},
    "User": {"memberOf"},
}
# The field, and the kind of a reference in it that names none.
REFERENCES = {
    "owner": "group", "system": "system", "domain": "domain", "subdomainOf": "domain",
    "subcomponentOf": "component", "providesApis": "api", "consumesApis": "api",
    "dependsOn": None, "dependencyOf": None, "memberOf": "group", "parent": "group",
    "children": "group", "members": "user",
}  # fmt: skip
BEGINNING = {"openapi": "openapi: 3.", "asyncapi": "asyncapi: 2.", "grpc": 'syntax = "proto3";'}


def documents(file: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(file.read_text()) if document]


def reached_from(file: Path) -> Iterator[Path]:
    """Follow the targets of the Locations in a file, as the catalog does."""
    yield file
    for document in documents(file):
        spec = document["spec"]
        if document["kind"] != "Location":
            continue
        for target in [*spec.get("targets", []), *([spec["target"]] if "target" in spec else [])]:
            assert target.startswith("./"), f"{file}: {target} is not relative"
            named = file.parent / target
            if named.exists() or spec.get("presence") != "optional":
                yield from reached_from(named.resolve())


def ref_of(entity: dict[str, Any]) -> str:
    metadata = entity["metadata"]
    return f"{entity['kind']}:{metadata.get('namespace', 'default')}/{metadata['name']}".lower()


def references(entity: dict[str, Any]) -> Iterator[str]:
    """Every entity that the spec of this one names, as whole refs."""
    namespace = entity["metadata"].get("namespace", "default")
    for field, default_kind in REFERENCES.items():
        value = entity["spec"].get(field, [])
        for text in [value] if isinstance(value, str) else value:
            kind, _, rest = text.rpartition(":")
            place, _, name = rest.rpartition("/")
            assert kind or default_kind, f"{ref_of(entity)}: {field} needs a kind: {text}"
            yield f"{kind or default_kind}:{place or namespace}/{name}".lower()


FILES = [file for file in reached_from(ROOT / "all.yaml") if file.name != "local.yaml"]
ENTITIES = {file: documents(file) for file in FILES}
ALL = [entity for found in ENTITIES.values() for entity in found]
BY_REF = {ref_of(entity): entity for entity in ALL}
GROUPS = {name: entity for name, entity in BY_REF.items() if entity["kind"] == "Group"}
FORMS = [entity for entity in ALL if entity["kind"] == "Template"]

each_entity = pytest.mark.parametrize("entity", ALL, ids=ref_of)
each_template = pytest.mark.parametrize("template", FORMS, ids=ref_of)


def test_there_is_enough_of_every_kind_to_look_at():
    counts = Counter(entity["kind"] for entity in ALL)

    assert set(counts) == KINDS
    assert len(ALL) >= 60
    assert counts["Template"] >= 3
    assert all(counts[kind] >= 5 for kind in KINDS - {"Template"})


@pytest.mark.parametrize(
    ("kind", "field", "values"),
    [
        ("API", "type", {"openapi", "asyncapi", "graphql", "grpc"}),
        ("API", "lifecycle", {"experimental", "production", "deprecated"}),
        ("Component", "lifecycle", {"experimental", "production", "deprecated"}),
        ("Component", "type", {"service", "website", "library", "documentation", "data-pipeline"}),
        ("Resource", "type", {"database", "queue", "cache", "bucket"}),
    ],
)
def test_filters_and_facets_have_something_to_show(kind, field, values):
    assert values <= {entity["spec"][field] for entity in ALL if entity["kind"] == kind}


def test_no_file_is_named_twice_and_no_entity_defined_twice():
    assert len(FILES) == len(set(FILES))
    assert len(ALL) == len(BY_REF)


def test_every_catalog_file_is_reached_from_the_root_and_no_skeleton_is():
    there = {file for file in ROOT.rglob("*.yaml") if "skeleton" not in file.parts}

    assert there - {ROOT / "local.yaml", ROOT / "app-config.yaml"} == set(FILES)


@each_entity
def test_the_envelope_follows_the_file_format(entity):
    metadata = entity["metadata"]
    group = "scaffolder.backstage.io/v1beta3" if entity["kind"] == "Template" else None

    assert set(entity) == {"apiVersion", "kind", "metadata", "spec"}
    assert entity["apiVersion"] == (group or "backstage.io/v1alpha1")
    assert NAME.fullmatch(metadata["name"])
    assert len(metadata["name"]) <= 63
    assert DNS_LABEL.fullmatch(metadata.get("namespace", "default"))
    assert all(TAG.fullmatch(tag) for tag in metadata.get("tags", []))
    assert all(link["url"].startswith("http") for link in metadata.get("links", []))
    assert entity["spec"].keys() >= REQUIRED[entity["kind"]]


@each_entity
def test_labels_and_annotations_are_strings_under_valid_keys(entity):
    labels = entity["metadata"].get("labels", {})
    annotations = entity["metadata"].get("annotations", {})

    assert all(NAME.fullmatch(key.rpartition("/")[2]) for key in (*labels, *annotations))
    assert all(NAME.fullmatch(value) for value in labels.values())
    assert all(isinstance(value, str) for value in annotations.values())


@each_entity
def test_every_reference_names_an_entity_of_the_demo(entity):
    assert [ref for ref in references(entity) if ref not in BY_REF] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_yaml_1_1_and_1_2_read_the_file_alike(file):
    """`no`, `on`, `22:30` and bare dates mean different things; the demo has none of them."""
    for event in yaml.parse(file.read_text()):
        if isinstance(event, yaml.ScalarEvent) and event.style is None:
            tag = yaml.resolver.Resolver().resolve(yaml.ScalarNode, event.value, (True, False))
            assert not tag.endswith("timestamp"), event.value
            assert tag != "tag:yaml.org,2002:bool" or event.value in {"true", "false"}
            assert tag != "tag:yaml.org,2002:int" or re.fullmatch(r"0|[1-9]\d*", event.value)


@pytest.mark.parametrize("name", sorted(GROUPS))
def test_groups_form_a_tree_that_both_ends_agree_on(name):
    group = GROUPS[name]["spec"]
    parent = group.get("parent")
    seen = {name}
    while parent:
        above = f"group:default/{parent}"
        assert above not in seen, f"{name} is above itself"
        seen.add(above)
        parent = GROUPS[above]["spec"].get("parent")

    if group.get("parent"):
        bare = name.rpartition("/")[2]
        assert bare in GROUPS[f"group:default/{group['parent']}"]["spec"]["children"]
    for child in group["children"]:
        assert GROUPS[f"group:default/{child}"]["spec"]["parent"] == name.rpartition("/")[2]


def test_the_platform_is_its_own_first_customer():
    own = ENTITIES[ROOT / "catalog-info.yaml"]

    assert {entity["kind"] for entity in own} == {"System", "Component", "API", "Resource"}
    parts = [entity for entity in own if entity["kind"] != "System"]
    assert all(entity["spec"]["system"] == "callboard" for entity in parts)


@pytest.mark.parametrize(
    "entity", [entity for entity in ALL if entity["kind"] == "API"], ids=ref_of
)
def test_the_definition_of_an_api_is_written_in_its_own_language(entity):
    kind, definition = entity["spec"]["type"], entity["spec"]["definition"]

    if kind == "graphql":
        assert "type Query {" in definition
        assert definition.count("{") == definition.count("}")
    else:
        assert definition.startswith(BEGINNING[kind])
    if kind == "openapi":
        operations = [
            step for path in yaml.safe_load(definition)["paths"].values() for step in path
        ]
        assert set(operations) & {"get", "post", "put", "patch", "delete"}
    if kind == "asyncapi":
        assert yaml.safe_load(definition)["channels"]


@each_template
def test_a_template_asks_for_every_parameter_that_it_uses(template):
    spec = template["spec"]
    used = set(re.findall(r"parameters\.(\w+)", yaml.safe_dump([spec["steps"], spec["output"]])))

    assert used == set(asked_for(spec["parameters"]))


def asked_for(schema: Any) -> Iterator[str]:
    """Every property of the pages, those that depend on another one included."""
    for part in schema if isinstance(schema, list) else [schema]:
        yield from part.get("properties", {})
        for dependency in part.get("dependencies", {}).values():
            yield from asked_for(dependency["oneOf"])


@each_template
def test_a_template_runs_without_the_network(template):
    actions = {step["action"] for step in template["spec"]["steps"]}
    urls = [step["input"]["url"] for step in template["spec"]["steps"] if "url" in step["input"]]

    assert actions <= {"fetch:template", "catalog:write", "debug:log", "fs:delete", "fs:rename"}
    assert set(urls) <= {"./skeleton"}


@pytest.mark.parametrize(
    "folder",
    sorted(path.parent for path in TEMPLATES.glob("*/skeleton")),
    ids=lambda path: path.name,
)
def test_a_skeleton_is_given_exactly_the_values_that_it_uses(folder):
    [template] = documents(folder / "template.yaml")
    [given] = [s["input"] for s in template["spec"]["steps"] if s["action"] == "fetch:template"]
    files = [path for path in (folder / "skeleton").rglob("*") if path.is_file()]
    ending = given.get("templateFileExtension", "")
    texts = [str(path) + path.read_text() for path in files if path.name.endswith(ending)]

    assert set(re.findall(r"values\.(\w+)", "".join(texts))) == set(given["values"])
    assert any(path.name.removesuffix(ending) == "catalog-info.yaml" for path in files)
