"""`callboard webhooks`: how far the webhooks of a running server are, and what they gave up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from rich.text import Text

from app.cli.examples import examples
from app.cli.output import is_terminal, note, print_json, print_table
from app.cli.server import Server
from app.cli.server_options import server_options

_STATE = ("NAME", "URL", "LAG", "ATTEMPTS", "NEXT", "DEAD LETTERS", "ERROR")
_LETTERS = ("ID", "CHANGES", "ATTEMPTS", "AT", "ERROR")
_PAGE = 500


@click.command(
    epilog=examples(
        "callboard webhooks                          how far each is",
        "callboard webhooks ci                       what could not be delivered to one",
        "callboard webhooks ci --retry 7 --retry 8   have that tried once more",
        "callboard webhooks ci --delete 7            forget it",
    )
)
@click.argument("name", required=False)
@click.option(
    "--retry", "retried", type=int, metavar="ID", multiple=True, help="Have it tried once more."
)
@click.option("--delete", "deleted", type=int, metavar="ID", multiple=True, help="Forget it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@server_options
def webhooks(
    *,
    server: Server,
    name: str | None,
    retried: tuple[int, ...],
    deleted: tuple[int, ...],
    as_json: bool,
) -> None:
    """Show the outgoing webhooks, or with NAME the dead letters of one.

    A dead letter is a delivery that was given up after too many failures.
    """
    if name is None:
        if retried or deleted:
            raise click.UsageError("--retry and --delete need the NAME of a webhook.")
        _print_states(server, as_json=as_json)
        return
    path = f"webhooks/{server.quoted(name)}/dead-letters"
    for letter in retried:
        server.graph("POST", f"{path}/{letter}/retry")
        note(f"{name}: {letter} will be tried once more")
    for letter in deleted:
        server.graph("DELETE", f"{path}/{letter}")
        note(f"{name}: {letter} is forgotten")
    if not (retried or deleted):
        _print_letters(server, path, as_json=as_json)


def _print_states(server: Server, *, as_json: bool) -> None:
    found = server.graph("GET", "webhooks")["items"]
    if as_json:
        print_json(found)
        return
    print_table(_STATE, map(_state, found))
    if not found:
        note("No webhooks are configured (callboard.webhooks).")


def _state(webhook: Mapping[str, Any]) -> list[Any]:
    lag, error = webhook["lag"], webhook["lastError"] or ""
    return [
        webhook["name"],
        webhook["url"],
        "not begun" if lag is None else lag,
        webhook["attempts"],
        webhook["nextAttemptAt"] or "",
        webhook["deadLetters"],
        Text(error, style="red") if error and is_terminal() else error,
    ]


def _print_letters(server: Server, path: str, *, as_json: bool) -> None:
    found = list[Mapping[str, Any]]()
    after: int | None = 0
    while after is not None:
        page = server.graph("GET", path, {"after": after, "limit": _PAGE})
        found += page["items"]
        after = page.get("next")
    if as_json:
        print_json(found)
        return
    print_table(_LETTERS, map(_letter, found))


def _letter(letter: Mapping[str, Any]) -> list[Any]:
    span = f"{letter['firstSeq']} to {letter['lastSeq']}"
    error = f"{letter['error']} (will be tried)" if letter["retryAskedAt"] else letter["error"]
    return [letter["id"], span, letter["attempts"], letter["at"], error]
