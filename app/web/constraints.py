"""Limits on values (a range, a choice, a length, a pattern), told in Ajv's words when broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from marshmallow import ValidationError, fields, validate

from app.errors import InputError

# Looks at a value and its path in the request; raises `InputError`.
Constraint: TypeAlias = Callable[[Any, str], None]


def constraints_of(field: fields.Field[Any], kind: str) -> list[Constraint]:
    """Compile the validators of a field that takes values of the JSON type `kind`."""
    return [_constraint(validator, kind) for validator in field.validators]


def _constraint(validator: Any, kind: str) -> Constraint:
    match validator:
        case validate.Range():
            return _range(validator)
        case validate.OneOf() if not isinstance(validator, validate.ContainsOnly):
            return _one_of(validator)
        case validate.Length():
            return _length(validator, "items" if kind == "array" else "characters")
        case validate.Regexp():
            return _pattern(validator)
        case _:
            return _other(validator)


def _range(wanted: validate.Range) -> Constraint:
    lowest, highest = wanted.min, wanted.max

    def check(value: Any, path: str) -> None:
        if lowest is not None and (
            value < lowest or (value == lowest and not wanted.min_inclusive)
        ):
            raise InputError(f"{path} must be {'>=' if wanted.min_inclusive else '>'} {lowest}")
        if highest is not None and (
            value > highest or (value == highest and not wanted.max_inclusive)
        ):
            raise InputError(f"{path} must be {'<=' if wanted.max_inclusive else '<'} {highest}")

    return check


def _one_of(wanted: validate.OneOf) -> Constraint:
    choices = list(wanted.choices)
    listed = ", ".join(map(str, choices))

    def check(value: Any, path: str) -> None:
        if value not in choices:
            raise InputError(f"{path} must be equal to one of the allowed values: {listed}")

    return check


def _length(wanted: validate.Length, unit: str) -> Constraint:
    fewest = wanted.min if wanted.equal is None else wanted.equal
    most = wanted.max if wanted.equal is None else wanted.equal

    def check(value: Any, path: str) -> None:
        if fewest is not None and len(value) < fewest:
            raise InputError(f"{path} must NOT have fewer than {fewest} {unit}")
        if most is not None and len(value) > most:
            raise InputError(f"{path} must NOT have more than {most} {unit}")

    return check


def _pattern(wanted: validate.Regexp) -> Constraint:
    pattern: Any = wanted.regex

    def check(value: Any, path: str) -> None:
        if pattern.search(value) is None:
            raise InputError(f'{path} must match pattern "{pattern.pattern}"')

    return check


def _other(validator: Callable[[Any], Any]) -> Constraint:
    def check(value: Any, path: str) -> None:
        try:
            validator(value)
        except ValidationError as error:
            raise InputError(f"{path} {first_message(error)}") from None

    return check


def first_message(error: ValidationError) -> str:
    """Answer the first of what marshmallow has to say."""
    messages: Any = error.messages
    return str(messages[0] if isinstance(messages, list) else messages)
