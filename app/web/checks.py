"""Checks of values against marshmallow fields, in the words of Backstage's request validator.

A schema says what a request may hold; it is compiled once into plain functions. marshmallow's own
loading collects every mistake in its own words and takes ten times as long; clients know the first
mistake in Ajv's words: `request/query/limit must be integer`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from marshmallow import INCLUDE, RAISE, Schema, ValidationError, fields, missing

from app.errors import InputError
from app.web.constraints import constraints_of, first_message

# A value and its path in the request become the loaded value; raises `InputError`.
Check: TypeAlias = Callable[[Any, str], Any]

_TYPES: tuple[tuple[type[fields.Field[Any]], str], ...] = (
    (fields.String, "string"),
    (fields.Integer, "integer"),
    (fields.Number, "number"),
    (fields.Boolean, "boolean"),
    (fields.List, "array"),
    (fields.Nested, "object"),
    (fields.Mapping, "object"),
)


# Fields that do no more than check a type; the others are asked to load the value themselves.
_STOCK = frozenset(
    {fields.String, fields.Integer, fields.Float, fields.Number, fields.Boolean, fields.Raw}
)


def type_of(field: fields.Field[Any]) -> str:
    """Name the JSON type a field takes; "" if any will do."""
    return next((name for kind, name in _TYPES if isinstance(field, kind)), "")


def check_of(field: fields.Field[Any]) -> Check:
    """Compile a field of a JSON body; nothing is coerced."""
    check = _typed(field)
    constraints = constraints_of(field, type_of(field))
    if not constraints and not field.allow_none:
        return check

    def full(value: Any, path: str) -> Any:
        if value is None and field.allow_none:
            return None
        loaded = check(value, path)
        for constraint in constraints:
            constraint(loaded, path)
        return loaded

    return full


def object_check(schema: Schema) -> Check:
    """Compile a schema: what is required, then what may not be there, then each property."""
    given = [(wire_key(field), field) for field in schema.fields.values()]
    required = [name for name, field in given if field.required]
    known = frozenset(name for name, _ in given)
    checks = [(name, attribute_key(field), check_of(field)) for name, field in given]
    defaults = defaults_of(schema)
    refuses, keeps = schema.unknown == RAISE, schema.unknown == INCLUDE

    def check(value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise InputError(f"{path} must be object")
        for name in required:
            if name not in value:
                raise InputError(f"{path} must have required property '{name}'")
        if refuses and not known.issuperset(value):
            raise InputError(f"{path} must NOT have additional properties")
        loaded = defaults()
        if keeps:
            loaded |= {name: item for name, item in value.items() if name not in known}
        for name, attribute, checked in checks:
            if name in value:
                loaded[attribute] = checked(value[name], f"{path}/{name}")
        return loaded

    return check


def defaults_of(schema: Schema) -> Callable[[], dict[str, Any]]:
    """Answer a function that makes the values of what a request leaves out."""
    wanted = {
        attribute_key(field): field.load_default
        for field in schema.fields.values()
        if field.load_default is not missing
    }
    if not any(callable(default) for default in wanted.values()):
        return wanted.copy
    return lambda: {name: v() if callable(v) else v for name, v in wanted.items()}


def text_check(field: fields.Field[Any]) -> Check:
    """Compile a field for one value of a query string, which is coerced to the field's type."""
    kind = type_of(field) or "string"
    is_stock = type(field) in _STOCK
    coerce = _COERCIONS.get(kind) if is_stock else _custom(field)
    constraints = constraints_of(field, kind) if is_stock else []

    def check(value: Any, path: str) -> Any:
        if not isinstance(value, str):
            raise InputError(f"{path} must be {kind}")
        loaded = value if coerce is None else coerce(value, path)
        for constraint in constraints:
            constraint(loaded, path)
        return loaded

    return check


def _typed(field: fields.Field[Any]) -> Check:
    kind = type_of(field)
    if isinstance(field, fields.Nested):
        return object_check(field.schema)
    if isinstance(field, fields.List):
        return _array(check_of(field.inner))
    if isinstance(field, fields.Mapping):
        return _mapping(field)
    if not kind:
        return _custom(field)
    accepts = _ACCEPTS[kind]
    load = None if type(field) in _STOCK else _custom(field)

    def check(value: Any, path: str) -> Any:
        if not accepts(value):
            raise InputError(f"{path} must be {kind}")
        return value if load is None else load(value, path)

    return check


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_ACCEPTS: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": lambda value: _is_number(value) and float(value).is_integer(),
    "boolean": lambda value: isinstance(value, bool),
}


def _array(item: Check) -> Check:
    def check(value: Any, path: str) -> list[Any]:
        if not isinstance(value, list):
            raise InputError(f"{path} must be array")
        return [item(element, f"{path}/{number}") for number, element in enumerate(value)]

    return check


def _mapping(field: fields.Mapping[Any]) -> Check:
    item = None if field.value_field is None else check_of(field.value_field)

    def check(value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise InputError(f"{path} must be object")
        if item is None:
            return value
        return {name: item(element, f"{path}/{name}") for name, element in value.items()}

    return check


def _custom(field: fields.Field[Any]) -> Check:
    if type(field) is fields.Raw:
        return lambda value, _: value

    def check(value: Any, path: str) -> Any:
        try:
            return field.deserialize(value)
        except ValidationError as error:
            raise InputError(f"{path} {first_message(error)}") from None

    return check


def _integer(text: str, path: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 16:  # noqa: PLR2004 - exact in a double
        return int(text)
    number = _javascript_number(text)
    if not number.is_integer():
        raise InputError(f"{path} must be integer")
    return int(number)


def _number(text: str, path: str) -> float:
    number = _javascript_number(text)
    if not math.isfinite(number):
        raise InputError(f"{path} must be number")
    return number


def _boolean(text: str, path: str) -> bool:
    if text not in {"true", "false"}:
        raise InputError(f"{path} must be boolean")
    return text == "true"


def _javascript_number(text: str) -> float:
    """Read a number as JavaScript's `Number(text)` does; what is none is NaN."""
    text = text.strip()
    if "_" in text or not text.isascii() or text.lower().lstrip("+-").startswith(("inf", "nan")):
        return math.nan
    try:
        if text[:2].lower() in {"0x", "0o", "0b"}:
            return float(int(text, 0))
        return float(text)
    except (ValueError, OverflowError):
        return math.nan


_COERCIONS: Mapping[str, Check] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
}


def wire_key(field: fields.Field[Any]) -> str:
    """Answer the name of a field on the wire."""
    return str(field.data_key if field.data_key is not None else field.name)


def attribute_key(field: fields.Field[Any]) -> str:
    """Answer the name of a field in what is loaded."""
    return str(field.attribute or field.name)
