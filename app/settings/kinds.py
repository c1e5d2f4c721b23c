"""`catalog.kinds`: kinds of entities beyond Backstage's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from marshmallow import ValidationError, fields

from app.settings.fields import Items, Table, Text, Texts
from app.settings.section import Section

_KIND = re.compile(r"[a-zA-Z][a-zA-Z0-9]{0,62}\Z", re.ASCII)
_API_VERSION = re.compile(r"(?:[a-z0-9.-]{1,253}/)?[a-zA-Z0-9-]{1,63}\Z", re.ASCII)
_PATH = re.compile(r"spec(?:\.[A-Za-z0-9_-]+)+\Z", re.ASCII)
_RELATION = re.compile(r"[a-zA-Z][a-zA-Z0-9]{0,62}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class RelationRule:
    """References in `field` become relations: `type` on this entity, `reverse` on the other."""

    field: str
    type: str
    reverse: str
    default_kind: str | None = None


@dataclass(frozen=True, slots=True)
class CustomKind:
    """A kind, its apiVersions, the JSON Schema its entities are held to, and its relations."""

    kind: str
    api_versions: tuple[str, ...]
    schema: Mapping[str, Any] = field(default_factory=dict)
    relations: tuple[RelationRule, ...] = ()


def _fits(pattern: re.Pattern[str], wanted: str) -> Any:
    def check(value: str) -> None:
        if not pattern.match(value):
            raise ValidationError(f"wanted {wanted}")

    return check


def _api_versions(values: tuple[str, ...]) -> None:
    if not values or not all(map(_API_VERSION.match, values)):
        raise ValidationError("wanted one or more of the form example.com/v1")


class RelationRuleSchema(Section):
    """One entry of `relations`."""

    model = RelationRule

    field = Text(required=True, validate=_fits(_PATH, "a path below spec, such as spec.owner"))
    type = Text(required=True, validate=_fits(_RELATION, "a name such as ownedBy"))
    reverse = Text(required=True, validate=_fits(_RELATION, "a name such as ownerOf"))
    default_kind = Text(
        data_key="defaultKind", load_default=None, validate=_fits(_KIND, "the name of a kind")
    )


class CustomKindSchema(Section):
    """One entry of `catalog.kinds`."""

    model = CustomKind

    kind = Text(required=True, validate=_fits(_KIND, "letters and digits, at most 63"))
    api_versions = Texts(data_key="apiVersions", required=True, validate=_api_versions)
    schema = Table(load_default=dict)
    relations = Items(fields.Nested(RelationRuleSchema), load_default=())
