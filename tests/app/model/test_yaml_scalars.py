"""Scalars mean what YAML 1.2 and JavaScript make of them."""

import math

import pytest

from app.model.yaml_scalars import key_text, number, plain_value, tagged_value, typed


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("~", None), ("", None), ("Null", None), ("nULL", "nULL")),
        *(("true", True), ("FALSE", False), ("yes", "yes"), ("On", "On"), ("n", "n")),
        *(("12", 12), ("+12", 12), ("-0", 0), ("0123", 123), ("0o17", 15), ("0o8", "0o8")),
        *(("0x1f", 31), ("0X1f", "0X1f"), ("1_000", "1_000"), ("0b1", "0b1"), ("\u0661", "\u0661")),
        *(("1.", 1), (".5", 0.5), ("1e3", 1000), ("-1.5E-1", -0.15), (".", "."), ("1e", "1e")),
        *((".inf", None), ("-.INF", None), (".NaN", None), (".nAn", ".nAn"), ("1e400", None)),
        *(("2024-01-01", "2024-01-01"), ("12:30", "12:30"), ("<<", "<<"), ("=", "=")),
        *(("9007199254740993", 9007199254740992), ("12345678901234567", 12345678901234568)),
        *(("123456789012345678901", 1.2345678901234568e20), ("9" * 5000, None)),
        *(("0x" + "f" * 400, None), ("0o" + "7" * 30, 1.2379400392853803e27)),
    ],
)
def test_a_plain_scalar_is_resolved(text, value):
    found = plain_value(text)

    assert found == value
    assert type(found) is type(value)


def test_whole_numbers_are_integers_like_in_json():
    assert [type(number(value)) for value in (1.0, -2e15, 1e18, 1.5)] == [int, int, int, float]
    assert number(1.2345678901234567e18) == 1234567890123456800
    assert number(1e300) == 1e300


@pytest.mark.parametrize(
    ("text", "tag", "value"),
    [
        ("3", "int", 3),
        ("x", "int", "x"),
        ("3.5", "int", "3.5"),
        ("3.5", "float", 3.5),
        ("3", "float", "3"),
        ("1", "str", "1"),
        ("", "null", None),
        ("true", "bool", True),
        ("aGk=", "binary", "aGk="),
        ("2001-01-01", "timestamp", "2001-01-01"),
    ],
)
def test_a_tag_decides_if_it_can(text, tag, value):
    assert tagged_value(text, f"tag:yaml.org,2002:{tag}") == value


def test_an_unknown_tag_makes_a_string():
    assert tagged_value("1", "!mine") == "1"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        *(("null", ""), ("true", "true"), ("False", "false"), ("0x10", "16"), ("1.0", "1")),
        *(("1e21", "1e+21"), ("1e20", "100000000000000000000"), ("1.5", "1.5"), ("-0", "0")),
        *((".inf", "Infinity"), ("-.inf", "-Infinity"), (".nan", "NaN"), ("x", "x")),
        *(
            ("1e-7", "1e-7"),
            ("0.000001", "0.000001"),
            ("1.25e-9", "1.25e-9"),
            ("-2.5e25", "-2.5e+25"),
        ),
    ],
)
def test_a_key_is_named_as_javascript_names_properties(text, name):
    assert key_text(typed(text)) == name


def test_infinities_are_kept_for_keys_only():
    assert math.isinf(typed(".inf"))
    assert plain_value(".inf") is None
