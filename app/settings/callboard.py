"""`callboard`: what Backstage has no key for; and the small sections `app`, `permission`, …."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from marshmallow import ValidationError, fields, validates

from app.settings.fields import (
    Duration,
    DurationOrOff,
    Flag,
    Named,
    Text,
    Url,
    Whole,
    between,
    one_of,
)
from app.settings.push import PushSchema, PushSettings
from app.settings.section import Section
from app.settings.webhooks import WebhookSchema, WebhookSettings, check_webhooks

SHORTEST_RUN = timedelta(seconds=1)
Level = Literal["debug", "info", "warn", "error"]


@dataclass(frozen=True, slots=True)
class AppSettings:
    """`app`: the frontend that this backend serves."""

    title: str
    base_url: str


@dataclass(frozen=True, slots=True)
class OrganizationSettings:
    """`organization`."""

    name: str | None


@dataclass(frozen=True, slots=True)
class PermissionSettings:
    """`permission`."""

    is_enabled: bool


@dataclass(frozen=True, slots=True)
class LoggingSettings:
    """`callboard.logging`."""

    format: Literal["logfmt", "json"]
    level: Level


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """How long history is kept; None for ever."""

    changes: timedelta | None
    runs: timedelta | None


@dataclass(frozen=True, slots=True)
class CallboardSettings:
    """`callboard`: processes, where they keep their files, what they log."""

    workers: int
    threads: int
    data_directory: Path
    logging: LoggingSettings
    shutdown_grace: timedelta
    retention: RetentionSettings
    longest_run: timedelta
    webhooks: Mapping[str, WebhookSettings]
    push: PushSettings


class AppSchema(Section):
    """`app`, which belongs to the frontend."""

    model = AppSettings
    is_open = True

    title = Text(required=True)
    base_url = Url(data_key="baseUrl", required=True)


class OrganizationSchema(Section):
    """`organization`."""

    model = OrganizationSettings
    is_open = True

    name = Text(load_default=None)


class PermissionSchema(Section):
    """`permission`, which policy plugins extend."""

    model = PermissionSettings
    is_open = True

    is_enabled = Flag(data_key="enabled", required=True)


class LoggingSchema(Section):
    """`callboard.logging`."""

    model = dict

    format = Text(required=True, validate=one_of("logfmt", "json"))
    level = Text(load_default=None, validate=one_of("debug", "info", "warn", "error"))


class ShutdownSchema(Section):
    """`callboard.shutdown`."""

    model = dict

    grace = Duration(required=True)

    def build(self, data: Mapping[str, Any]) -> timedelta:
        """Keep only the time."""
        grace: timedelta = data["grace"]
        return grace


class RetentionSchema(Section):
    """`callboard.retention`."""

    model = RetentionSettings

    changes = DurationOrOff(required=True)
    runs = DurationOrOff(required=True)


class RunsSchema(Section):
    """`callboard.runs`."""

    model = dict

    longest = Duration(required=True)

    @validates("longest")
    def check_longest(self, longest: timedelta, **_: Any) -> None:
        """Refuse what nothing could be read in."""
        if longest < SHORTEST_RUN:
            raise ValidationError("wanted a duration of a second or more")

    def build(self, data: Mapping[str, Any]) -> timedelta:
        """Keep only the time."""
        longest: timedelta = data["longest"]
        return longest


class CallboardSchema(Section):
    """`callboard`."""

    model = dict

    workers = Whole(required=True, validate=between(1, 256))
    threads = Whole(required=True, validate=between(1, 1024))
    data_directory = Text(data_key="dataDirectory", required=True)
    logging = fields.Nested(LoggingSchema, required=True)
    shutdown_grace = fields.Nested(ShutdownSchema, data_key="shutdown", required=True)
    retention = fields.Nested(RetentionSchema, required=True)
    longest_run = fields.Nested(RunsSchema, data_key="runs", required=True)
    webhooks = Named[WebhookSettings](WebhookSchema, load_default={}, validate=check_webhooks)
    push = fields.Nested(PushSchema, load_default=PushSettings)


def settle_callboard(
    written: Mapping[str, Any], directory: Path, backend_level: str | None
) -> CallboardSettings:
    """Make the data directory absolute, and let the backend's log level stand in for ours."""
    logging = written["logging"]
    level: Any = logging["level"] or backend_level or "info"
    settled = {
        "data_directory": directory / Path(written["data_directory"]).expanduser(),
        "logging": LoggingSettings(logging["format"], level),
    }
    return CallboardSettings(**{**written, **settled})
