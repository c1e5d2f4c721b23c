"""Conditions of permission decisions: which shapes they have, and what they let pass."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.conditions import MAX_DEPTH, Judge, read_cases
from app.errors import CallboardError, InputError
from app.web.errors import NamedError
from tests.app.catalog.graph import Graph, entity

WEB, TEAM = "component:default/web", "group:default/team-a"


@pytest.fixture(scope="module")
def judge():
    owned = [("ownedBy", TEAM)]
    return Judge(
        Graph().put(
            entity(
                "Component",
                "web",
                tags=["java"],
                labels={"tier": "Gold"},
                annotations={"example.com/x": "Hello"},
                spec={"type": "service"},
                relations=owned,
            ),
            entity("Component", "shop", namespace="other"),
            entity("Group", "team-a"),
        )
    )


def rule(name, **params):
    return {"rule": name, "resourceType": "catalog-entity", "params": params}


OWNED = rule("IS_ENTITY_OWNER", claims=[TEAM])


def body(conditions, refs=WEB, **item):
    item = {"id": "9", "resourceType": "catalog-entity", "resourceRef": refs, **item}
    return {"items": [{**item, "conditions": conditions}]}


def result(judge, conditions, refs=WEB):
    (answer,) = judge.results(read_cases(body(conditions, refs)))
    assert answer["id"] == "9"
    return answer["result"]


@pytest.mark.parametrize(
    "conditions",
    [
        OWNED,
        {"anyOf": [OWNED, {"allOf": [OWNED]}]},
        {"not": {"not": OWNED}},
        rule("IS_ENTITY_OWNER", claims=["user:default/ada", TEAM]),
        rule("IS_ENTITY_KIND", kinds=["API", "COMPONENT"]),
        rule("HAS_SPEC", key="type", value="SERVICE"),
        rule("HAS_SPEC", key="Type"),
        rule("HAS_METADATA", key="tags", value="java"),
        rule("HAS_METADATA", key="tags.java"),
        rule("HAS_ANNOTATION", annotation="EXAMPLE.com/x", value="HELLO"),
        rule("HAS_ANNOTATION", annotation="example.com/x"),
        rule("HAS_LABEL", label="tier"),
        rule("HAS_LABEL", label="tier", value="gold", ignored=True),
    ],
)
def test_an_entity_passes(judge, conditions):
    assert result(judge, conditions) == "ALLOW"
    assert result(judge, {"not": conditions}) == "DENY"


@pytest.mark.parametrize(
    "conditions",
    [
        rule("IS_ENTITY_OWNER", claims=["GROUP:default/team-a"]),
        rule("IS_ENTITY_OWNER", claims=[]),
        rule("IS_ENTITY_KIND", kinds=[]),
        rule("IS_ENTITY_KIND", kinds=["group"]),
        rule("HAS_LABEL", label="tier", value="silver"),
        rule("HAS_ANNOTATION", annotation="example.com"),
        {"allOf": [OWNED, rule("HAS_LABEL", label="nothing")]},
    ],
)
def test_an_entity_does_not_pass(judge, conditions):
    assert result(judge, conditions) == "DENY"
    assert result(judge, {"not": conditions}) == "ALLOW"


def test_what_does_not_exist_is_denied_whatever_is_asked(judge):
    refs = [WEB, "component:default/nope", "component:other/shop"]

    assert result(judge, {"not": OWNED}, refs) == ["DENY", "DENY", "ALLOW"]
    assert result(judge, {"not": OWNED}, "component:default/nope") == "DENY"


def test_refs_may_be_written_in_any_case_and_without_the_default_namespace(judge):
    assert result(judge, OWNED, ["Component:Default/Web", "component:web"]) == ["ALLOW", "ALLOW"]


def test_what_is_no_ref_is_refused(judge):
    with pytest.raises(InputError, match="had missing or empty kind"):
        result(judge, OWNED, "web")


def test_all_items_are_answered_in_order_at_one_moment(judge):
    items = body(OWNED)["items"] + body({"not": OWNED}, [WEB], id="1")["items"]

    assert judge.results(read_cases({"items": items})) == [
        {"id": "9", "result": "ALLOW"},
        {"id": "1", "result": ["DENY"]},
    ]
    assert judge.results(read_cases({"items": []})) == []


# -- what is refused ------------------------------------------------------------------------------


def complaint(request):
    with pytest.raises(InputError) as raised:
        read_cases(request)
    return str(raised.value)


def test_other_resource_types_are_refused():
    request = body(OWNED, resourceType="zzz")
    assert complaint(request) == "Unexpected resource types: zzz."


def test_a_rule_has_to_exist():
    with pytest.raises(NamedError) as raised:
        read_cases(body({"allOf": [OWNED, rule("NOPE")]}))

    assert (raised.value.name, raised.value.status) == ("Error", 500)
    assert str(raised.value) == (
        "Permission rule 'NOPE' does not exist for resource type 'catalog-entity'"
    )


@pytest.mark.parametrize(
    ("conditions", "path", "message"),
    [
        (rule("IS_ENTITY_OWNER"), ["claims"], "Required"),
        (
            rule("IS_ENTITY_OWNER", claims=TEAM),
            ["claims"],
            "Expected array, received string",
        ),
        (
            rule("IS_ENTITY_KIND", kinds=["a", 1]),
            ["kinds", 1],
            "Expected string, received number",
        ),
        (
            rule("HAS_LABEL", label="a", value=None),
            ["value"],
            "Expected string, received null",
        ),
        ({"rule": "HAS_SPEC", "resourceType": "catalog-entity"}, [], "Required"),
    ],
)
def test_a_rule_has_to_have_its_parameters(conditions, path, message):
    with pytest.raises(NamedError) as raised:
        read_cases(body(conditions))

    error = raised.value
    cause = error.properties["cause"]
    assert (error.name, error.status) == ("InputError", 400)
    assert str(error) == f"Parameters to rule are invalid; caused by {cause['message']}"
    assert json.loads(cause["message"]) == cause["issues"]
    (issue,) = cause["issues"]
    assert (issue["path"], issue["message"]) == (path, message)


def issues(request):
    return json.loads(complaint(request))


@pytest.mark.parametrize("name", ["anyOf", "allOf"])
def test_a_list_of_conditions_has_to_have_members(name):
    (issue,) = issues(body({"not": {name: []}}))

    assert issue["code"] == "too_small"
    assert issue["path"] == ["items", 0, "conditions", "not", name]


@pytest.mark.parametrize(
    ("request_body", "code", "path"),
    [
        ({}, "invalid_type", ["items"]),
        ([], "invalid_type", []),
        ({"items": [1]}, "invalid_type", ["items", 0]),
        (body(OWNED, refs=[]), "too_small", ["items", 0, "resourceRef"]),
        (body(OWNED, refs=1), "invalid_union", ["items", 0, "resourceRef"]),
        (body(OWNED, refs=[1]), "invalid_union", ["items", 0, "resourceRef"]),
        (body(OWNED, id=1), "invalid_type", ["items", 0, "id"]),
        (body(None), "invalid_union", ["items", 0, "conditions"]),
        (body([]), "invalid_union", ["items", 0, "conditions"]),
        (body({}), "invalid_union", ["items", 0, "conditions"]),
        (body({"anyOf": OWNED}), "invalid_union", ["items", 0, "conditions"]),
        (body({"not": OWNED, "anyOf": [OWNED]}), "invalid_union", ["items", 0, "conditions"]),
        (body({"anyOf": [{"rule": 1}]}), "invalid_union", ["items", 0, "conditions"]),
        (body({"rule": "HAS_LABEL"}), "invalid_union", ["items", 0, "conditions"]),
        (body({**OWNED, "params": []}), "invalid_union", ["items", 0, "conditions"]),
    ],
)
def test_a_request_of_the_wrong_shape_is_refused(request_body, code, path):
    issue = issues(request_body)[0]

    assert (issue["code"], issue["path"]) == (code, path)


def test_conditions_are_bounded():
    conditions = OWNED
    for _ in range(MAX_DEPTH):
        conditions = {"not": conditions}
    read_cases(body(conditions))

    assert complaint(body({"not": conditions})) == (
        f"Conditions are nested more than {MAX_DEPTH} levels deep"
    )


KEYS = st.sampled_from(
    ["items", "id", "resourceRef", "resourceType", "conditions", "anyOf", "not", "rule", "params"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["catalog-entity", "HAS_LABEL"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
)


@given(JSON, JSON)
def test_whatever_is_asked_is_read_or_refused(conditions, refs):
    for request in (conditions, body(conditions), body(OWNED, refs)):
        try:
            read_cases(request)
        except CallboardError as error:
            assert str(error)  # noqa: PT017 (any message will do)
