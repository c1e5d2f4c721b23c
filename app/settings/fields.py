"""The marshmallow fields of configuration: what Backstage converts, they convert, no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError, fields, validate

from app.settings.durations import parse_duration
from app.settings.scalars import to_boolean, to_number, type_name

T = TypeVar("T")
Field = fields.Field


def one_of(*choices: str) -> validate.OneOf:
    """Allow only these values; the message lists them."""
    return validate.OneOf(choices, error="wanted one of: {choices}")


def at_least(minimum: float) -> validate.Range:
    """Allow numbers from `minimum` on."""
    return validate.Range(minimum, error="must be at least {min}")


def between(minimum: float, maximum: float) -> validate.Range:
    """Allow numbers from `minimum` to `maximum`."""
    return validate.Range(minimum, maximum, error="must be between {min} and {max}")


class Text(Field[str]):
    """A text that is not empty. A number is not taken for one."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        return _string(value)


class LooseText(Field[str]):
    """A text, or a number in its place: database passwords are often nothing but digits."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            return str(value)
        raise ValidationError(f"wanted string, got {type_name(value)}")


class Url(Field[str]):
    """An absolute `http` or `https` URL."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        text = _string(value)
        try:
            address = urlsplit(text)
            is_fine = address.scheme in {"http", "https"} and bool(address.hostname)
            is_fine = is_fine and address.port != 0
        except ValueError:
            is_fine = False
        if not is_fine:
            raise ValidationError("wanted a URL that starts with http:// or https://")
        return text


class Number(Field[float]):
    """A number, or a text that is one (`"${PORT}"`)."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> float:
        return _converted(to_number, value)


class Whole(Field[int]):
    """A whole number, or a text that is one."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        number = _converted(to_number, value)
        if number != int(number):
            raise ValidationError("wanted a whole number")
        return int(number)


class Flag(Field[bool]):
    """A boolean, or a text or number that stands for one."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        return _converted(to_boolean, value)


class Duration(Field[timedelta]):
    """A duration in any of Backstage's forms."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> timedelta:
        return _converted(parse_duration, value)


class DurationOrOff(Field["timedelta | None"]):
    """A duration, or `false` for none."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> timedelta | None:
        return None if value is False else _converted(parse_duration, value)


class Texts(Field[tuple[str, ...]]):
    """A list of texts, or one text instead of a list of one."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[str, ...]:
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, list):
            raise ValidationError(f"wanted string or list of strings, got {type_name(value)}")
        return tuple(_each(_string, value))


class Words(Texts):
    """Texts that may each hold several words, parted by blanks or commas; doubles are dropped."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> tuple[str, ...]:
        texts = super()._deserialize(value, *args, **kwargs)
        return tuple(dict.fromkeys(w for text in texts for w in text.replace(",", " ").split()))


class Items(fields.List[T]):
    """A list of sections or values, loaded as a tuple."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, list):
            raise ValidationError(f"wanted list, got {type_name(value)}")
        return tuple(super()._deserialize(value, *args, **kwargs))


class TextTable(Field[Mapping[str, str]]):
    """An object of texts under names of the operator's choice."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Mapping[str, str]:
        found = _object(value)
        return dict(zip(found, _each(_string, found.values(), found), strict=True))


class Named(Field[Mapping[str, T]]):
    """An object of sections under names of the operator's choice; one that is null is not there."""

    def __init__(self, schema: type[Schema], **options: Any) -> None:
        """Hold every one to `schema`."""
        super().__init__(**options)
        self.schema = schema()

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Mapping[str, T]:
        found = {name: item for name, item in _object(value).items() if item is not None}
        return dict(zip(found, _each(self.schema.load, found.values(), found), strict=True))


class Table(Field[Mapping[str, Any]]):
    """An object that is passed on as it is."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Mapping[str, Any]:
        return _object(value)


def _string(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValidationError(f"wanted string, got {type_name(value)}")
    return value


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValidationError(f"wanted object, got {type_name(value)}")
    return value


def _converted(convert: Callable[[Any], T], value: Any) -> T:
    try:
        return convert(value)
    except ValueError as error:
        raise ValidationError(str(error)) from None


def _each(
    check: Callable[[Any], T], values: Iterable[Any], names: Iterable[str] | None = None
) -> list[T]:
    """Check all values, so that every wrong one is reported under its own index or name."""
    found: list[T] = []
    wrong: dict[Any, Any] = {}
    for index, value in zip(names or range(2**31), values, strict=False):
        try:
            found.append(check(value))
        except ValidationError as error:
            wrong[index] = error.messages
    if wrong:
        raise ValidationError(wrong)
    return found
