"""Linting one entity on its own: everything that its schemas and the field formats object to.

The catalog reports the first mistake of an entity in Backstage's words. Who mends a file wants to
know all of them, so the same schemas and formats are asked here for every one.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs

from app.catalog.lint_rules import (
    DUPLICATE_KEY,
    FORMAT,
    NOT_AN_ENTITY,
    OVERWRITTEN,
    SCHEMA,
    UNKNOWN_FIELD,
    UNKNOWN_KIND,
    Complaint,
)
from app.index.terms import DuplicateKeysError, encode_terms
from app.model.json_pointer import pointer_to
from app.model.kinds import Kind, KindRegistry
from app.model.policies import check_fields
from app.model.schemas import ENTITY

# More mistakes of one sort in one entity help nobody.
MOST = 50
_SET_BY_CATALOG = (
    ("metadata", "uid"),
    ("metadata", "annotations", "backstage.io/managed-by-location"),
    ("metadata", "annotations", "backstage.io/managed-by-origin-location"),
    ("metadata", "annotations", "backstage.io/orphan"),
)
_LEARN_MORE = ". To learn more about catalog file format"
_LIMITS = {
    "minLength": "have at least {} characters",
    "maxLength": "have at most {} characters",
    "minItems": "have at least {} items",
    "maxItems": "have at most {} items",
    "minProperties": "have at least {} fields",
    "maxProperties": "have at most {} fields",
}


@dataclass(slots=True)
class EntityChecks:
    """Checks entities one by one; keeps compiled schemas."""

    kinds: KindRegistry
    _envelope: jsonschema_rs.Draft7Validator = field(default_factory=lambda: _compiled(ENTITY))
    _specs: dict[str, jsonschema_rs.Draft7Validator] = field(default_factory=dict)

    def check(self, data: Mapping[str, Any], unknown: Collection[str] = ()) -> Iterator[Complaint]:
        """Yield what is wrong; `unknown` are pointers of values that are filled in elsewhere."""
        if not data.keys() & {"apiVersion", "kind"}:
            yield Complaint(NOT_AN_ENTITY, "", "it has neither apiVersion nor kind: no entity")
            return
        envelope = list(_schema_errors(self._envelope, data))
        found = list(envelope)
        if not any(complaint.rule is SCHEMA for complaint in envelope):
            known = {name: value for name, value in data.items() if name in ENTITY["properties"]}
            found += [*_format_errors(known), *_duplicate_keys(data)]
        found += self._kind_errors(data)
        found += _overwritten(data)
        seen = set[tuple[str, str]]()
        for complaint in found:
            about = (complaint.rule.id, complaint.pointer + complaint.message)
            if about not in seen and not _is_inside(complaint.pointer, unknown):
                seen.add(about)
                yield complaint

    def kind_of(self, data: Mapping[str, Any]) -> Kind | None:
        """Find the kind of an entity that may be malformed."""
        version, kind = data.get("apiVersion"), data.get("kind")
        is_named = isinstance(version, str) and isinstance(kind, str)
        return self.kinds.find(data) if is_named else None

    def _kind_errors(self, data: Mapping[str, Any]) -> Iterator[Complaint]:
        version, name = data.get("apiVersion"), data.get("kind")
        if not (isinstance(version, str) and isinstance(name, str) and version and name):
            return
        kind = self.kinds.find(data)
        if kind is None:
            yield _foreign(self.kinds.kinds, version, name)
            return
        if kind.name not in self._specs:
            self._specs[kind.name] = _compiled(kind.schema)
        yield from _schema_errors(self._specs[kind.name], data)


def _compiled(schema: Mapping[str, Any]) -> jsonschema_rs.Draft7Validator:
    def retrieve(uri: str) -> Any:
        if uri.rsplit("/", 1)[-1] == "Entity":
            return ENTITY
        raise ValueError(f"$ref to {uri}, which is not known here")

    return jsonschema_rs.Draft7Validator(dict(schema), retriever=retrieve, validate_formats=False)


def _schema_errors(
    validator: jsonschema_rs.Draft7Validator, data: Mapping[str, Any]
) -> Iterator[Complaint]:
    if validator.is_valid(data):
        return
    for number, error in enumerate(validator.iter_errors(data)):
        if number == MOST:
            return
        yield from _worded(error)


def _worded(error: jsonschema_rs.ValidationError) -> Iterator[Complaint]:
    path = list(error.instance_path)
    where, details = dotted(path), error.kind.as_dict()
    match error.kind.name:
        case "required":
            missing = dotted([*path, details["property"]])
            yield Complaint(SCHEMA, pointer_to(*path), f"{missing} is required")
        case "type":
            types = " or ".join(details["types"])
            message = f"{where} must be of type {types}, not {_type_name(error.instance)}"
            yield Complaint(SCHEMA, pointer_to(*path), message)
        case "minLength" if details["limit"] == 1:
            yield Complaint(SCHEMA, pointer_to(*path), f"{where} must not be empty")
        case name if name in _LIMITS:
            message = f"{where} must {_LIMITS[name].format(details['limit'])}"
            yield Complaint(SCHEMA, pointer_to(*path), message)
        case "enum":
            options = ", ".join(map(str, details["options"]))
            yield Complaint(SCHEMA, pointer_to(*path), f"{where} must be one of: {options}")
        case "additionalProperties":
            for name in details["unexpected"]:
                rule = SCHEMA if path else UNKNOWN_FIELD
                message = f"{dotted([*path, name])} is not a field that may be here"
                yield Complaint(rule, pointer_to(*path, name), message)
        case _:
            yield Complaint(SCHEMA, pointer_to(*path), f"{where}: {error.message}")


def dotted(path: Sequence[object]) -> str:
    """Write a path as people do: `spec.steps[0].action`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text or "the entity"


def _type_name(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    names = {str: "string", int: "integer", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "object")


def _format_errors(data: Mapping[str, Any]) -> Iterator[Complaint]:
    """Ask the policies again and again, each time without what they found the last time."""
    repaired: dict[str, Any] | None = None
    for _ in range(MOST):
        error = check_fields(data if repaired is None else repaired)
        if error is None or not error.pointer:
            return
        reason = error.cause or error
        rule = UNKNOWN_FIELD if reason.message.startswith("Unknown field") else FORMAT
        yield Complaint(rule, error.pointer, reason.message.partition(_LEARN_MORE)[0])
        repaired = copy.deepcopy(dict(data)) if repaired is None else repaired
        if not _repair(repaired, error.pointer):
            return


def _repair(data: Any, pointer: str) -> bool:
    """Make the field at `pointer` acceptable, or take it away."""
    *above, last = (p.replace("~1", "/").replace("~0", "~") for p in pointer.split("/")[1:])
    for part in above:
        data = data[int(part)] if isinstance(data, list) else data[part]
    if isinstance(data, list):
        data[int(last)] = "x"
    elif last == "url":
        data[last] = "https://example.com"
    elif last in {"apiVersion", "kind", "name"} and above in ([], ["metadata"]):
        data[last] = "x"
    elif last in data:
        del data[last]
    else:
        return False
    return True


def _foreign(kinds: Sequence[Kind], version: str, name: str) -> Complaint:
    versions = [v for kind in kinds if kind.name == name for v in kind.api_versions]
    if versions:
        message = f'apiVersion of a {name} is {" or ".join(versions)}, not "{version}"'
        return Complaint(UNKNOWN_KIND, "/apiVersion", message)
    names = {kind.name.lower(): kind.name for kind in kinds}
    close = difflib.get_close_matches(name.lower(), names, n=1)
    hint = f'; did you mean "{names[close[0]]}"?' if close else ""
    return Complaint(UNKNOWN_KIND, "/kind", f'the catalog knows no kind "{name}"{hint}')


def _duplicate_keys(data: Mapping[str, Any]) -> Iterator[Complaint]:
    try:
        encode_terms(data)
    except DuplicateKeysError as error:
        yield Complaint(DUPLICATE_KEY, "", str(error))


def _overwritten(data: Mapping[str, Any]) -> Iterator[Complaint]:
    for path in _SET_BY_CATALOG:
        value: Any = data
        for part in path:
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            message = f"{path[-1]} is set by the catalog, what is written here does not count"
            yield Complaint(OVERWRITTEN, pointer_to(*path), message)


def _is_inside(pointer: str, places: Collection[str]) -> bool:
    return any(pointer == place or pointer.startswith(f"{place}/") for place in places)
