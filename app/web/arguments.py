"""The arguments of OpenAPI-validated routes: declared as marshmallow schemas, read by a compiler.

Make a reader once, next to the route; it answers what `make` makes of the loaded values. Mistakes
are `InputError`s in the words of Backstage's validator (CONTRACT 0.4). Where a route takes both,
read the body first, as Backstage does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from flask import Request
from marshmallow import Schema, fields

from app.errors import InputError
from app.web.checks import (
    Check,
    attribute_key,
    defaults_of,
    object_check,
    text_check,
    wire_key,
)
from app.web.errors import NamedError
from app.web.json_body import DEFAULT_LIMIT, is_json, media_type, read_json
from app.web.query_string import Nested, parse_query
from app.web.requests import Environ

T = TypeVar("T")


class Delimited(fields.List[Any]):
    """A list written as one parameter with commas between the items (`explode: false`)."""


class QueryReader(Generic[T]):
    """Reads the query string of one route; what the schema does not name is refused."""

    def __init__(self, schema: type[Schema], make: Callable[..., T]) -> None:
        """Compile `schema`; `make` takes the loaded values as keyword arguments."""
        self.schema = schema()
        self._make = make
        self._defaults = defaults_of(self.schema)
        given = [(wire_key(field), field) for field in self.schema.fields.values()]
        self._known = frozenset(name for name, _ in given)
        self._required = [name for name, field in given if field.required]
        self._checks = [
            (name, attribute_key(field), _values_check(field), f"request/query/{name}")
            for name, field in given
        ]

    def read(self, request: Request) -> T:
        """Read the query of a request; raises `InputError` for the first mistake."""
        return self.read_string(request.environ.get("QUERY_STRING", ""))

    def read_string(self, raw: str) -> T:
        """Read a raw query string."""
        found = parse_query(raw) if raw else {}
        for name, values in found.items():
            if name not in self._known:
                raise InputError(f"Unknown query parameter '{name}'")
            if not values[0] and len(values) == 1:
                raise InputError(f"Empty value found for query parameter '{name}'")
        for name in self._required:
            if name not in found:
                raise InputError(f"request/query must have required property '{name}'")
        loaded = self._defaults()
        if found:
            for name, attribute, check, path in self._checks:
                given = found.get(name)
                if given is not None:
                    loaded[attribute] = check(given, path)
        return self._make(**loaded)


class BodyReader(Generic[T]):
    """Reads the JSON body of one route.

    Nothing is coerced. Without `required` a request may leave out the body together with its type.
    What becomes of properties that a schema does not name is up to its `Meta.unknown`; Backstage
    mostly ignores them (`EXCLUDE`), while marshmallow refuses them unless told otherwise.
    """

    def __init__(
        self,
        schema: type[Schema],
        make: Callable[..., T],
        *,
        required: bool = True,
        limit: int = DEFAULT_LIMIT,
    ) -> None:
        """Compile `schema`; `make` takes the loaded values as keyword arguments."""
        self.schema = schema()
        self._make = make
        self._check = object_check(self.schema)
        self._required = required
        self._limit = limit

    def read(self, request: Request) -> T:
        """Read the body of a request; raises `InputError` for the first mistake."""
        try:
            body = read_json(request, limit=self._limit)
        except NamedError as error:
            raise InputError(str(error)) from None
        environ: Environ = request.environ
        if not is_json(environ) and (self._required or media_type(environ)):
            raise InputError(f"unsupported media type {media_type(environ) or 'undefined'}")
        return self._make(**self._check(body, "request/body"))


def _values_check(field: fields.Field[Any]) -> Check:
    """Compile a parameter: a check of all the values given for its name."""
    if not isinstance(field, fields.List):
        single = text_check(field)
        return lambda values, path: single(values[0] if len(values) == 1 else values, path)
    item = text_check(field.inner)
    splits = isinstance(field, Delimited)
    is_plain = type(field.inner) is fields.String and not field.inner.validators

    def check(values: list[Any], path: str) -> list[Any]:
        if splits and not any(isinstance(value, Nested) for value in values):
            values = [part for value in values for part in value.split(",")]
        if is_plain and all(type(value) is str for value in values):
            return values
        return [item(value, f"{path}/{number}") for number, value in enumerate(values)]

    return check
