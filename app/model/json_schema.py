"""JSON Schema as catalogs use it: a quick yes or no, and the first mistake in AJV's words.

The verdict is jsonschema-rs's. Only when it is no, the value is walked once more in the order in
which AJV looks at things, because the first error it would report is the one people see.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema_rs

from app.errors import ConfigError
from app.model.ajv import SchemaError, first_error
from app.model.json_pointer import pointer_to


class CompiledSchema:
    """A draft-07 schema, compiled once; `resources` are the schemas it may refer to by `$id`."""

    def __init__(
        self, schema: Mapping[str, Any], resources: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        """Compile; raises `ConfigError` if the schema is not one."""
        self._schema = schema
        self._resources = resources or {}
        try:
            self._validator = jsonschema_rs.Draft7Validator(
                dict(schema), retriever=self._retrieve, validate_formats=False
            )
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            message = getattr(error, "message", None) or str(error)
            raise ConfigError(f"not a JSON Schema: {message}") from error

    def is_valid(self, value: Any) -> bool:
        """Answer yes or no, quickly."""
        return self._validator.is_valid(value)

    def first_error(self, value: Any) -> SchemaError | None:
        """Answer the first error that AJV would report; None if the value is valid."""
        if self._validator.is_valid(value):
            return None
        found = first_error(self._schema, value, self._resources)
        if found:
            return found
        for error in self._validator.iter_errors(value):
            return SchemaError(pointer_to(*error.instance_path), error.message)
        return None

    def _retrieve(self, uri: str) -> Any:
        name = uri.rsplit("/", 1)[-1]
        if name not in self._resources:
            raise ValueError(f"$ref to {name!r}, which is not known here")
        return self._resources[name]
