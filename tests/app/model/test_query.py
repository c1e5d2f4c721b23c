"""Expressions: how they are joined, and which keys they look at."""

from __future__ import annotations

import pytest

from app.model.query import (
    EVERYTHING,
    NOTHING,
    AllOf,
    AnyOf,
    Contains,
    Has,
    HasPrefix,
    IdIn,
    In,
    Not,
    both,
    equals,
    keys_of,
)

KIND, OWNER = equals("kind", "Component"), Has("spec.owner")


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        ((), EVERYTHING),
        ((EVERYTHING, EVERYTHING), EVERYTHING),
        ((KIND,), KIND),
        ((EVERYTHING, KIND), KIND),
        ((KIND, OWNER), AllOf((KIND, OWNER))),
        ((KIND, EVERYTHING, NOTHING), AllOf((KIND, NOTHING))),
    ],
)
def test_joining_leaves_out_what_matches_everything(parts, joined):
    assert both(*parts) == joined


def test_a_value_is_compared_without_case():
    assert equals("metadata.Name", "WEB") == In("metadata.name", ("web",))


def test_every_key_of_an_expression_is_found_repeats_included():
    expression = AllOf(
        (
            KIND,
            Not(AnyOf((OWNER, HasPrefix("metadata.name", "a"), KIND))),
            Contains("text", ("metadata.title", "metadata.name")),
            IdIn((1, 2)),
        )
    )

    assert list(keys_of(expression)) == [
        "kind",
        "spec.owner",
        "metadata.name",
        "kind",
        "metadata.title",
        "metadata.name",
    ]
    assert list(keys_of(NOTHING)) == []


def test_equal_expressions_are_one_key_of_a_cache():
    assert hash(both(KIND, OWNER)) == hash(AllOf((equals("KIND", "component"), Has("spec.owner"))))
