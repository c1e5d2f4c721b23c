"""Durations as configuration writes them: `{minutes: 5}`, `PT5M` or `5 minutes`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from app.settings.scalars import to_number, type_name

_DAYS = {"years": 365.0, "months": 30.0, "weeks": 7.0, "days": 1.0}
_UNITS = {
    **{unit: days * 86_400 for unit, days in _DAYS.items()},
    "hours": 3_600.0,
    "minutes": 60.0,
    "seconds": 1.0,
    "milliseconds": 0.001,
}
_WORDS = {
    ("milliseconds", "millisecond", "msecs", "msec", "ms"): "milliseconds",
    ("seconds", "second", "secs", "sec", "s"): "seconds",
    ("minutes", "minute", "mins", "min", "m"): "minutes",
    ("hours", "hour", "hrs", "hr", "h"): "hours",
    ("days", "day", "d"): "days",
    ("weeks", "week", "w"): "weeks",
    ("years", "year", "yrs", "yr", "y"): "years",
}
_UNIT_OF = {word: unit for words, unit in _WORDS.items() for word in words}
_FRIENDLY = re.compile(r"(\d*\.?\d+) *([a-z]+)\Z", re.IGNORECASE | re.ASCII)
_NUMBER = r"(\d{1,20}(?:\.\d{1,20})?)"
_ISO = re.compile(
    rf"P(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:(\d{{1,20}}(?:[.,]\d{{1,20}})?)S)?)?\Z",
    re.ASCII,
)
_EXPECTED = "wanted a duration such as {minutes: 5}, 'PT5M' or '5 minutes'"


def parse_duration(value: Any) -> timedelta:
    """Read any of the three forms; raises `ValueError` with what was wanted instead.

    As in Backstage a month is 30 days, a year 365, and a plain number has no meaning.
    """
    if isinstance(value, str):
        text = value.strip()
        return _timedelta(_iso(text) if text.startswith("P") else _friendly(text))
    if not isinstance(value, Mapping):
        raise ValueError(f"{_EXPECTED}, got {type_name(value)}")  # noqa: TRY004 (one for all)
    unknown = [str(key) for key in value if key not in _UNITS]
    if unknown or not value:
        got = f", got {', '.join(unknown)}" if unknown else ""
        raise ValueError(f"wanted one or more of {', '.join(_UNITS)}{got}")
    return _timedelta(sum(to_number(n) * _UNITS[unit] for unit, n in value.items()))


def _iso(text: str) -> float:
    found = _ISO.match(text)
    if not found or not any(found.groups()):
        raise ValueError(f"{_EXPECTED}, got an unknown form")
    return sum(
        float(number.replace(",", ".")) * size
        for number, size in zip(found.groups(), _UNITS.values(), strict=False)
        if number
    )


def _friendly(text: str) -> float:
    found = _FRIENDLY.match(text)
    unit = _UNIT_OF.get(found[2].lower()) if found else None
    if found is None or unit is None:
        raise ValueError(f"{_EXPECTED}, got an unknown form")
    return float(found[1]) * _UNITS[unit]


def _timedelta(seconds: float) -> timedelta:
    if seconds < 0 or not math.isfinite(seconds):
        raise ValueError("a duration cannot be negative or endless")
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        raise ValueError("a duration cannot be that long") from None
