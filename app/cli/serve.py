"""`callboard serve`: the platform's processes, and where to look once they are ready."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import click
from marshmallow import ValidationError

from app.bootstrap import processes
from app.bootstrap.processes import Role
from app.cli.database import DRIVERS, name_of, reason_of
from app.cli.examples import examples
from app.cli.options import Configuration, data_options
from app.cli.release import release
from app.errors import ServiceUnavailableError
from app.settings import Settings
from app.settings.backend import ListenSchema

_LISTEN = "backend.listen"
_PICK = 'import json, sys; print(json.load(sys.stdin)["backstageIdentity"]["token"])'


@click.command(
    epilog=examples(
        "callboard serve",
        "callboard serve --config app-config.yaml --config app-config.production.yaml",
        "callboard serve --data-dir /var/lib/callboard --host 0.0.0.0 --port 8080",
        "callboard serve --role web --workers 8       (a worker runs elsewhere)",
    )
)
@data_options
@click.option(
    "--role",
    type=click.Choice(["all", "web", "worker"]),
    default="all",
    show_default=True,
    help="What to run: the web processes, the background worker, or both.",
)
@click.option("--host", metavar="HOST", help="The address to listen on, or unix:/path.")
@click.option("--port", type=click.IntRange(0, 65_535), help="The port to listen on.")
@click.option("--workers", type=click.IntRange(1, 256), help="How many web processes to run.")
def serve(
    *,
    configuration: Configuration,
    role: Role,
    host: str | None,
    port: int | None,
    workers: int | None,
) -> None:
    """Run the platform until it is stopped with Ctrl-C or SIGTERM.

    The configuration is checked and the database brought up to date first; if that fails nothing
    is started. SIGHUP replaces the processes one by one.

    Exit codes: 0 it was stopped and ended in order, 1 it could not start or had to be killed, 2 it
    was called wrongly, 78 a process found that it cannot run as configured.
    """
    chosen = configuration.overriding(
        {"callboard.workers": workers, **listen_overrides(configuration, host, port)}
    )
    try:
        code = processes.serve(
            chosen.paths, chosen.overrides, role, on_ready=partial(announce, role=role)
        )
    except DRIVERS as error:
        where = name_of(chosen.settings().backend.database)
        raise ServiceUnavailableError(f"{where}: {reason_of(error)}") from error
    raise click.exceptions.Exit(code)


def listen_overrides(
    configuration: Configuration, host: str | None, port: int | None
) -> Mapping[str, Any]:
    """Override host and port one without the other, also where the file has both in one text."""
    if host is None and port is None:
        return {}
    written = configuration.load().get(_LISTEN)
    if isinstance(written, (str, int)):
        try:
            both = ListenSchema().load(written)  # type: ignore[arg-type] # it takes the text apart
        except ValidationError:
            return {}  # reading the settings will say so, with the place
        host, port = host or both.host, both.port if port is None else port
    return {f"{_LISTEN}.host": host, f"{_LISTEN}.port": port}


def announce(settings: Settings, role: Role = "all") -> None:
    """Say where to look; not where the log is for machines."""
    if settings.callboard.logging.format == "logfmt":
        sys.stdout.write("\n".join(["", *_lines(settings, role), "", ""]))
        sys.stdout.flush()


def _lines(settings: Settings, role: Role) -> Iterator[str]:
    yield f"Callboard {release()} is ready."
    yield ""
    if role != "worker":
        base = _base(settings)
        yield f"  Entities   {base}/api/catalog/entities"
        yield f"  API        {base}/api/catalog/openapi.json"
        yield f"  Health     {base}/.backstage/health/v1/readiness"
        yield f"  Listening  {_address(settings)}"
    yield f"  Data       {name_of(settings.backend.database)}"
    yield ""
    if role != "worker":
        yield from _ways_in(settings, base)
    yield "Stop it with Ctrl-C."


def _ways_in(settings: Settings, base: str) -> Iterator[str]:
    guest = settings.auth.guest
    if settings.backend.auth.is_default_policy_disabled:
        yield "Requests need no token. In another terminal:"
    elif guest and (guest.is_allowed_outside_development or settings.is_development):
        yield f"Requests need a token. As guest ({guest.user}), in another terminal:"
        yield f"  TOKEN=$(curl -s {base}/api/auth/guest/refresh |"
        yield f"    python3 -c '{_PICK}')"
        yield f'  curl -s -H "Authorization: Bearer $TOKEN" "{base}/api/catalog/entities?limit=5"'
        yield "or simply:"
    else:
        yield "Requests need a token of backend.auth.externalAccess. In another terminal:"
    yield f"  callboard query --server {base}"
    yield ""


def _base(settings: Settings) -> str:
    """Answer where a person on this machine finds the API.

    A base URL on this machine may name another port than the server has, if that was given as an
    option; one on another host is that of a proxy, and right.
    """
    base, port = settings.backend.base_url, settings.backend.port
    parts = urlsplit(base)
    is_here = parts.hostname in {"localhost", "::1"} or str(parts.hostname).startswith("127.")
    if not is_here or parts.port == port or not port or settings.backend.host.startswith("unix:"):
        return base
    return f"{parts.scheme}://{parts.hostname}:{port}{parts.path.rstrip('/')}"


def _address(settings: Settings) -> str:
    host, port = settings.backend.host, settings.backend.port
    if host.startswith("unix:"):
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
