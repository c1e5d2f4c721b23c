"""Which server a command calls, and as whom: `--server`, `--token`, and what stands in for them."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from app.cli.options import Configuration, config_option
from app.cli.server import Server
from app.config import load_config
from app.errors import InputError
from app.model.ref import EntityRef
from app.scm.http import open_pool
from app.scm.reading import ReadingLimits

F = TypeVar("F", bound=Callable[..., Any])

token_option = click.option(
    "--token",
    metavar="TOKEN",
    help="What to identify with; without it CALLBOARD_TOKEN, or else the guest's.",
)


def server_options(command: F) -> F:
    """Add `--server`, `--token` and `--config`; the command gets an open `server`."""
    server_option = click.option(
        "--server",
        metavar="URL",
        help="The server to call; without it, backend.baseUrl of the configuration.",
    )

    @functools.wraps(command)
    def with_server(
        *, configuration: Configuration, server: str | None, token: str | None, **given: Any
    ) -> Any:
        address = server or configuration.settings().backend.base_url
        return command(server=open_server(address, token or token_of_environment()), **given)

    return server_option(token_option(config_option(with_server)))  # type: ignore[return-value]


def token_of_environment() -> str:
    """Answer `CALLBOARD_TOKEN`, empty if it is not set."""
    config = load_config([Path(__file__).with_name("client.yaml")])
    return str(config.get("client.token", ""))


def ref_of(text: str) -> EntityRef:
    """Read a ref that was given on the command line."""
    try:
        return EntityRef.parse(text)
    except InputError as error:
        raise click.BadParameter(str(error), param_hint="REF") from error


def entity_path(ref: str, part: str) -> str:
    """Answer where something about an entity is below `/api/graph`."""
    return f"entities/{Server.quoted(str(ref_of(ref)))}/{part}"


def open_server(address: str, token: str = "") -> Server:
    """Prepare to call the server at `address`, its base URL; nothing is sent yet."""
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.username:
        raise click.BadParameter(f"{address!r} is not the URL of a server", param_hint="--server")
    if token and not re.fullmatch(r"[\x21-\x7e]+", token):
        raise click.BadParameter("it holds characters that no token has", param_hint="--token")
    limits = ReadingLimits(connect_timeout=10, read_timeout=60)
    return Server(address.rstrip("/"), open_pool(limits), token)
