"""Predicates: the JSON query language of the POST endpoints, and of cursors.

Reading one has two steps with different complaints, as in Backstage: the shape of the whole is
checked first, then it is translated, which may find that something well-formed makes no sense.
Both are bounded, because a predicate is input from anyone who may read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import orjson

from app.errors import InputError
from app.index.text import scalar_text
from app.model.nesting import is_deeper
from app.model.query import NOTHING, AnyOf, Expression, Has, HasPrefix, In, Not, both

Predicate: TypeAlias = Mapping[str, Any]

MAX_DEPTH = 50
MAX_PARTS = 10_000
# Beside an operator anything may stand, and is ignored; but a cursor carries it.
MAX_LEVELS = 4 * MAX_DEPTH

_GROUPS = ("$all", "$any", "$not")
_OPERATORS = ("$exists", "$in", "$contains", "$hasPrefix")


def compile_predicate(predicate: Any, what: str = "Invalid query") -> Expression:
    """Turn a predicate into an expression.

    Raises `InputError`: `<what>: Validation error: …` if its shape is wrong.
    """
    try:
        if is_deeper(predicate, MAX_LEVELS):
            raise _too_deep()
        _Shape().check(predicate)
    except _ShapeError as problem:
        raise InputError(f"{what}: Validation error: {problem}") from None
    return _translate(predicate)


class _ShapeError(Exception):
    """Says what is wrong with the shape of a predicate, and where."""


def _too_deep() -> _ShapeError:
    return _ShapeError(f"nested more than {MAX_DEPTH} levels deep")


class _Shape:
    """One check of one predicate, counting what it meets."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = MAX_PARTS

    def check(self, predicate: Any, depth: int = 0) -> None:
        """Check a predicate at any depth; primitives are refused later, and only there."""
        self._left -= 1
        if self._left < 0:
            raise _ShapeError(f"more than {MAX_PARTS} conditions")
        if depth > MAX_DEPTH:
            raise _too_deep()
        if _is_primitive(predicate):
            return
        if not isinstance(predicate, dict):
            raise _ShapeError(f"Expected object, received {_type_name(predicate)}")
        operator = next((key for key in predicate if key in _GROUPS), None)
        if operator is None:
            self._check_fields(predicate, depth)
            return
        others = [key for key in predicate if key != operator]
        if others:
            named = ", ".join(f"'{key}'" for key in others)
            raise _ShapeError(f"Unrecognized key(s) in object: {named}")
        for part in self._parts(operator, predicate[operator]):
            self.check(part, depth + 1)

    def _parts(self, operator: str, operand: Any) -> Sequence[Any]:
        if operator == "$not":
            return (operand,)
        if not isinstance(operand, list):
            raise _ShapeError(f'Expected array, received {_type_name(operand)} at "{operator}"')
        return operand

    def _check_fields(self, fields: Predicate, depth: int) -> None:
        for key, value in fields.items():
            if key.startswith("$") or "\n" in key or "\r" in key:
                known = ", ".join(_GROUPS)
                raise _ShapeError(f'Invalid at "{key}", expected a field or one of {known}')
            self._left -= 1
            if not _is_primitive(value):
                self._check_value(key, value, depth)

    def _check_value(self, key: str, value: Any, depth: int) -> None:
        if not isinstance(value, dict):
            expected = "a string, number, boolean or object"
            raise _ShapeError(f'Expected {expected}, received {_type_name(value)} at "{key}"')
        chosen = _operator(value)
        if chosen is None:
            raise _ShapeError(_complaint(key, value))
        if chosen == "$contains":
            self.check(value["$contains"], depth + 1)


def _operator(value: Predicate) -> str | None:
    """Choose the operator of a field: the first one that fits, whatever else is there."""
    if isinstance(value.get("$exists"), bool):
        return "$exists"
    members = value.get("$in")
    if isinstance(members, list) and all(map(_is_primitive, members)):
        return "$in"
    if isinstance(value.get("$hasPrefix"), str) and "$contains" not in value:
        return "$hasPrefix"
    return "$contains" if "$contains" in value else None


def _complaint(key: str, value: Predicate) -> str:
    expected = {
        "$exists": "a boolean",
        "$in": "an array of strings, numbers and booleans",
        "$hasPrefix": "a string",
    }
    for operator, operand in expected.items():
        if operator in value:
            return f'Expected {operand} at "{key}.{operator}"'
    return f'Expected one of {", ".join(_OPERATORS)} at "{key}"'


def _translate(predicate: Any) -> Expression:
    if not isinstance(predicate, dict):
        raise InputError(
            "Invalid filter predicate: top-level primitive values are not supported. "
            f'Wrap the value in a field expression, e.g. {{ "kind": {_json(predicate)} }}'
        )
    if "$not" in predicate:
        return Not(_translate(predicate["$not"]))
    if "$all" in predicate:
        return both(*map(_translate, predicate["$all"]))
    if "$any" in predicate:
        parts = tuple(map(_translate, predicate["$any"]))
        return parts[0] if len(parts) == 1 else AnyOf(parts)
    return both(*(_field(key.lower(), value) for key, value in predicate.items()))


def _field(key: str, value: Any) -> Expression:
    if not isinstance(value, dict):
        return In(key, (_text(value),))
    operator = _operator(value)
    if operator == "$exists":
        return Has(key) if value["$exists"] else Not(Has(key))
    if operator == "$in":
        return In(key, tuple(map(_text, value["$in"]))) if value["$in"] else NOTHING
    if operator == "$hasPrefix":
        return HasPrefix(key, value["$hasPrefix"].lower())
    target = value["$contains"]
    if not isinstance(target, dict):
        return In(key, (_text(target),))
    if key != "relations":
        raise InputError(f'Object form of $contains is not supported for field "{key}"')
    return _relation(target)


def _relation(target: Predicate) -> Expression:
    """Translate `{type, targetRef?}`, whose keys may be written in any case."""
    found: dict[str, Any] = {}
    for name, value in target.items():
        key = name.lower()
        if key not in ("type", "targetref"):
            raise InputError(
                f'Unsupported key "{name}" in $contains for "relations". '
                'Only "type" and "targetRef" are supported'
            )
        if key in found:
            raise InputError(f'Duplicate key "{name}" in $contains for "relations"')
        if key == "type" and not isinstance(value, str):
            break
        found[key] = value if key == "type" else tuple(_target_refs(value))
    if not found.get("type"):
        raise InputError('The $contains operator for "relations" requires a "type" string property')
    key = f"relations.{found['type'].lower()}"
    return In(key, found["targetref"]) if "targetref" in found else Has(key)


def _target_refs(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value.lower()
        return
    refs = value.get("$in") if isinstance(value, dict) and len(value) == 1 else None
    if not isinstance(refs, list) or not all(isinstance(ref, str) for ref in refs):
        raise InputError(
            'Unsupported value in $contains for "relations": expected a string or '
            f'{{ "$in": [strings] }}, but got {_json(value)}'
        )
    if not refs:
        raise InputError('Empty "$in" array for $contains on "relations" is not allowed')
    yield from (ref.lower() for ref in refs)


def _is_primitive(value: Any) -> bool:
    return isinstance(value, (str, bool, int, float))


def _text(value: Any) -> str:
    """Write a primitive as it would be in the index; infinity never is."""
    text = scalar_text(value)
    return f"{value}inity" if text is None else text.lower()


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _type_name(value: Any) -> str:
    if value is None:
        return "null"
    return "array" if isinstance(value, list) else "object"
