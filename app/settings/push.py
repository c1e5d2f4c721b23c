"""`callboard.push`: which sources may push their entities, and who may do so in their name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from marshmallow import Schema, ValidationError, fields

from app.settings.catalog import AllowedKind, AllowedKindSchema, MassRemoval, MassRemovalSchema
from app.settings.fields import Items, Table, Whole, Words, between
from app.settings.section import Section

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class PushSource:
    """One source. Without `subjects` nobody may push; `mass_removal` of None is the catalog's."""

    subjects: tuple[str, ...]
    allow: tuple[AllowedKind, ...]
    max_entities: int
    max_bytes: int
    mass_removal: MassRemoval | None


@dataclass(frozen=True, slots=True)
class PushSettings:
    """`callboard.push`: sources by their names."""

    sources: Mapping[str, PushSource] = field(default_factory=dict)


class PushSourceSchema(Section):
    """One entry of `callboard.push.sources`."""

    model = PushSource

    subjects = Words(load_default=())
    allow = Items(fields.Nested(AllowedKindSchema), load_default=())
    max_entities = Whole(
        data_key="maxEntities", load_default=50_000, validate=between(1, 1_000_000)
    )
    max_bytes = Whole(
        data_key="maxBytes", load_default=64 * 1024 * 1024, validate=between(1, 1 << 30)
    )
    mass_removal = fields.Nested(MassRemovalSchema, data_key="massRemoval", load_default=None)


class PushSourcesSchema(Section):
    """The entries by the names that the operator gave them."""

    model = dict

    def variants(self, data: Mapping[str, Any]) -> Mapping[str, Schema]:
        """Know the form of every entry."""
        return {str(name): PushSourceSchema() for name in data}


class PushSchema(Section):
    """`callboard.push`."""

    model = PushSettings

    sources = Table(load_default=dict)

    def variants(self, data: Mapping[str, Any]) -> Mapping[str, Schema]:
        """Look into the entries."""
        return {"sources": PushSourcesSchema()} if "sources" in data else {}

    def build(self, data: Mapping[str, Any]) -> PushSettings:
        """Read every entry, so that every mistake is told."""
        found, wrong = dict[str, PushSource](), dict[str, Any]()
        for name, entry in data["sources"].items():
            if not _NAME.fullmatch(str(name)):
                wrong[name] = ["a name has letters, digits, dots, dashes and underscores, up to 63"]
                continue
            try:
                found[name] = PushSourceSchema().load({} if entry is None else entry)
            except ValidationError as error:
                wrong[name] = error.messages
        if wrong:
            raise ValidationError({"sources": wrong})
        return PushSettings(found)
