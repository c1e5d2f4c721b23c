"""Refs in `spec` become edges, with kinds and namespaces filled in."""

import pytest

from app.model.kinds import KindRegistry
from app.model.processing_error import ProcessingError
from app.model.relations import REVERSE

REGISTRY = KindRegistry()


def relations(kind, namespace=None, **spec):
    metadata = {"name": "me", **({"namespace": namespace} if namespace else {})}
    version = "scaffolder.backstage.io/v1beta3" if kind == "Template" else "backstage.io/v1alpha1"
    return REGISTRY.relations_of(
        {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
    )


def edges(kind, namespace=None, **spec):
    found = relations(kind, namespace, **spec)
    assert isinstance(found, list), found
    return [(relation.type, str(relation.target)) for relation in found]


@pytest.mark.parametrize(
    ("kind", "field", "value", "edge"),
    [
        *(
            (kind, "owner", "a", ("ownedBy", "group:default/a"))
            for kind in ("Component", "API", "Resource", "System", "Domain", "Template")
        ),
        *(
            (kind, "system", "a", ("partOf", "system:default/a"))
            for kind in ("Component", "API", "Resource")
        ),
        ("Component", "subcomponentOf", "a", ("partOf", "component:default/a")),
        ("System", "domain", "a", ("partOf", "domain:default/a")),
        ("Domain", "subdomainOf", "a", ("partOf", "domain:default/a")),
        ("Component", "providesApis", ["a"], ("providesApi", "api:default/a")),
        ("Component", "consumesApis", ["a"], ("consumesApi", "api:default/a")),
        *(
            (kind, field, ["component:a"], (field, "component:default/a"))
            for kind in ("Component", "Resource")
            for field in ("dependsOn", "dependencyOf")
        ),
        ("User", "memberOf", ["a"], ("memberOf", "group:default/a")),
        ("Group", "parent", "a", ("childOf", "group:default/a")),
        ("Group", "children", ["a"], ("parentOf", "group:default/a")),
        ("Group", "members", ["a"], ("hasMember", "user:default/a")),
    ],
)
def test_a_field_of_a_kind_is_an_edge_that_has_a_reverse(kind, field, value, edge):
    assert edges(kind, **{field: value}) == [edge]
    assert REVERSE[REVERSE[edge[0]]] == edge[0]


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("a", "group:mine/a"),
        ("User:Ada", "user:mine/ada"),
        ("other/A", "group:other/a"),
        ("user:x/y", "user:x/y"),
        ("a/b:c", "group:a/b:c"),
    ],
)
def test_kind_and_namespace_are_filled_in_and_the_ref_is_lower_case(text, target):
    assert edges("Component", "Mine", owner=text) == [("ownedBy", target)]


def test_an_edge_is_listed_once():
    assert edges(
        "Component",
        providesApis=["a", "API:A", "default/a", "b"],
        system="x",
        subcomponentOf="system:x",
    ) == [
        ("partOf", "system:default/x"),
        ("providesApi", "api:default/a"),
        ("providesApi", "api:default/b"),
    ]


@pytest.mark.parametrize("value", [None, "", [], 0, False])
def test_nothing_is_no_edge(value):
    assert edges("Component", dependencyOf=value) == []


def test_a_ref_may_be_an_object_of_its_parts():
    assert edges("Resource", "n", dependencyOf=[{"kind": "Component", "name": "X"}]) == [
        ("dependencyOf", "component:n/x")
    ]


NO_KIND = 'had missing or empty kind (e.g. did not start with "component:" or similar)'


@pytest.mark.parametrize(
    ("value", "name", "message", "pointer"),
    [
        (["component:a", "plain"], "Error", f'Entity reference "plain" {NO_KIND}', "/1"),
        (
            "a:",
            "TypeError",
            'Entity reference "a:" was not on the form [<kind>:][<namespace>/]<name>',
            "",
        ),
        ([""], "Error", "Entity reference must not be empty", "/0"),
        ([None], "Error", "Entity reference must not be empty", "/0"),
        ([{"kind": "a"}], "Error", 'Entity reference {"kind":"a"} had missing or empty name', "/0"),
        ([5], "Error", f"Entity reference 5 {NO_KIND}", "/0"),
        ([[]], "Error", f"Entity reference [] {NO_KIND}", "/0"),
        ({}, "Error", f"Entity reference {{}} {NO_KIND}", ""),
    ],
)
def test_what_is_no_ref_is_an_error_of_postprocessing(value, name, message, pointer):
    found = relations("Component", owner="a", dependencyOf=value)

    assert isinstance(found, ProcessingError)
    assert found.cause == ProcessingError(name, message, f"/spec/dependencyOf{pointer}")
    assert found.message == (
        "Processor BuiltinKindsEntityProcessor threw an error while postprocessing; "
        f"caused by {name}: {message}"
    )


def test_a_template_speaks_through_its_own_processor():
    found = relations("Template", owner="a:")

    assert isinstance(found, ProcessingError)
    assert found.message.startswith("Processor ScaffolderEntitiesProcessor threw an error while")


def test_an_entity_without_spec_has_no_edges():
    assert (
        REGISTRY.relations_of(
            {"apiVersion": "backstage.io/v1alpha1", "kind": "User", "metadata": {"name": "a"}}
        )
        == []
    )
