"""The rules that conditional permission decisions are made of, as expressions over the index.

A decision such as "what they own" is one more condition of a query, never a loop over results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.catalog.permissions import RESOURCE_TYPE
from app.model.query import Expression, Has, In
from app.web.issues import MISSING, Issue, wrong_type

Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a rule: text, or a list of texts; what is listed has to be there."""

    name: str
    description: str
    is_list: bool = False
    is_required: bool = True

    def schema(self) -> dict[str, Any]:
        """Write its JSON Schema."""
        text = {"type": "string"}
        kind = {"type": "array", "items": text} if self.is_list else text
        return {**kind, "description": self.description}

    def issues(self, params: Params) -> Iterator[Issue]:
        """Say what is wrong with its value."""
        value = params.get(self.name, MISSING)
        if value is MISSING and not self.is_required:
            return
        if not isinstance(value, list if self.is_list else str):
            yield wrong_type("array" if self.is_list else "string", value, [self.name])
        elif self.is_list:
            for place, item in enumerate(value):
                if not isinstance(item, str):
                    yield wrong_type("string", item, [self.name, place])


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule by name: what it takes, and which entities it lets pass."""

    name: str
    description: str
    params: tuple[Param, ...]
    expression: Callable[[Params], Expression]

    def issues(self, params: Params) -> list[Issue]:
        """Say what is wrong with parameters."""
        return [issue for param in self.params for issue in param.issues(params)]

    def json(self) -> dict[str, Any]:
        """Write it as the metadata endpoint does."""
        return {
            "name": self.name,
            "description": self.description,
            "resourceType": RESOURCE_TYPE,
            "paramsSchema": {
                "type": "object",
                "properties": {param.name: param.schema() for param in self.params},
                "required": [param.name for param in self.params if param.is_required],
                "additionalProperties": False,
                "$schema": "http://json-schema.org/draft-07/schema#",
            },
        }


def _one_value(path: str, name: str) -> Callable[[Params], Expression]:
    """Make a rule about the field at `path` and the parameter `name`."""

    def expression(params: Params) -> Expression:
        key = f"{path}.{params[name]}".lower()
        return In(key, (params["value"].lower(),)) if "value" in params else Has(key)

    return expression


def _kinds(params: Params) -> Expression:
    return In("kind", tuple(kind.lower() for kind in params["kinds"]))


def _owners(params: Params) -> Expression:
    # Claims are compared as they are written, and relations name their targets in lower case.
    return In("relations.ownedby", tuple(c for c in params["claims"] if c == c.lower()))


def _mark(name: str, text: str) -> tuple[Param, Param]:
    """Make the parameters of a rule about annotations or labels."""
    return (
        Param(name, f"Name of the {text} to match on"),
        Param("value", f"Value of the {text} to match on", is_required=False),
    )


def _property(text: str) -> tuple[Param, Param]:
    """Make the parameters of a rule about a field."""
    return (
        Param("key", f"Property within the entities {text} to match on"),
        Param("value", "Value of the given property to match on", is_required=False),
    )


RULES: Mapping[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "HAS_ANNOTATION",
            "Allow entities with the specified annotation",
            _mark("annotation", "annotation"),
            _one_value("metadata.annotations", "annotation"),
        ),
        Rule(
            "HAS_LABEL",
            "Allow entities with the specified label",
            _mark("label", "label"),
            _one_value("metadata.labels", "label"),
        ),
        Rule(
            "HAS_METADATA",
            "Allow entities with the specified metadata subfield",
            _property("metadata"),
            _one_value("metadata", "key"),
        ),
        Rule(
            "HAS_SPEC",
            "Allow entities with the specified spec subfield",
            _property("spec"),
            _one_value("spec", "key"),
        ),
        Rule(
            "IS_ENTITY_KIND",
            "Allow entities matching a specified kind",
            (Param("kinds", "List of kinds to match at least one of", is_list=True),),
            _kinds,
        ),
        Rule(
            "IS_ENTITY_OWNER",
            "Allow entities owned by a specified claim",
            (
                Param(
                    "claims", "List of claims to match at least one on within ownedBy", is_list=True
                ),
            ),
            _owners,
        ),
    )
}
