"""The edges that an entity's `spec` draws to others (CONTRACT 1.3)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from app.errors import InputError
from app.model.processing_error import ProcessingError
from app.model.ref import DEFAULT_NAMESPACE, EntityRef, split_ref

REVERSE: Mapping[str, str] = {
    forward: backward
    for one, other in (
        ("ownedBy", "ownerOf"),
        ("partOf", "hasPart"),
        ("providesApi", "apiProvidedBy"),
        ("consumesApi", "apiConsumedBy"),
        ("dependsOn", "dependencyOf"),
        ("memberOf", "hasMember"),
        ("childOf", "parentOf"),
    )
    for forward, backward in ((one, other), (other, one))
}


@dataclass(frozen=True, slots=True)
class Relation:
    """An edge from the entity it is found in; the target has the reverse edge."""

    type: str
    target: EntityRef


@dataclass(frozen=True, slots=True)
class RelationRule:
    """Every ref in `spec.<field>` is an edge; dots in `field` lead into objects.

    A ref that names no kind means one of `default_kind`; if that is empty it is a mistake.
    """

    field: str
    type: str
    default_kind: str = ""


class RelationError(Exception):
    """A field that should hold refs does not."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.message = message


_OWNER = RelationRule("owner", "ownedBy", "Group")
_SYSTEM = RelationRule("system", "partOf", "System")
_DEPENDENCIES = (
    RelationRule("dependsOn", "dependsOn"),
    RelationRule("dependencyOf", "dependencyOf"),
)
RULES: Mapping[str, tuple[RelationRule, ...]] = {
    "API": (_OWNER, _SYSTEM),
    "Component": (
        _OWNER,
        RelationRule("subcomponentOf", "partOf", "Component"),
        RelationRule("providesApis", "providesApi", "API"),
        RelationRule("consumesApis", "consumesApi", "API"),
        *_DEPENDENCIES,
        _SYSTEM,
    ),
    "Domain": (_OWNER, RelationRule("subdomainOf", "partOf", "Domain")),
    "Group": (
        RelationRule("parent", "childOf", "Group"),
        RelationRule("children", "parentOf", "Group"),
        RelationRule("members", "hasMember", "User"),
    ),
    "Location": (),
    "Resource": (_OWNER, *_DEPENDENCIES, _SYSTEM),
    "System": (_OWNER, RelationRule("domain", "partOf", "Domain")),
    "Template": (_OWNER,),
    "User": (RelationRule("memberOf", "memberOf", "Group"),),
}


def relations_by(
    rules: Iterable[RelationRule], data: Mapping[str, Any]
) -> list[Relation] | ProcessingError:
    """Answer the edges of an entity in the order of the rules, each once, or the first mistake."""
    spec = data.get("spec")
    if not isinstance(spec, dict):
        return []
    namespace = data["metadata"].get("namespace") or DEFAULT_NAMESPACE
    found: dict[Relation, None] = {}
    for rule in rules:
        value = spec.get(rule.field) if "." not in rule.field else _value_at(spec, rule.field)
        if not value and value != {}:  # an empty object is something to JavaScript
            continue
        for index, item in enumerate(value if isinstance(value, list) else (value,)):
            reads = _relation if item.__class__ is str else _unusual_relation
            try:
                relation = reads(rule.type, rule.default_kind, item, namespace)
            except RelationError as error:
                pointer = f"/spec/{rule.field.replace('.', '/')}"
                pointer += f"/{index}" if isinstance(value, list) else ""
                return ProcessingError(error.name, error.message, pointer)
            found[relation] = None
    return list(found)


@lru_cache(maxsize=65_536)
def _relation(type_: str, default_kind: str, text: str, namespace: str) -> Relation:
    """Read a ref; remembered, since the same owners and systems are named again and again."""
    if not text:
        raise RelationError("Error", "Entity reference must not be empty")
    try:
        kind, found_namespace, name = split_ref(text)
    except InputError as error:
        raise RelationError("TypeError", str(error)) from None
    if kind or default_kind:
        return Relation(
            type_, EntityRef.of(kind or default_kind, found_namespace or namespace, name)
        )
    raise _lacks("kind", text)


def _unusual_relation(type_: str, default_kind: str, item: Any, namespace: str) -> Relation:
    """Read what stands where a ref should: an object of its parts is one too."""
    if not item and not isinstance(item, (dict, list)):
        raise RelationError("Error", "Entity reference must not be empty")
    defaults = {"kind": default_kind, "namespace": namespace, "name": None}
    given = item if isinstance(item, dict) else {}
    parts = {}
    for part, default in defaults.items():
        value = default if given.get(part) is None else given[part]
        if not isinstance(value, str) or not value:
            raise _lacks(part, item)
        parts[part] = value
    return Relation(type_, EntityRef.of(**parts))


def _lacks(part: str, item: Any) -> RelationError:
    shown = json.dumps(item, ensure_ascii=False, separators=(",", ":"))
    hint = ' (e.g. did not start with "component:" or similar)' if part == "kind" else ""
    message = f"Entity reference {shown} had missing or empty {part}{hint}"
    return RelationError("Error", message)


def _value_at(spec: Mapping[str, Any], path: str) -> Any:
    value: Any = spec
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
