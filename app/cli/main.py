"""The command `callboard` itself: its subcommands by name, and how failures are told.

What the help says about the subcommands stands here, so that it can be shown without importing
any of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click
from click.shell_completion import CompletionItem

from app.cli.examples import examples
from app.cli.failure import Failure
from app.cli.release import release
from app.errors import CallboardError

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Subcommand:
    """Where a subcommand is defined, `module:attribute`, and what it does in a few words."""

    place: str
    summary: str

    def load(self) -> click.Command:
        """Import it."""
        module, _, attribute = self.place.partition(":")
        command: click.Command = getattr(importlib.import_module(f"app.cli.{module}"), attribute)
        return command


SUBCOMMANDS: Mapping[str, Subcommand] = {
    "serve": Subcommand("serve:serve", "Run the platform: the API and the background worker."),
    "ingest": Subcommand("ingest:ingest", "Read catalog files into the database, once."),
    "lint": Subcommand("lint:lint", "Check catalog files before they are committed."),
    "preview": Subcommand(
        "preview:preview", "Tell what changed files would do to a server's graph."
    ),
    "push": Subcommand("push:push", "Push the entities of a source to a running server."),
    "get": Subcommand("entities:get", "Show one entity of a running server."),
    "query": Subcommand("entities:query", "List entities of a running server."),
    "history": Subcommand("history:history", "List the changes of an entity."),
    "diff": Subcommand("history:diff", "Show what differs between two states of an entity."),
    "undo": Subcommand("history:undo", "Take back a change, or the last run of a source."),
    "explain": Subcommand("explain:explain", "Tell why an entity is as it is, or is not."),
    "impact": Subcommand("walks:impact", "List what depends on an entity, transitively."),
    "path": Subcommand("walks:path", "Find the shortest ways between two entities."),
    "changes": Subcommand("changes:changes", "Show what happened to entities, or what happens."),
    "webhooks": Subcommand("webhooks:webhooks", "Show how far outgoing webhooks are."),
    "check-config": Subcommand("configuration:check_config", "Check the configuration strictly."),
    "doctor": Subcommand("doctor:doctor", "Look for what may be wrong with this machine."),
    "migrate": Subcommand("migrate:migrate", "Bring the database up to date."),
    "completion": Subcommand("completion:completion", "Print a script for shell completion."),
}


class Callboard(click.Group):
    """Finds subcommands by name, and turns what they raise into a message and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        found = SUBCOMMANDS.get(cmd_name)
        return found.load() if found else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in SUBCOMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise click.exceptions.NoSuchCommand(args[0], possibilities=list(SUBCOMMANDS), ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, found.summary) for name, found in SUBCOMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [
            CompletionItem(name, help=found.summary)
            for name, found in SUBCOMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CallboardError as error:
            raise Failure(error) from error
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)


def _print_release(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001
    if value and not ctx.resilient_parsing:
        click.echo(f"callboard {release()}")
        ctx.exit()


@click.group(
    cls=Callboard,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "callboard serve                                   run it, on http://localhost:7007",
        "callboard lint .                                  check the files in this folder",
        "callboard ingest ./catalog-info                   read files into the database, once",
        "callboard query kind=component,spec.owner=team-a  list entities of a running server",
    ),
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_release,
    help="Show the version and exit.",
)
def callboard() -> None:
    """Run Callboard, a Backstage-compatible platform backend, or ask a running one.

    Every command exits with 0 if all is well, with 1 if it found problems or failed, and with 2
    if it was called wrongly.
    """
