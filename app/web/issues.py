"""Lists of issues: how the stricter one of Backstage's request validators complains.

It writes every issue it has with a body as JSON, and that is the message; here only those are made
that clients are known to meet.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

Issue: TypeAlias = Mapping[str, Any]
Path: TypeAlias = Sequence[str | int]


class Missing:
    """What stands for a value that is not there."""


MISSING = Missing()
# A truth value is a number as well.
_TYPES: tuple[tuple[type[Any], str], ...] = (
    (Missing, "undefined"),
    (type(None), "null"),
    (bool, "boolean"),
    (int, "number"),
    (float, "number"),
    (str, "string"),
    (list, "array"),
)


def written(issues: Sequence[Issue]) -> str:
    """Write issues as the message does."""
    return json.dumps(issues, indent=2, ensure_ascii=False)


def wrong_type(expected: str, received: Any, path: Path) -> Issue:
    """Say that a value is not of the type that was expected, or not there."""
    kind = type_name(received)
    is_missing = kind == "undefined"
    return {
        "code": "invalid_type",
        "expected": expected,
        "received": kind,
        "path": list(path),
        "message": "Required" if is_missing else f"Expected {expected}, received {kind}",
    }


def wrong_literal(expected: str, received: Any, path: Path) -> Issue:
    """Say that a value is not the one that was expected."""
    return {
        "received": received,
        "code": "invalid_literal",
        "expected": expected,
        "path": list(path),
        "message": f'Invalid literal value, expected "{expected}"',
    }


def empty_list(path: Path) -> Issue:
    """Say that a list has to have members."""
    return {
        "code": "too_small",
        "minimum": 1,
        "type": "array",
        "inclusive": True,
        "exact": False,
        "message": "Array must contain at least 1 element(s)",
        "path": list(path),
    }


def unknown_keys(keys: Iterable[str], path: Path) -> Issue:
    """Say that an object has keys that it may not have."""
    keys = list(keys)
    named = ", ".join(f"'{key}'" for key in keys)
    return {
        "code": "unrecognized_keys",
        "keys": keys,
        "path": list(path),
        "message": f"Unrecognized key(s) in object: {named}",
    }


def no_variant(variants: Iterable[Sequence[Issue]], path: Path) -> Issue:
    """Say that a value fits none of several variants, and what is wrong with it as each."""
    return {
        "code": "invalid_union",
        "unionErrors": [{"issues": list(issues), "name": "ZodError"} for issues in variants],
        "path": list(path),
        "message": "Invalid input",
    }


def type_name(value: Any) -> str:
    """Name the type of a JSON value."""
    return next((name for kind, name in _TYPES if isinstance(value, kind)), "object")
