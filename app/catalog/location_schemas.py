"""The wire names of what the endpoints around locations are asked.

Backstage checks these requests twice: its OpenAPI document says little, and what it lets through is
held to stricter schemas whose complaints are a list of issues, written as JSON into the message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from marshmallow import EXCLUDE, INCLUDE, RAISE, Schema, fields, validate

from app.catalog.location_query import DEFAULT_LIMIT, LocationQuery, first_page, page_at
from app.catalog.registered import OnConflict
from app.catalog.registered_store import RegisteredLocation
from app.errors import InputError
from app.web.issues import Issue, no_variant, unknown_keys, written, wrong_literal, wrong_type

PRESENCES = ("required", "optional")
_YES = re.compile(r"\s*(?:y|yes|true|1|on)\s*", re.IGNORECASE)


class CreateLocationQuery(Schema):
    """The query string of `POST /locations`."""

    dry_run = fields.String(data_key="dryRun", load_default="")
    on_conflict = fields.String(
        data_key="onConflict", load_default=None, validate=validate.OneOf(("refresh", "reject"))
    )


class LocationBody(Schema):
    """The body of `POST /locations`."""

    class Meta(Schema.Meta):
        """What else is there is looked at by `location_spec`."""

        unknown = INCLUDE

    target = fields.String(required=True)
    type = fields.String(required=True)


class LocationInput(Schema):
    """A type and a target, and nothing else."""

    class Meta(Schema.Meta):
        """Nothing but these."""

        unknown = RAISE

    type = fields.String(required=True)
    target = fields.String(required=True)


class LocationsBody(Schema):
    """The body of `POST /locations/by-query`."""

    class Meta(Schema.Meta):
        """Properties that Backstage does not know are no mistake there."""

        unknown = EXCLUDE

    cursor = fields.String(load_default=None, allow_none=False)
    limit = fields.Float(load_default=DEFAULT_LIMIT)
    query = fields.Dict(load_default=None, allow_none=False)


class AnalyzeBody(Schema):
    """The body of `POST /analyze-location`."""

    class Meta(Schema.Meta):
        """The two spellings of Backstage, which looks at neither without a system to search in."""

        unknown = INCLUDE

    catalog_file_name = fields.String(data_key="catalogFileName", load_default=None)
    location = fields.Nested(LocationInput, required=True)


class ValidateBody(Schema):
    """The body of `POST /validate-entity`."""

    class Meta(Schema.Meta):
        """Properties that Backstage does not know are no mistake there."""

        unknown = EXCLUDE

    location = fields.String(required=True)
    entity = fields.Dict(required=True)


@dataclass(frozen=True, slots=True)
class LocationSpec:
    """A location as a caller writes it. Whether it may be missing is told, but means nothing."""

    type: str
    target: str
    presence: str | None = None

    def json(self) -> dict[str, str]:
        """Write it as the answer of a dry run repeats it."""
        presence = {"presence": self.presence} if self.presence else {}
        return {"type": self.type, "target": self.target, **presence}


@dataclass(frozen=True, slots=True)
class HowToCreate:
    """What to do with a new location: only look at it, or what if it is not new."""

    is_dry_run: bool
    on_conflict: OnConflict | None


@dataclass(frozen=True, slots=True)
class ValidateRequest:
    """An entity to look at, and where it is said to come from."""

    entity: Mapping[str, Any]
    location: str


def how_to_create(dry_run: str, on_conflict: OnConflict | None) -> HowToCreate:
    """Read a `CreateLocationQuery`; a yes may be said in several ways, all else is a no."""
    return HowToCreate(_YES.fullmatch(dry_run) is not None, on_conflict)


def location_spec(**given: Any) -> LocationSpec:
    """Make a location of a `LocationBody`; raises `InputError` for what should not be there."""
    issues = list(_issues(given))
    if issues:
        raise _malformed(issues)
    return LocationSpec(given["type"], given["target"], given.get("presence"))


def moved_location(**given: str) -> LocationSpec:
    """Make a location of a `LocationInput`."""
    return LocationSpec(**given)


def locations_query(
    cursor: str | None, limit: float, query: Mapping[str, Any] | None
) -> LocationQuery:
    """Make the request of a page; a cursor brings its own limit and predicate."""
    return first_page(limit, query) if cursor is None else page_at(cursor)


def analyzed_target(location: Mapping[str, str], **given: Any) -> str:
    """Make the target to analyze."""
    name = given.get("catalogFilename", "")
    if not isinstance(name, str):
        raise _malformed([wrong_type("string", name, ["catalogFilename"])])
    return location["target"]


def location_json(location: RegisteredLocation) -> dict[str, str]:
    """Write a location."""
    return {
        "id": location.id,
        "type": location.type,
        "target": location.target,
        "entityRef": location.entity_ref,
    }


def _issues(given: Mapping[str, Any]) -> Iterator[Issue]:
    presence = given.get("presence", "required")
    if presence not in PRESENCES:
        path = ["presence"]
        yield no_variant([[wrong_literal(wanted, presence, path)] for wanted in PRESENCES], path)
    others = [key for key in given if key not in {"type", "target", "presence"}]
    if others:
        yield unknown_keys(others, [])


def _malformed(issues: Sequence[Issue]) -> InputError:
    return InputError(f"Malformed request: {written(issues)}")
