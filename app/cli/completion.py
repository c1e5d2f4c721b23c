"""`callboard completion`: scripts that teach a shell to complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from app.cli.examples import examples

PROGRAM = "callboard"
SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog=examples(
        'eval "$(callboard completion bash)"                        in ~/.bashrc',
        'eval "$(callboard completion zsh)"                         in ~/.zshrc',
        "callboard completion fish > ~/.config/fish/completions/callboard.fish",
    )
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, *, shell: str) -> None:
    """Print a script for the shell, to be read when the shell starts."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"There is no completion for {shell}.")
    click.echo(kind(context.find_root().command, {}, PROGRAM, "_CALLBOARD_COMPLETE").source())
