"""Numbers and booleans as configuration may spell them, and the names of types in messages."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

_DECIMAL = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?\Z", re.IGNORECASE | re.ASCII)
_PREFIXED = re.compile(r"0(?:x[0-9a-f]+|o[0-7]+|b[01]+)\Z", re.IGNORECASE | re.ASCII)
_TRUE = frozenset({"y", "yes", "true", "1", "on"})
_FALSE = frozenset({"n", "no", "false", "0", "off"})


def to_number(value: Any) -> float:
    """Read a number, or a text that is one; raises `ValueError`."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise ValueError(f"wanted number, got {type_name(value)}")  # noqa: TRY004 (one for all)
    text = value.strip()
    if _PREFIXED.match(text):
        return int(text, 0)
    number = float(text) if _DECIMAL.match(text) else math.nan
    if not math.isfinite(number):
        raise ValueError("wanted number, got a text that is none")
    return int(number) if number.is_integer() else number


def to_boolean(value: Any) -> bool:
    """Read a boolean, or a text or number that stands for one; raises `ValueError`."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, (str, int, float)):
        raise ValueError(f"wanted boolean, got {type_name(value)}")  # noqa: TRY004 (one for all)
    text = str(value).strip().lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError("wanted boolean, got neither true nor false")


def type_name(value: Any) -> str:
    """Name the type of a JSON value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string" if value else "empty string"
    return "object" if isinstance(value, Mapping) else "list"
