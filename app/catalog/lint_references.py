"""Linting references: can they be read, do they name a fitting kind, is there such an entity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.catalog.lint_entities import dotted
from app.catalog.lint_rules import REFERENCE, WRONG_KIND, Complaint
from app.model.json_pointer import pointer_to
from app.model.kinds import BUILTIN_KINDS, Kind
from app.model.processing_error import ProcessingError
from app.model.ref import EntityRef
from app.model.relations import RelationRule, relations_by


@dataclass(frozen=True, slots=True)
class Mention:
    """One reference in an entity: where it stands, what that field is called, what it names."""

    pointer: str
    field: str
    target: EntityRef


def references(kind: Kind, data: Mapping[str, Any]) -> Iterator[Mention | Complaint]:
    """Yield every reference of an entity, and what is wrong with the way it is written."""
    for rule in kind.relations:
        path = ("spec", *rule.field.split("."))
        value = _value_at(data, path)
        items = enumerate(value) if isinstance(value, list) else [(None, value)]
        for index, item in items:
            if isinstance(item, str) and item:
                place = path if index is None else (*path, index)
                yield from _reference(kind, rule, data, place, item)


def _reference(
    kind: Kind, rule: RelationRule, data: Mapping[str, Any], path: tuple[object, ...], item: str
) -> Iterator[Mention | Complaint]:
    alone = {"metadata": data["metadata"], "spec": _nested(rule.field.split("."), item)}
    found = relations_by((rule,), alone)
    if isinstance(found, ProcessingError):
        yield Complaint(REFERENCE, pointer_to(*path), f"{dotted(path)}: {found.message}")
        return
    for relation in found:
        yield Mention(pointer_to(*path), dotted(path), relation.target)
        fitting = _fitting(kind, rule)
        if fitting and relation.target.kind not in fitting:
            wanted = " or a ".join(sorted(name.capitalize() for name in fitting))
            message = f'{dotted(path)} should name a {wanted}, but "{item}" is {relation.target}'
            yield Complaint(WRONG_KIND, pointer_to(*path), message)


def _fitting(kind: Kind, rule: RelationRule) -> frozenset[str]:
    """Answer the kinds that a field of Backstage's own kinds is meant for; none means any."""
    if not rule.default_kind or kind not in BUILTIN_KINDS:
        return frozenset()
    more = {"user"} if rule.type == "ownedBy" else set[str]()
    return frozenset({rule.default_kind.lower()} | more)


def _value_at(value: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _nested(path: list[str], value: Any) -> dict[str, Any]:
    for part in reversed(path):
        value = {part: value}
    return dict(value)
