"""How a command says that it failed: clear words on the error stream, and exit code 1."""

from __future__ import annotations

from typing import IO, Any

import click

from app.errors import CallboardError, ConfigError


class Failure(click.ClickException):
    """Shows a `CallboardError` without a traceback; a `ConfigError` may have a line per mistake."""

    exit_code = 1

    def __init__(self, error: CallboardError) -> None:
        """Take the words from the error."""
        super().__init__(str(error))
        self.lines = str(error).splitlines()
        self.is_config = isinstance(error, ConfigError)

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message."""
        mark = click.style("Error:", fg="red", bold=True)
        if len(self.lines) > 1 and self.is_config:
            click.echo(f"{mark} the configuration has {len(self.lines)} mistakes:", file, err=True)
            for line in self.lines:
                click.echo(f"  {line}", file, err=True)
            return
        text = "\n  ".join(self.lines)
        click.echo(f"{mark} {'configuration: ' if self.is_config else ''}{text}", file, err=True)
