"""Emissions: told apart by all that matters, and flaws in the form in which they are served."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.catalog.emission import Counts, Emission, Flaw, status_item
from app.model.problem import Problem

FLAW = Flaw({"name": "InputError", "message": "bad"}, Problem("url:a", "bad"))
GOOD = Emission("component:default/a", "url:a", 1, b"{}", b"{}")


def test_equal_content_has_an_equal_hash():
    assert GOOD.hash == replace(GOOD).hash


@pytest.mark.parametrize(
    "other",
    [
        replace(GOOD, location="url:b"),
        replace(GOOD, document=b'{"a":1}'),
        replace(GOOD, document=None),
        replace(GOOD, unprocessed=b'{"a":1}'),
        replace(GOOD, flaws=(FLAW,)),
        replace(GOOD, flaws=(replace(FLAW, error={"name": "InputError", "message": "worse"}),)),
    ],
)
def test_whatever_differs_shows_in_the_hash(other):
    assert other.hash != GOOD.hash


def test_a_line_that_moved_is_no_change():
    assert replace(GOOD, line=9).hash == GOOD.hash


def test_only_locations_may_emit():
    assert replace(GOOD, ref="location:default/a").is_location
    assert not replace(GOOD, ref="component:location:x/a").is_location


def test_a_flaw_is_shown_as_an_item_of_the_status():
    assert (
        FLAW.status_item
        == status_item(FLAW.error)
        == {
            "type": "backstage.io/catalog-processing",
            "level": "error",
            "message": "InputError: bad",
            "error": {"name": "InputError", "message": "bad"},
        }
    )


def test_counts_add_up_by_name():
    counts = Counts(read=1, written=2)

    counts.add([Counts(read=3), Counts(removed=4, conflicts=True)])

    assert counts.as_dict() == {
        "read": 4,
        "unchanged": 0,
        "written": 2,
        "invalid": 0,
        "conflicts": 1,
        "removed": 4,
    }
