"""Conditions of permission decisions: reading them, and holding entities to them (CONTRACT 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.catalog.permission_rules import RULES
from app.catalog.permissions import RESOURCE_TYPE
from app.catalog.reading import Snapshots
from app.errors import InputError
from app.index.index import EntityIndex
from app.model.query import AllOf, AnyOf, Expression, Not
from app.model.ref import EntityRef
from app.web.errors import NamedError
from app.web.issues import (
    MISSING,
    Issue,
    Path,
    empty_list,
    no_variant,
    unknown_keys,
    written,
    wrong_type,
)

MAX_DEPTH = 50
ALLOW, DENY = "ALLOW", "DENY"


@dataclass(frozen=True, slots=True)
class Case:
    """Entities, by refs, and the conditions they are to be held to."""

    id: str
    refs: Sequence[str]
    is_list: bool
    expression: Expression


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides cases by what the catalog holds now."""

    snapshots: Snapshots

    def results(self, cases: Sequence[Case]) -> list[dict[str, Any]]:
        """Answer each case; an entity that does not exist is denied, whatever the conditions.

        Raises `InputError` for what is no entity ref.
        """
        refs = [[str(EntityRef.parse(ref)) for ref in case.refs] for case in cases]

        def matches(index: EntityIndex) -> list[list[bool]]:
            return [
                [one is not None and one in matching for one in index.ids_of(some)]
                for case, some in zip(cases, refs, strict=True)
                for matching in (index.match(case.expression),)
            ]

        with self.snapshots.open() as snapshot:
            found = snapshot.ask(matches)
        return [_result(case, answers) for case, answers in zip(cases, found, strict=True)]


def _result(case: Case, answers: Sequence[bool]) -> dict[str, Any]:
    results = [ALLOW if answer else DENY for answer in answers]
    return {"id": case.id, "result": results if case.is_list else results[0]}


# -- reading --------------------------------------------------------------------------------------


class _WrongShapeError(Exception):
    """Carries what is wrong with the shape of a request."""

    def __init__(self, *issues: Issue) -> None:
        super().__init__()
        self.issues = issues


class _EmptyListError(_WrongShapeError):
    """The one mistake that hides all others."""


def read_cases(body: Any) -> list[Case]:
    """Read the body of `apply-conditions`.

    Raises `InputError`, and Backstage's plain error for a rule that there is not.
    """
    try:
        items = _items(body)
    except _WrongShapeError as error:
        raise InputError(written(error.issues)) from None
    foreign = [item["resourceType"] for item in items if item["resourceType"] != RESOURCE_TYPE]
    if foreign:
        raise InputError(f"Unexpected resource types: {', '.join(foreign)}.")
    return [_case(item) for item in items]


def _case(item: Mapping[str, Any]) -> Case:
    refs = item["resourceRef"]
    is_list = isinstance(refs, list)
    expression = _compile(item["conditions"])
    return Case(item["id"], refs if is_list else [refs], is_list, expression)


def _compile(criteria: Mapping[str, Any]) -> Expression:
    match criteria:
        case {"anyOf": parts}:
            return AnyOf(tuple(map(_compile, parts)))
        case {"allOf": parts}:
            return AllOf(tuple(map(_compile, parts)))
        case {"not": part}:
            return Not(_compile(part))
    rule = RULES.get(criteria["rule"])
    if rule is None:
        raise NamedError(
            "Error",
            f"Permission rule '{criteria['rule']}' does not exist "
            f"for resource type '{RESOURCE_TYPE}'",
        )
    params = criteria.get("params", MISSING)
    issues = [wrong_type("object", MISSING, [])] if params is MISSING else rule.issues(params)
    if issues:
        text = written(issues)
        cause = {"issues": issues, "name": "ZodError", "message": text}
        message = f"Parameters to rule are invalid; caused by {text}"
        raise NamedError("InputError", message, 400, {"cause": cause})
    return rule.expression(params)


def _items(body: Any) -> list[dict[str, Any]]:
    if not isinstance(body, dict):
        raise _WrongShapeError(wrong_type("object", body, []))
    items = body.get("items", MISSING)
    if not isinstance(items, list):
        raise _WrongShapeError(wrong_type("array", items, ["items"]))
    for place, item in enumerate(items):
        _check_item(item, ["items", place])
    return items


def _check_item(item: Any, path: Path) -> None:
    if not isinstance(item, dict):
        raise _WrongShapeError(wrong_type("object", item, path))
    issues = list[Issue]()
    for name in ("id", "resourceType"):
        if not isinstance(item.get(name), str):
            issues.append(wrong_type("string", item.get(name, MISSING), [*path, name]))
    ref = item.get("resourceRef", MISSING)
    if not (isinstance(ref, str) or _is_texts(ref)):
        place = [*path, "resourceRef"]
        text, texts = wrong_type("string", ref, place), wrong_type("array", ref, place)
        issues.append(empty_list(place) if ref == [] else no_variant([[text], [texts]], place))
    if issues:
        raise _WrongShapeError(*issues)
    _check_criteria(item.get("conditions", MISSING), [*path, "conditions"])


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, str) for v in value)


def _check_criteria(value: Any, path: Path, depth: int = 0) -> None:
    """Check the shape of criteria; what is wrong is told as seen by each form they can have."""
    if depth > MAX_DEPTH:
        raise InputError(f"Conditions are nested more than {MAX_DEPTH} levels deep")
    variants = list[Sequence[Issue]]()
    for name in ("anyOf", "allOf", "not", "rule"):
        try:
            _check_form(name, value, path, depth)
        except _EmptyListError:
            raise
        except _WrongShapeError as error:
            variants.append(error.issues)
        else:
            return
    raise _WrongShapeError(no_variant(variants, path))


def _check_form(name: str, value: Any, path: Path, depth: int) -> None:
    if not isinstance(value, dict):
        raise _WrongShapeError(wrong_type("object", value, path))
    given, place = value.get(name, MISSING), [*path, name]
    if name == "rule":
        _check_condition(value, path)
        return
    if given is MISSING and name == "not":
        raise _WrongShapeError(wrong_type("object", given, place))
    if name != "not" and not isinstance(given, list):
        raise _WrongShapeError(wrong_type("array", given, place))
    others = [key for key in value if key != name]
    if others:
        raise _WrongShapeError(unknown_keys(others, path))
    if name == "not":
        _check_criteria(given, place, depth + 1)
        return
    if not given:
        raise _EmptyListError(empty_list(place))
    for number, part in enumerate(given):
        _check_criteria(part, [*place, number], depth + 1)


def _check_condition(value: Mapping[str, Any], path: Path) -> None:
    issues = [
        wrong_type("string", value.get(name, MISSING), [*path, name])
        for name in ("rule", "resourceType")
        if not isinstance(value.get(name), str)
    ]
    params = value.get("params", MISSING)
    if params is not MISSING and not isinstance(params, dict):
        issues.append(wrong_type("object", params, [*path, "params"]))
    if issues:
        raise _WrongShapeError(*issues)
