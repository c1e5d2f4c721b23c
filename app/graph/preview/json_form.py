"""The effect of changed files as JSON: what the API answers and all other forms are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from app.graph.preview.differences import Difference
from app.graph.preview.effect import Effect, EffectProblem, EntityEffect, RelationEffect

# Longer values are left out: somebody reads this.
LONGEST_VALUE = 1000
# What may be held against a change, and what counts as which.
ERRORS = frozenset({"invalid", "rule", "unreadable"})
CONCERNS = ("errors", "conflicts", "ownership", "dangling", "removed")


def effect_json(effect: Effect) -> dict[str, Any]:
    """Write an effect."""
    written: dict[str, Any] = {
        "entities": [_entity(entity) for entity in effect.entities],
        "relations": {"added": _relations(effect.added), "removed": _relations(effect.removed)},
        "dangling": _relations(effect.dangling),
        "ownership": [
            {"ref": o.ref, "before": o.before, "after": o.after, "isLost": o.is_lost}
            for o in effect.ownership
        ],
        "problems": [_problem(problem) for problem in effect.problems],
        "files": {"unknown": effect.unknown, "skipped": effect.skipped},
    }
    counts = {
        "created": effect.count("create"),
        "updated": effect.count("update"),
        "deleted": effect.count("delete"),
        "hidden": effect.hidden,
    }
    return {"summary": {**counts, **concerns(written)}, **written}


def concerns(effect: Mapping[str, Any]) -> dict[str, int]:
    """Count what may be held against a change; what was wrong before is not."""
    new = [problem["kind"] for problem in effect["problems"] if problem["isNew"]]
    return {
        "errors": sum(kind in ERRORS for kind in new),
        "conflicts": new.count("conflict"),
        "ownership": sum(change["isLost"] for change in effect["ownership"]),
        "dangling": len(effect["dangling"]),
        "removed": sum(entity["operation"] == "delete" for entity in effect["entities"]),
    }


def _entity(entity: EntityEffect) -> dict[str, Any]:
    return {
        "ref": entity.ref,
        "operation": entity.operation,
        "location": entity.location,
        "changes": [_change(difference) for difference in entity.differences],
    }


def _change(difference: Difference) -> dict[str, Any]:
    written: dict[str, Any] = {"pointer": difference.pointer, "operation": difference.operation}
    for name, value in (("before", difference.before), ("after", difference.after)):
        is_long = len(orjson.dumps(value)) > LONGEST_VALUE
        written[name] = None if is_long else value
        if is_long:
            written["isLong"] = True
    return written


def _relations(relations: Iterable[RelationEffect]) -> list[dict[str, str]]:
    return [{"source": r.source, "type": r.type, "target": r.target} for r in relations]


def _problem(problem: EffectProblem) -> dict[str, Any]:
    return {
        "kind": problem.kind,
        "name": problem.name,
        "message": problem.message,
        "location": problem.location,
        "line": problem.line or None,
        "column": problem.column or None,
        "pointer": problem.pointer,
        "ref": problem.ref or None,
        "isNew": problem.is_new,
    }
