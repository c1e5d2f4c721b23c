"""`catalog.rules`: which kinds a location may emit (CONTRACT 1.6).

Rules judge an entity by where its tree of locations began, its origin. They never apply to what a
source emits itself, only to what is read from a location.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.scm.globs import Glob

DEFAULT_KINDS = ("Component", "API", "Location")


@dataclass(frozen=True, slots=True)
class Allowed:
    """A kind that a rule allows, perhaps only with one `spec.type`; compared without case."""

    kind: str
    spec_type: str | None = None

    def admits(self, kind: str, spec_type: object) -> bool:
        """Tell whether an entity of this kind and type passes."""
        if kind.lower() != self.kind.lower():
            return False
        if self.spec_type is None:
            return True
        return isinstance(spec_type, str) and spec_type.lower() == self.spec_type.lower()


@dataclass(frozen=True, slots=True)
class Place:
    """Locations a rule is limited to: one `exact` target, or those that match `pattern`."""

    type: str
    exact: str | None = None
    pattern: Glob | None = None

    def holds(self, location_type: str, target: str) -> bool:
        """Tell whether a location is among them."""
        if location_type != self.type:
            return False
        if self.exact is not None and target != self.exact:
            return False
        return self.pattern is None or self.pattern.matches(target)


@dataclass(frozen=True, slots=True)
class Rule:
    """Kinds that may come from some places, or from anywhere if `places` is None."""

    allow: tuple[Allowed, ...]
    places: tuple[Place, ...] | None = None


DEFAULT_RULES = (Rule(tuple(Allowed(kind) for kind in DEFAULT_KINDS)),)


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of a configuration; one that admits suffices."""

    rules: Sequence[Rule] = DEFAULT_RULES

    def admit(self, data: Mapping[str, Any], origin: str) -> bool:
        """Tell whether the entity may come from `origin`, a location ref (`url:https://…`)."""
        location_type, _, target = origin.partition(":")
        spec = data.get("spec")
        spec_type = spec.get("type") if isinstance(spec, dict) else None
        return any(
            any(allowed.admits(str(data.get("kind")), spec_type) for allowed in rule.allow)
            and (
                rule.places is None
                or any(place.holds(location_type, target) for place in rule.places)
            )
            for rule in self.rules
        )
