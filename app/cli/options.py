"""Options that several commands share: which configuration, how to print, how much to log."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from app.config import Config, load_config
from app.logs import set_up_logging
from app.settings import Settings, read_settings

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Configuration:
    """Which configuration a command was given: files, and what its options override."""

    paths: tuple[Path, ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def overriding(self, overrides: Mapping[str, Any]) -> Configuration:
        """Override more keys, given by their paths; None is no override."""
        more = {path: value for path, value in overrides.items() if value is not None}
        return replace(self, overrides={**self.overrides, **more})

    def load(self) -> Config:
        """Read the files; raises `ConfigError`."""
        return load_config(self.paths, overrides=self.overrides)

    def settings(self) -> Settings:
        """Read the files and what they mean; raises `ConfigError` with every mistake."""
        return read_settings(self.load())


def config_option(command: F) -> F:
    """Add `--config`; the command gets it as `configuration`."""
    option = click.option(
        "--config",
        "config",
        multiple=True,
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="A configuration file; may be given several times, the last one wins. "
        "Without it, app-config.yaml and app-config.local.yaml of this folder are read.",
    )

    @functools.wraps(command)
    def with_configuration(*, config: tuple[Path, ...], **given: Any) -> Any:
        return command(configuration=Configuration(config), **given)

    return option(with_configuration)  # type: ignore[return-value]


def data_options(command: F) -> F:
    """Add `--config` and `--data-dir`."""
    option = click.option(
        "--data-dir",
        metavar="DIR",
        type=click.Path(file_okay=False),
        help="Where the SQLite database and working files are; overrides callboard.dataDirectory.",
    )

    @functools.wraps(command)
    def with_data(*, configuration: Configuration, data_dir: str | None, **given: Any) -> Any:
        changed = configuration.overriding({"callboard.dataDirectory": data_dir})
        return command(configuration=changed, **given)

    return option(config_option(with_data))  # type: ignore[return-value]


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def verbose_option(command: F) -> F:
    """Add `--verbose`, and log nothing but errors without it."""
    option = click.option("-v", "--verbose", is_flag=True, help="Log what is being done.")

    @functools.wraps(command)
    def with_logging(*, verbose: bool, **given: Any) -> Any:
        set_up_logging(sys.stderr, level="info" if verbose else "error")
        return command(**given)

    return option(with_logging)  # type: ignore[return-value]
