"""Entity refs: read as Backstage reads them, and canonical from then on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InputError
from app.model.ref import EntityRef, split_ref

PART = st.text(st.characters(exclude_characters=":/", exclude_categories=["Cs"]), min_size=1)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("component:default/web", ("component", "default", "web")),
        ("component:web", ("component", None, "web")),
        ("default/web", (None, "default", "web")),
        ("web", (None, None, "web")),
        # A slash before the first colon: no kind, and the rest is the name.
        ("ns/web:8080", (None, "ns", "web:8080")),
        ("ns/a:b/c", (None, "ns", "a:b/c")),
        # Only the first of each divides.
        ("url:https://example.org", ("url", "https:", "/example.org")),
        ("a:b:c", ("a", None, "b:c")),
        ("a:b/c/d:e", ("a", "b", "c/d:e")),
    ],
)
def test_a_text_is_split_at_the_first_colon_and_the_first_slash(text, parts):
    assert split_ref(text) == parts


@pytest.mark.parametrize(
    "text", ["", ":", "/", "a:", ":a", "a/", "/a", "a:/b", "a:b/", "a:/", "/:a"]
)
def test_no_part_may_be_empty(text):
    with pytest.raises(InputError) as raised:
        EntityRef.parse(text, kind="component")

    assert str(raised.value) == (
        f'Entity reference "{text}" was not on the form [<kind>:][<namespace>/]<name>'
    )


def test_what_is_left_out_is_filled_in_by_the_caller():
    assert EntityRef.parse("web", kind="API", namespace="Shop") == EntityRef("api", "shop", "web")
    assert EntityRef.parse("web", kind="API") == EntityRef("api", "default", "web")
    assert str(EntityRef.parse("User:Ada", kind="API")) == "user:default/ada"


def test_a_ref_without_a_kind_is_refused_if_none_is_meant():
    with pytest.raises(InputError, match='"web" had missing or empty kind'):
        EntityRef.parse("web")


@given(PART, PART, PART)
def test_the_text_of_a_ref_reads_as_the_same_ref(kind, namespace, name):
    ref = EntityRef.of(kind, namespace, name)

    assert EntityRef.parse(str(ref)) == EntityRef.of(ref.kind, ref.namespace, ref.name)


@given(PART, st.none() | PART, PART)
def test_case_does_not_tell_refs_apart(kind, namespace, name):
    upper = namespace.upper() if namespace else namespace
    ref = EntityRef.of(kind, namespace, name)

    assert str(ref) == str(ref).lower()
    if f"{kind}{namespace}{name}".isascii():
        assert EntityRef.of(kind.upper(), upper, name.upper()) == ref


def test_an_empty_namespace_is_the_default_one():
    assert EntityRef.of("Group", "", "a") == EntityRef.of("Group", None, "a")


def test_refs_are_sorted_by_kind_then_namespace_then_name():
    refs = [EntityRef.parse(text) for text in ("b:a/a", "a:b/a", "a:a/b", "a:a/a")]

    assert list(map(str, sorted(refs))) == ["a:a/a", "a:a/b", "a:b/a", "b:a/a"]
