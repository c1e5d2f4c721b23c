"""Predicates: what they mean, and what is refused."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.predicates import MAX_DEPTH, MAX_PARTS, compile_predicate
from app.errors import InputError
from app.model.query import (
    EVERYTHING,
    NOTHING,
    AllOf,
    AnyOf,
    Expression,
    Has,
    HasPrefix,
    In,
    Not,
)
from tests.app.catalog.evaluation import matches


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        ({}, EVERYTHING),
        ({"$all": []}, EVERYTHING),
        ({"$any": []}, NOTHING),
        ({"kind": "Component"}, In("kind", ("component",))),
        ({"Spec.Type": "A", "kind": "b"}, AllOf((In("spec.type", ("a",)), In("kind", ("b",))))),
        ({"spec.n": 8080}, In("spec.n", ("8080",))),
        ({"spec.n": 0.25}, In("spec.n", ("0.25",))),
        ({"spec.n": 1e21}, In("spec.n", ("1e+21",))),
        ({"spec.n": -0.0}, In("spec.n", ("0",))),
        ({"spec.n": float("inf")}, In("spec.n", ("infinity",))),
        ({"spec.n": ""}, In("spec.n", ("",))),
        ({"spec.on": True}, In("spec.on", ("true",))),
        ({"": "x"}, In("", ("x",))),
        ({"kind": {"$in": ["User", 1, False]}}, In("kind", ("user", "1", "false"))),
        ({"kind": {"$in": []}}, NOTHING),
        ({"a": {"$exists": True}}, Has("a")),
        ({"a": {"$exists": False}}, Not(Has("a"))),
        ({"a": {"$hasPrefix": "TICK"}}, HasPrefix("a", "tick")),
        ({"a": {"$contains": "X"}}, In("a", ("x",))),
        ({"a": {"$contains": 9}}, In("a", ("9",))),
        ({"$not": {"a": "b"}}, Not(In("a", ("b",)))),
        ({"$not": {"$not": {"a": "b"}}}, Not(Not(In("a", ("b",))))),
        ({"$all": [{"a": "b"}]}, In("a", ("b",))),
        ({"$any": [{"a": "b"}, {"c": "d"}]}, AnyOf((In("a", ("b",)), In("c", ("d",))))),
    ],
)
def test_a_predicate_becomes_an_expression(predicate, expected):
    assert compile_predicate(predicate) == expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"type": "ownedBy"}, Has("relations.ownedby")),
        ({"type": "ownedBy", "targetRef": "G:d/A"}, In("relations.ownedby", ("g:d/a",))),
        ({"TYPE": "X", "targetref": {"$in": ["A", "b"]}}, In("relations.x", ("a", "b"))),
    ],
)
def test_relations_are_matched_by_an_object(target, expected):
    assert compile_predicate({"Relations": {"$contains": target}}) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"$in": ["api"], "$exists": True}, Has("kind")),
        ({"$hasPrefix": "a", "$in": ["b"]}, In("kind", ("b",))),
        ({"$in": ["b"], "other": 1}, In("kind", ("b",))),
        ({"$exists": "yes", "$in": ["b"]}, In("kind", ("b",))),
        ({"$contains": "c", "$hasPrefix": "a"}, In("kind", ("c",))),
    ],
)
def test_of_several_operators_the_first_that_fits_counts(value, expected):
    assert compile_predicate({"kind": value}) == expected


SCALARS = "a string, number, boolean or object"


@pytest.mark.parametrize(
    ("predicate", "problem"),
    [
        ({"kind": "x", "$not": {"a": "x"}}, "Unrecognized key(s) in object: 'kind'"),
        ({"$all": [], "$any": [], "x": 1}, "Unrecognized key(s) in object: '$any', 'x'"),
        ({"$nor": []}, 'Invalid at "$nor", expected a field or one of $all, $any, $not'),
        ({"a\nb": "x"}, 'Invalid at "a\nb", expected a field or one of $all, $any, $not'),
        ({"kind": None}, f'Expected {SCALARS}, received null at "kind"'),
        ({"kind": ["api"]}, f'Expected {SCALARS}, received array at "kind"'),
        (
            {"kind": {"$ne": "api"}},
            'Expected one of $exists, $in, $contains, $hasPrefix at "kind"',
        ),
        ({"a": {"$in": "x"}}, 'Expected an array of strings, numbers and booleans at "a.$in"'),
        ({"a": {"$in": [[]]}}, 'Expected an array of strings, numbers and booleans at "a.$in"'),
        ({"a": {"$hasPrefix": 1}}, 'Expected a string at "a.$hasPrefix"'),
        ({"a": {"$exists": 1}}, 'Expected a boolean at "a.$exists"'),
        ({"$all": {"kind": "x"}}, 'Expected array, received object at "$all"'),
        ({"$not": None}, "Expected object, received null"),
        ({"$any": [[]]}, "Expected object, received array"),
        ({"a": {"$contains": None}}, "Expected object, received null"),
    ],
)
def test_a_predicate_of_the_wrong_shape_is_refused_with_the_place(predicate, problem):
    with pytest.raises(InputError) as refused:
        compile_predicate(predicate)
    assert str(refused.value) == f"Invalid query: Validation error: {problem}"


NO_TYPE = 'The $contains operator for "relations" requires a "type" string property'
NO_FIELD = (
    "Invalid filter predicate: top-level primitive values are not supported. "
    'Wrap the value in a field expression, e.g. { "kind": "x" }'
)
NO_KEY = (
    'Unsupported key "target" in $contains for "relations". '
    'Only "type" and "targetRef" are supported'
)
NO_TARGET = (
    'Unsupported value in $contains for "relations": '
    'expected a string or { "$in": [strings] }, but got {"$exists":true}'
)


@pytest.mark.parametrize(
    ("predicate", "message"),
    [
        ({"$all": ["x"]}, NO_FIELD),
        (
            {"Spec": {"$contains": {"type": "x"}}},
            'Object form of $contains is not supported for field "spec"',
        ),
    ],
)
def test_what_is_well_formed_but_makes_no_sense_is_refused(predicate, message):
    with pytest.raises(InputError) as refused:
        compile_predicate(predicate)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"targetRef": "x"}, NO_TYPE),
        ({"type": 1}, NO_TYPE),
        ({}, NO_TYPE),
        (
            {"type": "a", "Type": "b"},
            'Duplicate key "Type" in $contains for "relations"',
        ),
        ({"type": "a", "target": "b"}, NO_KEY),
        (
            {"type": "a", "targetRef": {"$in": []}},
            'Empty "$in" array for $contains on "relations" is not allowed',
        ),
        ({"type": "a", "targetRef": {"$exists": True}}, NO_TARGET),
    ],
)
def test_relations_that_make_no_sense_are_refused(target, message):
    with pytest.raises(InputError) as refused:
        compile_predicate({"relations": {"$contains": target}})
    assert str(refused.value) == message


def nested(depth):
    predicate = {"kind": "x"}
    for _ in range(depth):
        predicate = {"$not": predicate}
    return predicate


def test_nesting_is_bounded():
    compile_predicate(nested(MAX_DEPTH))
    with pytest.raises(InputError, match=f"nested more than {MAX_DEPTH} levels deep"):
        compile_predicate(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize("operator", [{"$exists": True}, {"$in": ["x"]}, {"$contains": "x"}])
def test_nesting_of_what_is_ignored_beside_an_operator_is_bounded(operator):
    junk = []
    for _ in range(1000):
        junk = [junk]
    with pytest.raises(InputError, match=f"nested more than {MAX_DEPTH} levels deep"):
        compile_predicate({"kind": {**operator, "junk": junk}})


def test_the_number_of_conditions_is_bounded():
    compile_predicate({"$any": [{"a": "b"}] * (MAX_PARTS // 2 - 1)})
    with pytest.raises(InputError, match=f"more than {MAX_PARTS} conditions"):
        compile_predicate({"$any": [{"a": "b"}] * (MAX_PARTS // 2 + 1)})


KEYS = ["$all", "$any", "$not", "$in", "$exists", "$contains", "$hasPrefix", "$x"]
KEYS += ["kind", "relations", "type", "targetRef", ""]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["a", "$x", "", "B"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_an_expression_or_is_refused(value):
    try:
        found = compile_predicate(value)
    except InputError:
        return
    assert isinstance(found, Expression.__args__)


PATHS = st.sampled_from(["kind", "spec.n", "metadata.tags", "spec.gone"])
TEXTS = st.sampled_from(["Component", "api", "java", "8", "true", ""])
FIELDS = st.one_of(
    st.tuples(PATHS, TEXTS),
    st.tuples(PATHS, st.fixed_dictionaries({"$in": st.lists(TEXTS, max_size=2)})),
    st.tuples(PATHS, st.fixed_dictionaries({"$exists": st.booleans()})),
    st.tuples(PATHS, st.fixed_dictionaries({"$hasPrefix": st.sampled_from(["", "C", "ja"])})),
).map(lambda pair: dict([pair]))
PREDICATES = st.recursive(
    FIELDS,
    lambda inner: (
        st.fixed_dictionaries({"$all": st.lists(inner, max_size=3)})
        | st.fixed_dictionaries({"$any": st.lists(inner, max_size=3)})
        | st.fixed_dictionaries({"$not": inner})
    ),
    max_leaves=8,
)
ENTITIES = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["Component", "API"]),
        "metadata": st.fixed_dictionaries(
            {"name": st.just("x"), "tags": st.lists(st.sampled_from(["java", "api"]), max_size=2)}
        ),
        "spec": st.fixed_dictionaries({"n": st.sampled_from([8, "8", True, None, ""])}),
    }
)


def naive(predicate, entity):
    """The predicate language said once more, in the words of the contract."""
    if "$all" in predicate:
        return all(naive(part, entity) for part in predicate["$all"])
    if "$any" in predicate:
        return any(naive(part, entity) for part in predicate["$any"])
    if "$not" in predicate:
        return not naive(predicate["$not"], entity)
    return all(naive_field(path, value, entity) for path, value in predicate.items())


def naive_field(path, value, entity):
    found = entity
    for part in path.split("."):
        found = found.get(part, [])
    found = found if isinstance(found, list) else [found]
    texts = [orjson.dumps(item).decode().strip('"').lower() for item in found if item is not None]
    if not isinstance(value, dict):
        return value.lower() in texts
    if "$exists" in value:
        return bool(found) == value["$exists"]
    if "$in" in value:
        return any(item.lower() in texts for item in value["$in"])
    return any(text.startswith(value["$hasPrefix"].lower()) for text in texts)


@given(PREDICATES, ENTITIES)
def test_a_predicate_means_what_the_language_says(predicate, entity):
    assert matches(compile_predicate(predicate), entity) == naive(predicate, entity)
