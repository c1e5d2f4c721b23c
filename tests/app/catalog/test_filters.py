"""The `filter` parameter: what it means, and that it means the same as the predicate made of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.filters import read_filters
from app.catalog.predicates import compile_predicate
from app.errors import InputError
from app.model.query import EVERYTHING, AllOf, AnyOf, Has, In
from tests.app.catalog.evaluation import matches


def expression(*texts):
    return read_filters(texts).expression


def predicate(*texts):
    return read_filters(texts).predicate


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind=Component", In("kind", ("component",))),
        ("metadata.Labels.crew", Has("metadata.labels.crew")),
        ("spec.empty=", In("spec.empty", ("",))),
        (" kind = domain , ", In("kind", ("domain",))),
        ("a=b=c", In("a", ("b=c",))),
        ("kind=api,kind=Resource", In("kind", ("api", "resource"))),
        ("kind,kind=api", In("kind", ("api",))),
        ("kind=api,kind", In("kind", ("api",))),
        ("kind=api,spec.type", AllOf((In("kind", ("api",)), Has("spec.type")))),
        ("\ufeffkind\u2028=\u00a0api\u3000", In("kind", ("api",))),
    ],
)
def test_conditions_of_one_filter_must_all_match_and_values_of_one_key_are_alternatives(
    text, expected
):
    assert expression(text) == expected


def test_keys_that_differ_in_case_are_separate_conditions():
    assert expression("kind=api,KIND=group") == AllOf(
        (In("kind", ("api",)), In("kind", ("group",)))
    )


def test_a_long_filter_is_read_like_a_short_one():
    values = [f"value-{number:04d}" for number in range(200)]
    assert expression(",".join(f"key={value}" for value in values)) == In("key", tuple(values))


def test_repeated_filters_are_alternatives():
    assert expression("kind=user", "kind=group,spec.type=team") == AnyOf(
        (
            In("kind", ("user",)),
            AllOf((In("kind", ("group",)), In("spec.type", ("team",)))),
        )
    )


@pytest.mark.parametrize("texts", [[], [""], [",, ,"], [" ", "\ufeff"]])
def test_filters_without_conditions_are_ignored(texts):
    assert expression(*texts) == EVERYTHING
    assert predicate(*texts) is None


def test_an_empty_filter_beside_another_does_not_widen_it():
    assert expression(",", "kind=api") == In("kind", ("api",))


@pytest.mark.parametrize("text", ["=x", "kind=api, =x", "= ", " =x"])
def test_a_condition_without_a_key_is_refused_in_backstages_words(text):
    statement = text.split(",")[-1].strip()
    with pytest.raises(InputError) as refused:
        read_filters([text])
    assert str(refused.value) == (
        f"Invalid filter, '{statement}' is not a valid statement "
        "(expected a string on the form a=b or a= or a)"
    )


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["kind=Component"], {"kind": "Component"}),
        (["spec.Type"], {"spec.Type": {"$exists": True}}),
        (["kind=a,kind=b"], {"kind": {"$in": ["a", "b"]}}),
        (["kind=a,x"], {"$all": [{"kind": "a"}, {"x": {"$exists": True}}]}),
        (["kind=a", "kind=b"], {"$any": [{"kind": "a"}, {"kind": "b"}]}),
    ],
)
def test_the_predicate_of_a_filter_is_as_simple_as_backstages(texts, expected):
    assert predicate(*texts) == expected


WORDS = st.sampled_from(["kind", "spec.type", "metadata.tags", "spec.none", "metadata.name"])
VALUES = st.sampled_from(["component", "API", "java", "Go", "", "x y", "a=b"])
CONDITIONS = st.tuples(WORDS, st.none() | VALUES)
SPACE = st.sampled_from(["", " ", "\u00a0"])


@st.composite
def filters(draw):
    sets = draw(st.lists(st.lists(CONDITIONS, max_size=4), max_size=3))
    texts = []
    for conditions in sets:
        parts = [
            draw(SPACE) + key + ("" if value is None else f"{draw(SPACE)}={draw(SPACE)}{value}")
            for key, value in conditions
        ]
        texts.append(",".join([*parts, *draw(st.lists(SPACE, max_size=1))]))
    return sets, texts


@st.composite
def entities(draw):
    return {
        "kind": draw(st.sampled_from(["Component", "API"])),
        "metadata": {
            "name": draw(st.sampled_from(["java", "x y", "a=b"])),
            "tags": draw(st.lists(st.sampled_from(["java", "go"]), max_size=2)),
        },
        "spec": {"type": draw(st.sampled_from(["", "api", None])), "none": None},
    }


def naive(sets, entity):
    """The grammar said once more, in the words of the contract."""

    def values(key):
        path = key.split(".")
        found = entity
        for part in path:
            found = found.get(part, []) if isinstance(found, dict) else []
        found = found if isinstance(found, list) else [found]
        return [None if v is None else str(v).lower() for v in found]

    def met(key, conditions):
        wanted = [value for name, value in conditions if name == key and value is not None]
        if not wanted:
            return bool(values(key))
        return any(value.lower() in values(key) for value in wanted)

    meant = [conditions for conditions in sets if conditions]
    return not meant or any(all(met(key, cs) for key, _ in cs) for cs in meant)


@given(filters(), entities())
def test_a_filter_means_what_the_grammar_says(given_filters, entity):
    sets, texts = given_filters
    assert matches(expression(*texts), entity) == naive(sets, entity)


@given(filters(), entities())
def test_the_predicate_in_a_cursor_means_the_same_as_the_filter(given_filters, entity):
    _, texts = given_filters
    query = predicate(*texts)
    again = EVERYTHING if query is None else compile_predicate(query)
    assert matches(again, entity) == matches(expression(*texts), entity)
