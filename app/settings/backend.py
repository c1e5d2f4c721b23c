"""`backend`: the address, CORS, what may be read from the web, and the sections below it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from marshmallow import ValidationError, fields

from app.settings.access import BackendAuthSchema, BackendAuthSettings
from app.settings.database import DatabaseSchema, WrittenDatabase
from app.settings.fields import (
    Duration,
    Flag,
    Items,
    Text,
    Texts,
    TextTable,
    Url,
    Whole,
    between,
    one_of,
)
from app.settings.section import Section

_ADDRESS = re.compile(r"(?:(?P<host>\[[0-9a-fA-F:.]+\]|[^:\[\]]*):)?(?P<port>\d{1,5})\Z", re.ASCII)
_MAX_PORT = 65_535
_HOST = re.compile(r"(?:\*\.)?[^*:/\s]+(?::\d{1,5}(?:-\d{1,5})?)?\Z", re.ASCII)
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """Where the server listens. None stands for the host that suits `backend.baseUrl`."""

    port: int
    host: str | None = None


@dataclass(frozen=True, slots=True)
class CorsSettings:
    """`backend.cors`; what is None is left to the defaults of the CORS rules."""

    origin: tuple[str, ...] | None = None
    methods: tuple[str, ...] | None = None
    allowed_headers: tuple[str, ...] | None = None
    exposed_headers: tuple[str, ...] | None = None
    credentials: bool | None = None
    max_age: int | None = None
    preflight_continue: bool | None = None
    options_success_status: int | None = None


@dataclass(frozen=True, slots=True)
class ReadingRule:
    """A host (`example.com`, `*.example.com`, with a port or not) that may be read from.

    `paths` None allows all; otherwise a path equals one of them or lies below it.
    """

    host: str
    paths: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class LifecycleSettings:
    """How long requests wait for the start, and how long a stopping server keeps answering."""

    startup_request_pause_timeout: timedelta
    server_shutdown_delay: timedelta


@dataclass(frozen=True, slots=True)
class WrittenBackend:
    """`backend` as it was written; `app.settings.read` settles what depends on other sections."""

    base_url: str | None
    listen: ListenSettings
    cors: CorsSettings | None
    database: WrittenDatabase
    reading: tuple[ReadingRule, ...]
    auth: BackendAuthSettings
    health_headers: Mapping[str, str]
    rate_limit: Any
    lifecycle: LifecycleSettings
    log_level: str | None


class ListenSchema(Section):
    """An object, `":7007"`, `"host:port"`, or a port. A text without a host means every address."""

    model = ListenSettings

    host = Text(load_default=None)
    port = Whole(required=True, validate=between(0, _MAX_PORT))

    def expand(self, data: Any) -> Any:
        """Take a text apart."""
        if not isinstance(data, (str, int)) or isinstance(data, bool):
            return data
        found = _ADDRESS.match(str(data).strip())
        if not found or int(found["port"]) > _MAX_PORT:
            raise ValidationError("wanted <port> or <host>:<port>")
        host = (found["host"] or "").strip("[]")
        return {"host": host or "0.0.0.0", "port": int(found["port"])}  # noqa: S104 (as asked)


class CorsSchema(Section):
    """Backstage's `backend.cors`."""

    model = CorsSettings

    origin = Texts()
    methods = Texts()
    allowed_headers = Texts(data_key="allowedHeaders")
    exposed_headers = Texts(data_key="exposedHeaders")
    credentials = Flag()
    max_age = Whole(data_key="maxAge")
    preflight_continue = Flag(data_key="preflightContinue")
    options_success_status = Whole(data_key="optionsSuccessStatus", validate=between(200, 599))


def _host_pattern(value: str) -> None:
    if not _HOST.match(value):
        raise ValidationError(
            "wanted a host such as example.com, *.example.com or example.com:8080"
        )


class ReadingRuleSchema(Section):
    """One entry of `backend.reading.allow`."""

    model = ReadingRule

    host = Text(required=True, validate=_host_pattern)
    paths = Items(Text(), load_default=None)


class ReadingSchema(Section):
    """`backend.reading`."""

    model = dict

    allow = Items(fields.Nested(ReadingRuleSchema), load_default=())

    def build(self, data: Mapping[str, Any]) -> tuple[ReadingRule, ...]:
        """Keep only the rules."""
        rules: tuple[ReadingRule, ...] = data["allow"]
        return rules


def _header_names(value: Mapping[str, str]) -> None:
    wrong = {name: ["not a possible header name"] for name in value if not _HEADER.match(name)}
    if wrong:
        raise ValidationError(wrong)


class HealthSchema(Section):
    """`backend.health`."""

    model = dict

    headers = TextTable(load_default=dict, validate=_header_names)

    def build(self, data: Mapping[str, Any]) -> Mapping[str, str]:
        """Keep only the headers."""
        headers: Mapping[str, str] = data["headers"]
        return headers


class LifecycleSchema(Section):
    """`backend.lifecycle`."""

    model = LifecycleSettings

    startup_request_pause_timeout = Duration(data_key="startupRequestPauseTimeout", required=True)
    server_shutdown_delay = Duration(data_key="serverShutdownDelay", required=True)


class BackendLoggerSchema(Section):
    """`backend.logger`, of which the level counts where `callboard.logging.level` is not set."""

    model = dict
    ignored = frozenset({"meta", "overrides"})

    level = Text(load_default=None, validate=one_of("debug", "info", "warn", "error"))

    def build(self, data: Mapping[str, Any]) -> str | None:
        """Keep only the level."""
        level: str | None = data["level"]
        return level


class BackendSchema(Section):
    """`backend`."""

    model = WrittenBackend
    ignored = frozenset(
        {"actions", "auditor", "cache", "csp", "https", "metrics", "packages", "plugins"}
        | {"referrer", "server", "tracing", "trustProxy", "workingDirectory"}
    )

    base_url = Url(data_key="baseUrl", load_default=None)
    listen = fields.Nested(ListenSchema, required=True)
    cors = fields.Nested(CorsSchema, load_default=None)
    database = fields.Nested(DatabaseSchema, required=True)
    reading = fields.Nested(ReadingSchema, load_default=())
    auth = fields.Nested(BackendAuthSchema, required=True)
    health_headers = fields.Nested(HealthSchema, data_key="health", load_default=dict)
    rate_limit = fields.Raw(data_key="rateLimit", load_default=None)
    lifecycle = fields.Nested(LifecycleSchema, required=True)
    log_level = fields.Nested(BackendLoggerSchema, data_key="logger", load_default=None)
