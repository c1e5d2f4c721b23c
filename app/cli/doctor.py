"""`callboard doctor`: a look at the machine and at what the configuration asks of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click
from rich.text import Text

from app.cli import doctor_machine as machine
from app.cli.doctor_checks import Check, fail, ok, warn
from app.cli.doctor_database import database
from app.cli.doctor_reach import reachability
from app.cli.examples import examples
from app.cli.options import Configuration, data_options, json_option
from app.cli.output import is_terminal, note, print_json, print_table
from app.errors import ConfigError
from app.scm.git_remote import GitRemote
from app.settings import Settings, read_settings

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@click.command(
    epilog=examples(
        "callboard doctor",
        "callboard doctor --config app-config.production.yaml --json",
    )
)
@click.option("--offline", is_flag=True, help="Ask no other host, except that of the database.")
@json_option
@data_options
def doctor(*, configuration: Configuration, offline: bool, as_json: bool) -> None:
    """Look for what may be wrong, and say what to do about it.

    Looks at Python and its packages, the configuration, the data directory, the database, the port,
    the clock, limits, and whether what the configuration names can be reached. Nothing is changed.

    Exit codes: 0 nothing stands in the way, 1 something does, 2 called wrongly.
    """
    checks = list(examine(configuration, offline=offline))
    if as_json:
        print_json(
            [
                {"check": c.name, "status": c.status, "found": c.found, "advice": c.advice or None}
                for c in checks
            ]
        )
    else:
        rows = ([Text(c.status, _STYLES[c.status]), c.name, c.found, c.advice] for c in checks)
        print_table(["", "check", "found", "what to do"], rows)
    failed = sum(check.status == "fail" for check in checks)
    if is_terminal() and not as_json:
        note(f"{failed} of {len(checks)} checks failed" if failed else "Nothing stands in the way.")
    if failed:
        raise click.exceptions.Exit(1)


def examine(configuration: Configuration, *, offline: bool = False) -> Iterator[Check]:
    """Make all checks; without a configuration that can be read, those that need none."""
    yield from machine.python()
    yield from machine.open_files()
    try:
        config = configuration.load()
        settings = read_settings(config)
    except ConfigError as error:
        for line in str(error).splitlines():
            yield fail("configuration", line, "Mend it, then run the doctor again")
        return
    files = ", ".join(config.files) or "no files, only defaults"
    yield ok("configuration", files)
    for line in (*settings.warnings, *settings.notices):
        yield warn("configuration", line, "Nothing, if it is meant")
    parts: tuple[Callable[[Settings], Iterator[Check]], ...] = (
        machine.data_directory,
        database,
        machine.port,
        ssh,
        *(() if offline else (reachability,)),
    )
    for part in parts:
        yield from part(settings)


def ssh(settings: Settings) -> Iterator[Check]:
    """Look for the one program that sources may need."""
    if not any(map(_is_ssh, _urls(settings.catalog.providers))):
        return
    found = shutil.which("ssh")
    if found:
        yield ok("ssh", found)
    else:
        yield fail("ssh", "not installed", "Install it, or use https addresses of repositories")


def _urls(value: Any) -> Iterator[str]:
    """Find what stands under `url` in the settings of providers."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "url" and isinstance(inner, str):
                yield inner
            else:
                yield from _urls(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _urls(inner)


def _is_ssh(url: str) -> bool:
    try:
        return GitRemote.parse(url).scheme == "ssh"
    except ConfigError:
        return False
