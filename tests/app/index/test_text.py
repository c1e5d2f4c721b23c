"""Text is what JavaScript makes of it."""

from __future__ import annotations

import math

import pytest

from app.index.text import is_too_long, scalar_text, utf16


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("As Written", "As Written"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-0.0, "0"),
        (8080, "8080"),
        (1.0, "1"),
        (-1.5, "-1.5"),
        (0.1, "0.1"),
        (0.25, "0.25"),
        (123.456, "123.456"),
        (1e16, "10000000000000000"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (0.000001, "0.000001"),
        (1e-7, "1e-7"),
        (-1.25e-9, "-1.25e-9"),
        (5e-324, "5e-324"),
        (2**53, "9007199254740992"),
        (2**53 + 1, "9007199254740992"),
        (12345678901234567890, "12345678901234567000"),
        (10**22, "1e+22"),
    ],
)
def test_a_scalar_reads_as_in_javascript(value, text):
    assert scalar_text(value) == text


@pytest.mark.parametrize("value", [None, math.inf, -math.inf, math.nan, 10**400])
def test_what_json_cannot_hold_is_null(value):
    assert scalar_text(value) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x" * 200, False),
        ("x" * 201, True),
        ("é" * 200, False),
        ("\U0001f600" * 100, False),
        ("\U0001f600" * 100 + "x", True),
        ("\U0001f600" * 101, True),
        ("", False),
    ],
)
def test_a_character_outside_the_basic_plane_counts_twice(text, expected):
    assert is_too_long(text) is expected


def test_code_units_sort_surrogates_before_the_private_use_area():
    assert sorted(["\ue000", "\U0001f600", "a"], key=utf16) == ["a", "\U0001f600", "\ue000"]
