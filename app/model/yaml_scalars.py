"""What a YAML scalar means under the core schema of YAML 1.2, as a JavaScript server would say it.

Numbers become what JSON made of a double would hold: whole doubles are integers, integers beyond
2^53 are rounded, and what JSON cannot say (infinity, not a number) is null.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

# No plain scalar that starts otherwise is anything but a string.
MAYBE_TYPED = frozenset(["", *"~nNtTfF+-.0123456789"])

_INTEGER = re.compile(r"[-+]?[0-9]+\Z", re.ASCII)
_OCTAL = re.compile(r"0o[0-7]+\Z")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+)\Z", re.ASCII
)
_NULLS = frozenset(["", "~", "null", "Null", "NULL"])
_BOOLEANS = {"true": True, "True": True, "TRUE": True}
_BOOLEANS |= {"false": False, "False": False, "FALSE": False}
_INFINITIES = {
    sign + name: -math.inf if sign == "-" else math.inf
    for sign in ("", "+", "-")
    for name in (".inf", ".Inf", ".INF")
}
_NANS = frozenset([".nan", ".NaN", ".NAN"])
_SAFE = 2**53
_LARGEST = 2**63
_EXACT_DIGITS = 15
_TAG_PREFIX = "tag:yaml.org,2002:"


def plain_value(text: str) -> Any:
    """Resolve an untagged plain scalar."""
    value = typed(text)
    return number(value) if type(value) is float else value


def typed(text: str) -> Any:
    """Resolve an untagged plain scalar, leaving numbers too big or strange for JSON as floats."""
    if text[:1] not in MAYBE_TYPED:
        return text
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    for reads in _NUMBERS:
        value = reads(text)
        if value is not None:
            return value
    return text


def tagged_value(text: str, tag: str) -> Any:
    """Resolve a scalar with an explicit tag; a tag that is unknown or does not fit means a string.

    The secondary types of YAML 1.1 (`!!binary`, `!!timestamp`, …) stay the text that was written.
    """
    name = tag.removeprefix(_TAG_PREFIX) if tag.startswith(_TAG_PREFIX) else ""
    value = typed(text)
    kinds = _TAGGED.get(name, ())
    if type(value) not in kinds or (name == "float" and _INTEGER.match(text)):
        return text
    if name == "int" and not _is_integer(text):
        return text
    return number(value) if type(value) is float else value


def number(value: float) -> float | None:
    """Say a double as JSON that was written by JavaScript does."""
    if not math.isfinite(value):
        return None
    if value != int(value) or abs(value) >= _LARGEST:
        return value
    if abs(value) <= _SAFE:
        return int(value)
    return int(Decimal(repr(value)))


def key_text(value: Any) -> str:
    """Turn a resolved key into the property name that JavaScript makes of it."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _number_text(float(value))


def _number_text(value: float) -> str:
    if not math.isfinite(value):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    if value == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text = "".join(map(str, digits))
    point = len(digits) + int(exponent)
    minus = "-" if sign else ""
    if len(digits) <= point <= 21:  # noqa: PLR2004 (ECMAScript's Number::toString)
        return minus + text + "0" * (point - len(digits))
    if 0 < point <= 21:  # noqa: PLR2004
        return f"{minus}{text[:point]}.{text[point:]}"
    if -6 < point <= 0:  # noqa: PLR2004
        return f"{minus}0.{'0' * -point}{text}"
    tail = f".{text[1:]}" if len(digits) > 1 else ""
    return f"{minus}{text[0]}{tail}e{point - 1:+d}"


def _integer(text: str) -> float | None:
    if not _INTEGER.match(text):
        return None
    return int(text) if len(text) <= _EXACT_DIGITS else _narrow(float(text))


def _octal(text: str) -> float | None:
    return _of_power(int(text, 0)) if _OCTAL.match(text) else None


def _hexadecimal(text: str) -> float | None:
    return _of_power(int(text, 0)) if _HEXADECIMAL.match(text) else None


def _float(text: str) -> float | None:
    if _FLOAT.match(text):
        return float(text)
    if text in _NANS:
        return math.nan
    return _INFINITIES.get(text)


def _of_power(value: int) -> float:
    if value <= _SAFE:
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _narrow(value: float) -> float:
    return int(value) if abs(value) <= _SAFE else value


def _is_integer(text: str) -> bool:
    return any(pattern.match(text) for pattern in (_INTEGER, _OCTAL, _HEXADECIMAL))


_NUMBERS: tuple[Callable[[str], float | None], ...] = (_integer, _octal, _hexadecimal, _float)
_TAGGED: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "bool": (bool,),
    "int": (int, float),
    "float": (float, int),
}
