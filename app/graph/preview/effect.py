"""The effect of changed files as it is told: entities, relations, owners, names and problems.

Made of what a rehearsal found; nothing is asked of the graph here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from app.catalog.emission import Flaw
from app.catalog.processing import LOCATION
from app.graph.preview.differences import Difference, differences
from app.graph.preview.given_files import place_of
from app.graph.preview.rehearsed import Rehearsed, known_as
from app.graph.preview.store import EdgeRow

OWNED_BY = "ownedBy"
Operation = Literal["create", "update", "delete"]
ProblemKind = Literal["conflict", "rule", "invalid", "unreadable"]
# What every writing sets anew says nothing about a change.
_SET_ANEW = ("uid", "etag")


@dataclass(frozen=True, slots=True)
class EntityEffect:
    """An entity that is added, changed or removed; `location` is where it is or was found."""

    ref: str
    operation: Operation
    location: str
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class RelationEffect:
    """A relation that is added or removed, as its source's author writes it."""

    source: str
    type: str
    target: str


@dataclass(frozen=True, slots=True)
class OwnershipEffect:
    """An entity that was owned before, by whom, and by whom it is after. Lost if by nobody."""

    ref: str
    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def is_lost(self) -> bool:
        """Tell whether nobody owns it any more."""
        return not self.after


@dataclass(frozen=True, slots=True)
class EffectProblem:
    """Something wrong: where, what with, and whether it was so before."""

    kind: ProblemKind
    name: str
    message: str
    location: str
    line: int
    column: int
    pointer: str
    ref: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class Effect:
    """What applying the files would change. `hidden` counts entities that the caller may not see.

    `unknown` are files that nothing reads: they count as registered, but for those in `skipped`.
    """

    entities: tuple[EntityEffect, ...]
    added: tuple[RelationEffect, ...]
    removed: tuple[RelationEffect, ...]
    dangling: tuple[RelationEffect, ...]
    ownership: tuple[OwnershipEffect, ...]
    problems: tuple[EffectProblem, ...]
    unknown: tuple[str, ...]
    skipped: tuple[str, ...]
    hidden: int = 0

    def count(self, operation: Operation) -> int:
        """Count the entities that are created, updated or deleted."""
        return sum(entity.operation == operation for entity in self.entities)


def effect_of(found: Rehearsed, hides: Callable[[set[str]], set[str]]) -> Effect:
    """Tell what a rehearsal found, without the entities, there already, that `hides` names."""
    before, after = _parsed(found.before), _parsed(found.after)
    edges = found.edges_before | found.edges_after
    there = {*before, *(end for edge in edges for end in (edge.origin, edge.target))} - (
        after.keys() - before.keys()
    )
    hidden = hides(there)
    operations = _operations(found)
    entities = [
        _entity(ref, operation, before.get(ref), after.get(ref))
        for ref, operation in operations.items()
        if ref not in hidden
    ]
    added = _without_state(found.edges_after) - _without_state(found.edges_before)
    removed = _without_state(found.edges_before) - _without_state(found.edges_after)
    dangling = _dangling(found.edges_after) - _dangling(found.edges_before)

    def shown(relations: Iterable[RelationEffect]) -> tuple[RelationEffect, ...]:
        seen = (r for r in relations if r.source not in hidden and r.target not in hidden)
        return tuple(sorted(seen, key=lambda r: (r.source, r.type, r.target)))

    return Effect(
        tuple(sorted(entities, key=lambda entity: entity.ref)),
        shown(added),
        shown(removed),
        shown(dangling),
        tuple(o for o in _ownership(found, after.keys()) if o.ref not in hidden),
        tuple(_problems(found)),
        tuple(found.unknown),
        tuple(found.skipped),
        len(hidden & operations.keys()),
    )


def _parsed(documents: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    return {ref: orjson.loads(document) for ref, document in documents.items()}


def _operations(found: Rehearsed) -> dict[str, Operation]:
    """Answer what becomes of each entity in the end."""
    operations = dict[str, Operation]()
    for change in found.changes:
        is_there, was_there = change.ref in found.after, change.ref in found.before
        if is_there:
            operations[change.ref] = "update" if was_there else "create"
        elif was_there:
            operations[change.ref] = "delete"
    return operations


def _entity(
    ref: str,
    operation: Operation,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> EntityEffect:
    place = ((after or before or {}).get("metadata", {}).get("annotations") or {}).get(LOCATION)
    changed = differences(_own(before), _own(after)) if before and after else ()
    return EntityEffect(ref, operation, str(place or ""), tuple(changed))


def _own(data: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is told elsewhere or says nothing."""
    metadata = {k: v for k, v in data["metadata"].items() if k not in _SET_ANEW}
    return {**{k: v for k, v in data.items() if k != "relations"}, "metadata": metadata}


def _without_state(edges: set[EdgeRow]) -> set[RelationEffect]:
    return {RelationEffect(edge.origin, edge.type, edge.target) for edge in edges}


def _dangling(edges: set[EdgeRow]) -> set[RelationEffect]:
    return _without_state({edge for edge in edges if edge.is_dangling})


def _ownership(found: Rehearsed, there: Iterable[str]) -> Iterator[OwnershipEffect]:
    """Yield whose owners change; an owner without an entity owns nothing."""
    before, after = _owners(found.edges_before), _owners(found.edges_after)
    gone = found.before.keys() - set(there)
    for ref in sorted(before):
        now = after.get(ref, ())
        if ref not in gone and before[ref] != now:
            yield OwnershipEffect(ref, before[ref], now)


def _owners(edges: set[EdgeRow]) -> dict[str, tuple[str, ...]]:
    owners = dict[str, list[str]]()
    for edge in sorted(edges):
        if edge.type == OWNED_BY and not edge.is_dangling:
            owners.setdefault(edge.origin, []).append(edge.target)
    return {ref: tuple(targets) for ref, targets in owners.items()}


def _problems(found: Rehearsed) -> Iterator[EffectProblem]:
    told = set[tuple[str, bytes]]()
    ordered = sorted(found.flaws, key=lambda flaw: (flaw.problem.location, flaw.problem.line))
    for flaw in ordered:
        problem, error = flaw.problem, orjson.dumps(flaw.error)
        if (problem.place, error) in told:
            continue
        told.add((problem.place, error))
        yield EffectProblem(
            _kind(flaw, found.files),
            problem.name,
            problem.message,
            problem.location,
            problem.line,
            problem.column,
            problem.pointer,
            problem.ref,
            known_as(flaw) not in found.known_flaws,
        )


def _kind(flaw: Flaw, files: Mapping[str, bytes | None]) -> ProblemKind:
    problem = flaw.problem
    if problem.name == "ConflictError" and problem.ref:
        return "conflict"
    if problem.name == "NotAllowedError" and problem.pointer == "/kind":
        return "rule"
    given = files.get(place_of(problem.location)) if problem.location else None
    is_about_content = problem.line or problem.pointer or problem.ref
    return "invalid" if is_about_content or given is not None else "unreadable"
