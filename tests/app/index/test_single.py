"""A document on its own is judged as the index judges it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.index.index import EntityIndex
from app.index.single import Single
from app.index.terms import DuplicateKeysError, encode_terms
from app.model.query import Has, IdIn, In, Not
from tests.app.index import strategies as some
from tests.app.index.naive import Naive


@given(some.entities("n1", "u1"), st.lists(some.expressions, min_size=1, max_size=5))
def test_a_document_matches_what_its_entity_matches_in_the_index(entity, expressions):
    try:
        encode_terms(entity)
    except DuplicateKeysError:
        return
    naive = Naive()
    naive.entities[7] = ("component:default/n1", "u1", entity)
    index = EntityIndex(naive.load_documents)
    index.load(naive.rows(), 1)
    single = Single(entity, 7)

    for expression in expressions:
        assert single.matches(expression) == (7 in index.match(expression)), expression


def test_an_id_is_part_of_what_is_asked():
    entity = {"kind": "Component", "metadata": {"name": "a"}}

    assert Single(entity, 7).matches(IdIn((3, 7)))
    assert not Single(entity, 8).matches(IdIn((3, 7)))


@pytest.mark.parametrize("expression", [Has("kind"), In("kind", ("component",))])
def test_a_document_that_cannot_be_searched_has_no_values(expression):
    entity = {"kind": "Component", "metadata": {"name": "a"}, "spec": {"a": 1, "A": 2}}

    assert not Single(entity, 1).matches(expression)
    assert Single(entity, 1).matches(Not(expression))
