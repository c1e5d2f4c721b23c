"""From a section of the configuration to a frozen dataclass, with every mistake in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, post_load, pre_load
from marshmallow.types import UnknownOption

from app.config import Config
from app.config.place import join
from app.settings.fields import Named
from app.settings.scalars import type_name

_WORDED = {
    "Missing data for required field.": "required",
    "Field may not be null.": "required",
    "Invalid input type.": "wanted object",
    "Not a valid list.": "wanted list",
    "Not a valid mapping type.": "wanted object",
    "Unknown field.": "unknown key",
}


class Section(Schema):
    """A schema whose result is `model`. A null counts as absent; unknown keys are reported apart.

    `ignored` names keys that Backstage knows and Callboard has no use for: they are neither
    mistakes nor worth a warning. A section that others share with us `is_open`: it may hold
    anything.
    """

    class Meta(Schema.Meta):
        """Let unknown keys pass here; `read_section` warns about them."""

        unknown: ClassVar[UnknownOption] = EXCLUDE

    model: ClassVar[Callable[..., Any]]
    ignored: ClassVar[frozenset[str]] = frozenset()
    is_open: ClassVar[bool] = False

    @pre_load
    def prepare(self, data: Any, **_: Any) -> Any:
        data = self.expand(data)
        if not isinstance(data, Mapping):
            raise ValidationError(f"wanted object, got {type_name(data)}")
        return {key: value for key, value in data.items() if value is not None}

    @post_load
    def finish(self, data: Mapping[str, Any], **_: Any) -> Any:
        return self.build(data)

    def expand(self, data: Any) -> Any:
        """Turn a short form into the object it stands for."""
        return data

    def variants(self, data: Mapping[str, Any]) -> Mapping[str, Schema]:
        """Name the schemas of keys whose form depends on the data (loaded by `build`)."""
        del data
        return {}

    def build(self, data: Mapping[str, Any]) -> Any:
        """Make the value; raises `ValidationError` for what only shows when all is known."""
        return self.model(**data)


@dataclass(frozen=True, slots=True)
class Read:
    """What reading a section gave: its value, unless there are mistakes."""

    value: Any
    mistakes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def read_section(config: Config, path: str, schema: Section) -> Read:
    """Load the object at `path` (an absent one is empty) and word all that is wrong with it."""
    data = config.get(path, {})
    unknown = tuple(
        config.complaint(place, "unknown key") for place in unknown_keys(schema, data, path)
    )
    try:
        value = schema.load(data)
    except ValidationError as error:
        found = tuple(
            config.complaint(place, message) for place, message in mistakes(error.messages, path)
        )
        return Read(None, found, unknown)
    return Read(value, (), unknown)


def unknown_keys(schema: Schema, data: Any, path: str) -> Iterator[str]:
    """Yield the paths of keys that no schema on the way knows."""
    if not isinstance(data, Mapping) or not isinstance(schema, Section):
        return
    known = {field.data_key or name: field for name, field in schema.load_fields.items()}
    variants = schema.variants(data)
    for key, value in data.items():
        place = join(path, key)
        if key in variants:
            yield from unknown_keys(variants[key], value, place)
        elif key in known:
            yield from _unknown_inside(known[key], value, place)
        elif not (schema.is_open or schema.unknown == RAISE or key in schema.ignored):
            yield place


def _unknown_inside(field: fields.Field[Any], value: Any, path: str) -> Iterator[str]:
    if isinstance(field, fields.List) and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown_inside(field.inner, item, join(path, index))
    elif isinstance(field, fields.Nested):
        yield from unknown_keys(field.schema, value, path)
    elif isinstance(field, Named) and isinstance(value, Mapping):
        for name, item in value.items():
            yield from unknown_keys(field.schema, item, join(path, name))


def mistakes(messages: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield what a schema refuses as pairs of a key's path and what is wrong there."""
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            yield from mistakes(inner, path if key == "_schema" else join(path, key))
    elif isinstance(messages, list):
        for message in messages:
            yield from mistakes(message, path)
    else:
        yield path, _WORDED.get(str(messages), str(messages))
