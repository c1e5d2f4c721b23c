"""Entities are recognised and held to the schema of their kind."""

import pytest

from app.errors import ConfigError
from app.model.kinds import BUILTIN_KINDS, Kind, KindRegistry
from app.model.ref import EntityRef
from app.model.relations import Relation, RelationRule

REGISTRY = KindRegistry()
V1 = "backstage.io/v1alpha1"

SPECS = {
    "API": {"type": "x", "lifecycle": "y", "owner": "z", "definition": "d"},
    "Component": {"type": "x", "lifecycle": "y", "owner": "z"},
    "Domain": {"owner": "z"},
    "Group": {"type": "x", "children": []},
    "Location": {},
    "Resource": {"type": "x", "owner": "z"},
    "System": {"owner": "z"},
    "Template": {"type": "x", "steps": []},
    "User": {"memberOf": []},
}


def entity(kind, spec=None, version=V1):
    version = "scaffolder.backstage.io/v1beta3" if kind == "Template" else version
    spec = SPECS.get(kind, {}) if spec is None else spec
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "Web"}, "spec": spec}


def test_all_of_backstages_kinds_are_known():
    assert sorted(kind.name for kind in BUILTIN_KINDS) == sorted(SPECS)


@pytest.mark.parametrize("kind", sorted(SPECS))
def test_an_entity_with_what_its_kind_requires_is_valid(kind):
    assert REGISTRY.validate(entity(kind)) is None
    found = REGISTRY.find(entity(kind))
    assert found is not None
    assert found.name == kind


@pytest.mark.parametrize(
    ("kind", "field"), [(kind, field) for kind, spec in SPECS.items() for field in spec]
)
def test_each_required_field_is_missed(kind, field):
    spec = {name: value for name, value in SPECS[kind].items() if name != field}
    processor = "ScaffolderEntities" if kind == "Template" else "BuiltinKindsEntity"

    error = REGISTRY.validate(entity(kind, spec))

    assert error is not None
    assert str(error) == (
        f"InputError: Processor {processor}Processor threw an error while validating the entity "
        f"{kind.lower()}:default/web; caused by TypeError: /spec must have required property "
        f"'{field}' - missingProperty: {field}"
    )
    assert error.pointer == "/spec"
    assert error.cause is not None
    assert error.cause.name == "TypeError"


def test_both_versions_of_builtin_kinds_are_known():
    assert REGISTRY.validate(entity("Component", version="backstage.io/v1beta1")) is None


@pytest.mark.parametrize(
    ("kind", "version"), [("component", V1), ("Submarine", V1), ("Component", "backstage.io/v9")]
)
def test_a_foreign_kind_or_version_is_not_recognised(kind, version):
    foreign = entity(kind, SPECS["Component"], version)

    error = REGISTRY.validate(foreign)

    assert error is not None
    assert error.name == "InputError"
    assert error.message == (
        f"No processor recognized the entity {kind.lower()}:default/web as valid, "
        "possibly caused by a foreign kind or apiVersion"
    )
    assert error.cause is None
    assert REGISTRY.find(foreign) is None
    assert REGISTRY.relations_of(foreign) == []


def test_a_spec_is_required():
    data = entity("Location")
    del data["spec"]

    error = REGISTRY.validate(data)

    assert error is not None
    assert error.message.endswith(
        "TypeError: <root> must have required property 'spec' - missingProperty: spec"
    )


def test_a_template_step_needs_an_action():
    error = REGISTRY.validate(entity("Template", {"type": "x", "steps": [{"id": "a"}]}))

    assert error is not None
    assert error.pointer == "/spec/steps/0"


TEAM = Kind(
    name="Squad",
    api_versions=("acme.com/v1",),
    schema={
        "allOf": [
            {"$ref": "Entity"},
            {
                "required": ["spec"],
                "properties": {"spec": {"required": ["tribe"], "type": "object"}},
            },
        ]
    },
    relations=(
        RelationRule("tribe", "inTribe", "Tribe"),
        RelationRule("contact.chat", "reachedBy"),
        RelationRule("owner", "ownedBy", "Group"),
    ),
    reverse={"inTribe": "hasSquad", "reachedBy": "reaches"},
)


def test_a_custom_kind_is_validated_and_related():
    registry = KindRegistry([TEAM])
    good = entity("Squad", {"tribe": "Ops", "contact": {"chat": "resource:x/y"}}, "acme.com/v1")

    assert registry.validate(good) is None
    assert registry.relations_of(good) == [
        Relation("inTribe", EntityRef("tribe", "default", "ops")),
        Relation("reachedBy", EntityRef("resource", "x", "y")),
    ]
    assert registry.reverse["hasSquad"] == "inTribe"
    assert registry.reverse["inTribe"] == "hasSquad"
    assert registry.reverse["ownedBy"] == "ownerOf"


def test_mistakes_in_a_custom_kind_name_the_model_processor():
    registry = KindRegistry([TEAM])

    error = registry.validate(entity("Squad", {}, "acme.com/v1"))
    found = registry.relations_of(
        entity("Squad", {"tribe": "a", "contact": {"chat": "plain"}}, "acme.com/v1")
    )

    assert error is not None
    assert "Processor ModelProcessor threw an error while validating" in error.message
    assert not isinstance(found, list)
    assert "Processor ModelProcessor threw an error while postprocessing" in found.message
    assert found.pointer == "/spec/contact/chat"


def changed(**values):
    fields = {
        "name": TEAM.name,
        "api_versions": TEAM.api_versions,
        "schema": TEAM.schema,
        "relations": TEAM.relations,
        "reverse": TEAM.reverse,
    }
    return Kind(**{**fields, **values})


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (changed(schema={"type": "x"}), "kind Squad: not a JSON Schema"),
        (changed(schema={"$ref": "Nothing"}), "kind Squad: not a JSON Schema"),
        (changed(name="User", api_versions=(V1,)), "kind User of backstage.io/v1alpha1 is there"),
        (changed(reverse={}), "kind Squad: the relation inTribe has no reverse"),
        (changed(reverse={"ownedBy": "owns"}), "kind Squad: the reverse of ownedBy is ownerOf"),
    ],
)
def test_a_custom_kind_that_makes_no_sense_stops_the_start(kind, message):
    with pytest.raises(ConfigError, match=message):
        KindRegistry([kind])
