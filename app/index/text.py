"""Text as JavaScript sees it: how values become strings, their length, their order.

Lower-casing is `str.lower`: both languages apply Unicode's full case mapping (one dotted capital I
becomes two code points, a capital sigma at the end of a word becomes a final one), and `en-US` adds
nothing to it. They can differ only for letters that are newer than the Unicode version of either.
"""

from __future__ import annotations

import math
from typing import Any

LONGEST = 200
"""The longest key and value that are searchable, in UTF-16 code units."""

_EXACT = 2**53
_POINT_LIMIT = 21
_FRACTION_LIMIT = -6


def is_too_long(text: str) -> bool:
    """Tell whether `text.length > 200` in JavaScript, which counts UTF-16 code units."""
    size = len(text)
    if size > LONGEST:
        return True
    return size > LONGEST // 2 and not text.isascii() and len(utf16(text)) > 2 * LONGEST


def utf16(text: str) -> bytes:
    """Encode so that comparing the bytes compares UTF-16 code units, as JavaScript's `<` does."""
    return text.encode("utf-16-be", "surrogatepass")


def utf8(text: str) -> bytes:
    """Encode so that comparing the bytes compares code points; lone surrogates do no harm."""
    return text.encode("utf-8", "surrogatepass")


def from_utf8(data: bytes) -> str:
    """Undo `utf8`."""
    return data.decode("utf-8", "surrogatepass")


def scalar_text(value: Any) -> str | None:
    """Write a JSON scalar as JavaScript's `String(value)` does; None for null.

    Numbers are what they would be after a trip through JavaScript's JSON: integers that a double
    cannot hold are rounded, infinity and NaN are null.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and -_EXACT <= value <= _EXACT:
        return str(value)
    try:
        number = float(value)
    except OverflowError:
        return None
    return _number_text(number) if math.isfinite(number) else None


def _number_text(number: float) -> str:
    """Write a finite double: Python and JavaScript agree on the digits, not on their layout."""
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    mantissa, _, exponent = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    padded = whole + fraction
    digits = padded.lstrip("0")
    point = len(whole) - (len(padded) - len(digits)) + int(exponent or 0)
    digits = digits.rstrip("0")
    return sign + _layout(digits, point)


def _layout(digits: str, point: int) -> str:
    """Place the decimal point after `point` digits, or write an exponent."""
    if len(digits) <= point <= _POINT_LIMIT:
        return digits + "0" * (point - len(digits))
    if 0 < point <= _POINT_LIMIT:
        return f"{digits[:point]}.{digits[point:]}"
    if _FRACTION_LIMIT < point <= 0:
        return f"0.{'0' * -point}{digits}"
    mantissa = f"{digits[0]}.{digits[1:]}" if len(digits) > 1 else digits
    return f"{mantissa}e{point - 1:+d}"
