"""`catalog`: what is read, what is allowed, and how much of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from marshmallow import ValidationError, fields

from app.settings.fields import (
    DurationOrOff,
    Flag,
    Items,
    Number,
    Table,
    Text,
    Whole,
    at_least,
    between,
    one_of,
)
from app.settings.kinds import CustomKind, CustomKindSchema
from app.settings.section import Section

_SHORTEST_INTERVAL = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class AllowedKind:
    """A kind, or only those of one `spec.type`; case does not count."""

    kind: str
    spec_type: str | None = None


@dataclass(frozen=True, slots=True)
class LocationMatch:
    """Locations of a type, and of exactly one target or of those that fit a pattern."""

    type: str
    exact: str | None = None
    pattern: str | None = None


@dataclass(frozen=True, slots=True)
class CatalogRule:
    """Kinds that are allowed, everywhere or in some locations."""

    allow: tuple[AllowedKind, ...]
    locations: tuple[LocationMatch, ...] | None = None


@dataclass(frozen=True, slots=True)
class CatalogLocation:
    """A location to read; the target of a `file` is an absolute path."""

    type: str
    target: str


@dataclass(frozen=True, slots=True)
class CatalogLimits:
    """How much of one file is read before it counts as broken."""

    max_file_bytes: int
    max_documents_per_file: int
    max_depth: int
    max_nodes: int
    max_entity_bytes: int


@dataclass(frozen=True, slots=True)
class MassRemoval:
    """A run that would remove more than this share, and this many, of its source stops and asks."""

    share: float
    minimum: int


@dataclass(frozen=True, slots=True)
class CatalogSettings:
    """`catalog`. `rules` hold those of single locations too.

    A `processing_interval` of None turns the regular checks off. `providers` are as written.
    """

    rules: tuple[CatalogRule, ...]
    locations: tuple[CatalogLocation, ...]
    is_readonly: bool
    orphan_strategy: Literal["keep", "delete"]
    orphan_provider_strategy: Literal["keep", "delete"]
    processing_interval: timedelta | None
    default_location_conflict_strategy: Literal["reject", "refresh"]
    kinds: tuple[CustomKind, ...]
    limits: CatalogLimits
    mass_removal: MassRemoval
    providers: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class WrittenLocation:
    """An entry of `catalog.locations` with the kinds that it may hold besides."""

    type: str
    target: str
    rules: tuple[tuple[AllowedKind, ...], ...]


class AllowedKindSchema(Section):
    """`Component`, or `{kind: Component, spec.type: service}`."""

    model = AllowedKind

    kind = Text(required=True)
    spec_type = Text(data_key="spec.type")

    def expand(self, data: Any) -> Any:
        """Take a text for a kind."""
        return {"kind": data} if isinstance(data, str) else data


class LocationMatchSchema(Section):
    """An entry of `locations` in a rule."""

    model = LocationMatch

    type = Text(required=True)
    exact = Text()
    pattern = Text()

    def build(self, data: Mapping[str, Any]) -> LocationMatch:
        """Refuse what cannot be decided."""
        if "exact" in data and "pattern" in data:
            raise ValidationError({"pattern": ["cannot stand beside exact"]})
        return LocationMatch(**data)


class CatalogRuleSchema(Section):
    """An entry of `catalog.rules`."""

    model = CatalogRule

    allow = Items(fields.Nested(AllowedKindSchema), required=True)
    locations = Items(fields.Nested(LocationMatchSchema), load_default=None)


class LocationRuleSchema(Section):
    """An entry of `rules` in a location."""

    model = dict

    allow = Items(Text(), required=True)

    def build(self, data: Mapping[str, Any]) -> tuple[AllowedKind, ...]:
        """Keep only the kinds."""
        return tuple(map(AllowedKind, data["allow"]))


class CatalogLocationSchema(Section):
    """An entry of `catalog.locations`."""

    model = WrittenLocation
    ignored = frozenset({"presence"})

    type = Text(required=True)
    target = Text(required=True)
    rules = Items(fields.Nested(LocationRuleSchema), load_default=())


class CatalogLimitsSchema(Section):
    """`catalog.limits`."""

    model = CatalogLimits

    max_file_bytes = Whole(data_key="maxFileBytes", required=True, validate=at_least(1))
    max_documents_per_file = Whole(
        data_key="maxDocumentsPerFile", required=True, validate=at_least(1)
    )
    max_depth = Whole(data_key="maxDepth", required=True, validate=between(5, 200))
    max_nodes = Whole(data_key="maxNodes", required=True, validate=at_least(100))
    max_entity_bytes = Whole(data_key="maxEntityBytes", required=True, validate=at_least(1))


class MassRemovalSchema(Section):
    """`catalog.massRemoval`."""

    model = MassRemoval

    share = Number(required=True, validate=between(0, 1))
    minimum = Whole(required=True, validate=at_least(0))


class CatalogSchema(Section):
    """`catalog`."""

    model = dict
    ignored = frozenset(
        {"disableDefaultProcessors", "import", "processorOptions", "processors"}
        | {"providerOptions", "scmEvents", "stitchingStrategy"}
    )

    rules = Items(fields.Nested(CatalogRuleSchema), required=True)
    locations = Items(fields.Nested(CatalogLocationSchema), load_default=())
    is_readonly = Flag(data_key="readonly", required=True)
    orphan_strategy = Text(
        data_key="orphanStrategy", required=True, validate=one_of("keep", "delete")
    )
    orphan_provider_strategy = Text(
        data_key="orphanProviderStrategy", required=True, validate=one_of("keep", "delete")
    )
    processing_interval = DurationOrOff(data_key="processingInterval", required=True)
    default_location_conflict_strategy = Text(
        data_key="defaultLocationConflictStrategy",
        required=True,
        validate=one_of("reject", "refresh"),
    )
    kinds = Items(fields.Nested(CustomKindSchema), load_default=())
    limits = fields.Nested(CatalogLimitsSchema, required=True)
    mass_removal = fields.Nested(MassRemovalSchema, data_key="massRemoval", required=True)
    providers = Table(load_default=dict)

    def build(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Check what the entries have to do with each other."""
        names = [(kind.kind.lower(), v) for kind in data["kinds"] for v in kind.api_versions]
        if len(set(names)) < len(names):
            raise ValidationError({"kinds": ["a kind and apiVersion are given twice"]})
        return data


def settle_catalog(
    written: Mapping[str, Any], file_target: Callable[[str], str]
) -> CatalogSettings:
    """Make targets of files absolute with `file_target`, and turn rules of locations general."""
    locations, rules = [], list(written["rules"])
    for entry in written["locations"]:
        target = file_target(entry.target) if entry.type == "file" else entry.target
        locations.append(CatalogLocation(entry.type, target))
        match = LocationMatch(entry.type, exact=target)
        rules += [CatalogRule(allow, (match,)) for allow in entry.rules]
    interval = written["processing_interval"]
    settled = {
        "rules": tuple(rules),
        "locations": tuple(locations),
        "processing_interval": interval and max(interval, _SHORTEST_INTERVAL),
    }
    return CatalogSettings(**{**written, **settled})
