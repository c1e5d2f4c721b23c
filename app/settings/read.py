"""All sections at once: every mistake of a configuration is found before any of it is used."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.config import Config
from app.errors import ConfigError
from app.settings.access import BackendAuthSettings
from app.settings.backend import (
    BackendSchema,
    CorsSettings,
    LifecycleSettings,
    ListenSettings,
    ReadingRule,
    WrittenBackend,
)
from app.settings.callboard import (
    AppSchema,
    AppSettings,
    CallboardSchema,
    CallboardSettings,
    OrganizationSchema,
    OrganizationSettings,
    PermissionSchema,
    PermissionSettings,
    settle_callboard,
)
from app.settings.catalog import CatalogSchema, CatalogSettings, settle_catalog
from app.settings.database import DatabaseSettings, choose_database
from app.settings.integrations import IntegrationsSettings, read_integrations
from app.settings.section import Section, read_section
from app.settings.sign_in import AuthSchema, AuthSettings, GuestSchema

_SECTIONS: Mapping[str, type[Section]] = {
    "app": AppSchema,
    "organization": OrganizationSchema,
    "backend": BackendSchema,
    "auth": AuthSchema,
    "permission": PermissionSchema,
    "catalog": CatalogSchema,
    "callboard": CallboardSchema,
}
_GUEST = "auth.providers.guest"
_OWNED = (*_SECTIONS, "integrations")
_EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 (what an operator's base URL asks for)
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class BackendSettings:
    """`backend`, with nothing left open. `rate_limit` is as written."""

    base_url: str
    host: str
    port: int
    cors: CorsSettings | None
    database: DatabaseSettings
    reading: tuple[ReadingRule, ...]
    auth: BackendAuthSettings
    health_headers: Mapping[str, str]
    rate_limit: Any
    lifecycle: LifecycleSettings


@dataclass(frozen=True, slots=True)
class Settings:
    """Every section Callboard owns.

    `warnings` name keys that mean nothing; `notices` say where something was decided that the
    operator may not expect. Both are ready to be shown. `complaint` words what parts find that read
    their own options: the path of a key and what is wrong, to which it adds the file and the line.
    """

    app: AppSettings
    organization: OrganizationSettings
    backend: BackendSettings
    auth: AuthSettings
    permission: PermissionSettings
    catalog: CatalogSettings
    integrations: IntegrationsSettings
    callboard: CallboardSettings
    is_development: bool
    warnings: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    complaint: Callable[[str, str], str] = field(default="{}: {}".format, repr=False, compare=False)


def read_settings(config: Config) -> Settings:
    """Read every section; raises one `ConfigError` that lists all mistakes, a line for each."""
    read = {name: read_section(config, name, schema()) for name, schema in _SECTIONS.items()}
    if config.get(_GUEST) is not None:
        read[_GUEST] = read_section(config, _GUEST, GuestSchema())
    integrations, mistakes = read_integrations(config)
    mistakes = (
        *(mistake for section in read.values() for mistake in section.mistakes),
        *mistakes,
        *_unset_base_url(config),
    )
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    written = {name: section.value for name, section in read.items()}
    callboard = settle_callboard(
        written["callboard"], config.directory, written["backend"].log_level
    )
    backend, notices = _settle_backend(written["backend"], config, callboard.data_directory)
    return Settings(
        app=written["app"],
        organization=written["organization"],
        backend=backend,
        auth=replace(written["auth"], guest=written.get(_GUEST), raw=config.get("auth", {})),
        permission=written["permission"],
        catalog=settle_catalog(written["catalog"], lambda target: _absolute(target, config)),
        integrations=integrations,
        callboard=callboard,
        is_development=config.is_development,
        warnings=tuple(warning for section in read.values() for warning in section.warnings),
        notices=(*notices, *_unset(config)),
        complaint=config.complaint,
    )


def _settle_backend(
    written: WrittenBackend, config: Config, data_directory: Path
) -> tuple[BackendSettings, tuple[str, ...]]:
    database, unusual = choose_database(written.database, data_directory, config.directory)
    base_url = written.base_url or _derived_base_url(written.listen)
    settings = BackendSettings(
        base_url=base_url,
        host=written.listen.host or _suitable_host(base_url),
        port=written.listen.port,
        cors=written.cors,
        database=database,
        reading=written.reading,
        auth=written.auth,
        health_headers=written.health_headers,
        rate_limit=written.rate_limit,
        lifecycle=written.lifecycle,
    )
    notices = [config.complaint("backend.database", text) for text in unusual]
    if config.get("backend.database.plugin"):
        path = "backend.database.plugin"
        notices.append(config.complaint(path, "ignored, one database serves every plugin"))
    if config.get("backend.https"):
        notices.append(config.complaint("backend.https", "ignored, the server speaks plain HTTP"))
    return settings, tuple(notices)


def _unset_base_url(config: Config) -> Iterator[str]:
    """Refuse to make up a base URL that was meant to be given; one left out is fine."""
    if config.get("backend.baseUrl") is None and config.missing_variables("backend.baseUrl"):
        yield config.complaint("backend.baseUrl", "required")


def _derived_base_url(listen: ListenSettings) -> str:
    host = listen.host if listen.host not in {None, "", _EVERY_ADDRESS, "::"} else "localhost"
    return f"http://[{host}]:{listen.port}" if ":" in str(host) else f"http://{host}:{listen.port}"


def _suitable_host(base_url: str) -> str:
    """Stay on the loopback interface as long as the base URL is only good on this machine."""
    host = urlsplit(base_url).hostname or ""
    is_local = host in {"localhost", "::1"} or host.startswith("127.")
    return _LOOPBACK if is_local else _EVERY_ADDRESS


def _absolute(target: str, config: Config) -> str:
    return os.path.normpath(config.directory / target)


def _unset(config: Config) -> Iterator[str]:
    for path, node in config.unset.items():
        if path.partition(".")[0] in _OWNED:
            verb = "is" if len(node.missing) == 1 else "are"
            yield config.complaint(path, f"left out, {', '.join(node.missing)} {verb} not set")
