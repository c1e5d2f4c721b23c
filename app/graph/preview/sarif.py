"""The effect of changed files as SARIF 2.1.0: what is wrong, for tools that show it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
RULES: Mapping[str, tuple[str, str]] = {
    "invalid": ("error", "Catalog files hold valid entities."),
    "rule": ("error", "A place holds entities of kinds that are allowed there."),
    "unreadable": ("error", "What a Location names can be read."),
    "conflict": ("error", "An entity is described in one place."),
    "ownership": ("warning", "An entity keeps an owner."),
    "dangling": ("warning", "What is referred to exists."),
}
Place = Callable[[str], str]


def effect_sarif(effect: Mapping[str, Any], release: str, place: Place = str) -> dict[str, Any]:
    """Write the JSON of an effect as the log of one run; `place` makes URIs of locations."""
    ids = list(RULES)
    rules = [
        {"id": rule, "shortDescription": {"text": text}, "defaultConfiguration": {"level": level}}
        for rule, (level, text) in RULES.items()
    ]
    results = [
        {
            "ruleId": rule,
            "ruleIndex": ids.index(rule),
            "level": RULES[rule][0],
            "message": {"text": message},
            **({"locations": [{"physicalLocation": where}]} if where else {}),
        }
        for rule, message, where in _results(effect, place)
    ]
    driver = {"name": "callboard preview", "version": release, "rules": rules}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _results(effect: Mapping[str, Any], place: Place) -> Iterator[tuple[str, str, Any]]:
    places = {entity["ref"]: entity["location"] for entity in effect["entities"]}
    for problem in effect["problems"]:
        if problem["isNew"]:
            where = _physical(problem["location"], place, problem["line"], problem["column"])
            yield problem["kind"], problem["message"], where
    for change in effect["ownership"]:
        if change["isLost"]:
            owners = ", ".join(change["before"])
            message = f"{change['ref']} loses its owner, which was {owners}"
            yield "ownership", message, _physical(places.get(change["ref"], ""), place)
    for relation in effect["dangling"]:
        message = f"{relation['source']} refers to {relation['target']}, which does not exist"
        yield "dangling", message, _physical(places.get(relation["source"], ""), place)


def _physical(
    location: str, place: Place, line: int | None = None, column: int | None = None
) -> Mapping[str, Any] | None:
    if not location:
        return None
    region = {"startLine": line or 1, **({"startColumn": column} if column else {})}
    return {"artifactLocation": {"uri": place(location)}, "region": region}
