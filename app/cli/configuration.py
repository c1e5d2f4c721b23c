"""`callboard check-config`: the configuration read as strictly as can be, and shown if asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import click
from rich.text import Text

from app.bootstrap.catalog import configured_sources, join_catalog
from app.bootstrap.providers import provider_warnings
from app.cli.config_text import config_lines, origins
from app.cli.examples import examples
from app.cli.options import Configuration, config_option, json_option
from app.cli.output import console, is_terminal, note, print_json
from app.config import Config
from app.db.engine import open_database
from app.errors import CallboardError, ConfigError
from app.plugins import discover
from app.settings import Settings, read_settings


@dataclass(slots=True)
class Checked:
    """What there is to say: mistakes stop a start, warnings are mistakes here, notices are not."""

    mistakes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Tell whether nothing has to be mended."""
        return not (self.mistakes or self.warnings)


@click.command(
    "check-config",
    epilog=examples(
        "callboard check-config",
        "callboard check-config --config app-config.yaml --config app-config.production.yaml",
        "callboard check-config --print",
    ),
)
@click.option(
    "--print",
    "show",
    is_flag=True,
    help="Show the merged configuration, secrets masked, and where each value comes from.",
)
@json_option
@config_option
def check_config(*, configuration: Configuration, show: bool, as_json: bool) -> None:
    """Check the configuration without starting anything.

    All mistakes are listed, with the path of the key, the file and the line. What serve would only
    warn of, such as a key that nobody knows, counts as a mistake here.
    """
    config: Config | None = None
    checked = Checked()
    try:
        config = configuration.load()
    except ConfigError as error:
        checked.mistakes += str(error).splitlines()
    else:
        checked = check(config)
    if as_json:
        print_json(_as_json(checked, config, show=show))
    else:
        if show and config is not None:
            _print(config)
        _report(checked, config)
    if not checked.is_good:
        raise click.exceptions.Exit(1)


def check(config: Config) -> Checked:
    """Find all that is wrong with a configuration whose files could be read."""
    try:
        settings = read_settings(config)
    except ConfigError as error:
        return Checked(mistakes=str(error).splitlines())
    checked = Checked(warnings=list(settings.warnings), notices=list(settings.notices))
    try:
        catalog = join_catalog(settings, open_database("sqlite://"))
        configured_sources(settings, catalog.processor.readers)
    except CallboardError as error:
        checked.mistakes += str(error).splitlines()
    checked.warnings += provider_warnings(settings)
    checked.notices += _unknown_providers(config, settings)
    return checked


def _unknown_providers(config: Config, settings: Settings) -> Iterator[str]:
    known = {p.id for p in discover("ingestors", group="callboard.ingestors")}
    for name in settings.catalog.providers:
        if name not in known:
            yield config.complaint(
                f"catalog.providers.{name}", "ignored, there is no such ingestor"
            )


def _as_json(checked: Checked, config: Config | None, *, show: bool) -> Mapping[str, Any]:
    shown = {"config": config.redacted(), "origins": origins(config)} if show and config else {}
    return {
        "ok": checked.is_good,
        "files": list(config.files) if config else [],
        "mistakes": checked.mistakes,
        "warnings": checked.warnings,
        "notices": checked.notices,
        **shown,
    }


def _print(config: Config) -> None:
    lines = list(config_lines(config))
    width = min(max((len(text) for text, _ in lines), default=0), 60)
    out = console()
    for text, origin in lines:
        comment = f"  # {origin}" if origin else ""
        if is_terminal():
            out.print(Text.assemble(text.ljust(width if origin else 0), (comment, "dim")))
        else:
            click.echo(text.ljust(width if origin else 0) + comment)


def _report(checked: Checked, config: Config | None) -> None:
    for colour, kind, lines in (
        ("red", "error", [*checked.mistakes, *checked.warnings]),
        ("cyan", "note", checked.notices),
    ):
        for line in lines:
            note(f"{click.style(kind, fg=colour)}: {line}")
    if checked.is_good and config is not None:
        files = ", ".join(config.files) or "no files, only defaults"
        note(f"{click.style('ok', fg='green')}: the configuration is good ({files})")
