"""`catalog.rules`: which kinds may come from where."""

from __future__ import annotations

import pytest

from app.catalog.rules import DEFAULT_RULES, Allowed, Place, Rule, Rules
from app.scm.globs import compile_glob

HERE, ELSEWHERE = "url:https://example.org/a/catalog.yaml", "url:https://example.org/b.yaml"


def entity(kind, **spec):
    return {"kind": kind, "metadata": {"name": "x"}, "spec": spec}


def pattern(text):
    return compile_glob(text, dotfiles=True, ignore_case=True)


@pytest.mark.parametrize("kind", ["Component", "API", "Location", "api", "COMPONENT"])
def test_without_rules_the_kinds_of_every_team_are_allowed(kind):
    assert Rules().admit(entity(kind), HERE)


@pytest.mark.parametrize("kind", ["Group", "User", "Template", "System", "Domain", "Resource"])
def test_without_rules_no_other_kind_is_allowed(kind):
    assert not Rules().admit(entity(kind), HERE)


def test_no_rule_allows_nothing():
    assert not Rules(()).admit(entity("Component"), HERE)
    assert not Rules((Rule(()),)).admit(entity("Component"), HERE)


def test_one_rule_that_admits_suffices():
    rules = Rules((*DEFAULT_RULES, Rule((Allowed("Group"),))))

    assert rules.admit(entity("Group"), HERE)
    assert rules.admit(entity("Component"), HERE)


def test_a_rule_may_be_about_one_type_of_a_kind():
    rules = Rules((Rule((Allowed("Template", "Website"),)),))

    assert rules.admit(entity("template", type="WEBSITE"), HERE)
    assert not rules.admit(entity("Template", type="service"), HERE)
    assert not rules.admit(entity("Template"), HERE)
    assert not rules.admit(entity("Template", type=["website"]), HERE)
    assert not rules.admit({"kind": "Template", "metadata": {}, "spec": "website"}, HERE)


@pytest.mark.parametrize(
    ("place", "origin", "is_among"),
    [
        (Place("url"), HERE, True),
        (Place("file"), HERE, False),
        (Place("url", exact=HERE[4:]), HERE, True),
        (Place("url", exact=HERE[4:].upper()), HERE, False),
        (Place("url", exact=HERE[4:]), ELSEWHERE, False),
        (Place("url", pattern=pattern("https://example.org/a/*")), HERE, True),
        (Place("url", pattern=pattern("https://EXAMPLE.org/A/*")), HERE, True),
        (Place("url", pattern=pattern("https://example.org/a/*")), ELSEWHERE, False),
        (Place("url", pattern=pattern("https://example.org/*")), HERE, False),
        (Place("url", pattern=pattern("https://example.org/**")), HERE, True),
        (
            Place("url", pattern=pattern("https://example.org/**")),
            "url:https://example.org/.a",
            True,
        ),
        (Place("file", exact="/a:b.yaml"), "file:/a:b.yaml", True),
    ],
)
def test_a_rule_may_be_limited_to_places(place, origin, is_among):
    rules = Rules((Rule((Allowed("Group"),), (place,)),))

    assert rules.admit(entity("Group"), origin) is is_among


def test_any_of_the_places_will_do_and_none_is_no_place():
    places = (Place("url", exact="https://a"), Place("file", exact="/b"))

    assert Rules((Rule((Allowed("Group"),), places),)).admit(entity("Group"), "file:/b")
    assert not Rules((Rule((Allowed("Group"),), ()),)).admit(entity("Group"), "file:/b")
