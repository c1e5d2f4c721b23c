"""`callboard changes`: what happened to the entities of a running server, or what happens."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
import orjson
from rich.text import Text

from app.cli.examples import examples
from app.cli.output import console, is_terminal, note, print_json, print_table, printable
from app.cli.server import Server
from app.cli.server_options import server_options
from app.errors import CallboardError, UpstreamError

LIMIT = 100
# What the server answers at most at once.
PAGE = 1000
# How long to wait before a stream that broke is asked for again.
PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)
_STYLES = {"create": "green", "update": "yellow", "delete": "red", "left": "magenta"}
_HEADINGS = ("SEQ", "AT", "CHANGE", "REF", "CAUSE")


@click.command(
    epilog=examples(
        "callboard changes                                    the newest changes",
        "callboard changes --follow kind=component            and what comes, as it comes",
        "callboard changes --since 41000 --json spec.owner=a  all since then, for a program",
    )
)
@click.argument("filters", metavar="[FILTER]...", nargs=-1)
@click.option("-f", "--follow", is_flag=True, help="Go on until it is interrupted.")
@click.option(
    "--since",
    type=click.IntRange(min=0),
    metavar="SEQ",
    help="Show all that came after this change. Without it the newest ones are looked at, and "
    "with --follow only what comes.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=LIMIT,
    show_default=True,
    help="How many of the newest changes to look at without --since.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON; with --follow an object on each line."
)
@server_options
def changes(  # noqa: PLR0913 - one for each option
    *,
    server: Server,
    filters: tuple[str, ...],
    follow: bool,
    since: int | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show what happened to the entities that match one of the filters.

    A FILTER is as in `callboard query`. An entity that does not match any more has "left".
    """
    if follow:
        for change in _followed(server, filters, since):
            _print_one(change, as_json=as_json)
        return
    if since is None:
        span = server.graph("GET", "changes")
        since = max(int(span["oldest"]), int(span["newest"]) - limit)
    found = list(_all(server, filters, since))
    if as_json:
        print_json(found)
        return
    print_table(_HEADINGS, map(_cells, found))
    if is_terminal():
        note(f"{len(found)} changes since {since}")


def _all(server: Server, filters: Sequence[str], since: int) -> Iterator[Mapping[str, Any]]:
    """Yield all there is until now."""
    end: int | None = None
    while end is None or since < end:
        asked = [("since", since), ("limit", PAGE), *_filters(filters)]
        page = server.graph("GET", "changes", asked)
        yield from page["items"]
        # What comes while this is read is for the next time.
        end = int(page["newest"]) if end is None else end
        since = int(page["next"])


def _followed(
    server: Server, filters: Sequence[str], since: int | None
) -> Iterator[Mapping[str, Any]]:
    """Yield what happens; a stream that breaks off is taken up again where it was."""
    asked = [*([] if since is None else [("since", since)]), *_filters(filters)]
    last, failures = "", 0
    while True:
        try:
            for event in server.events("changes/stream", asked, last):
                failures = 0
                if event.get("event") == "error":
                    raise CallboardError(str(orjson.loads(event["data"])["message"]))
                if event.get("event") == "change":
                    yield orjson.loads(event["data"])
                last = event.get("id", last)
        except UpstreamError as error:
            if not last:
                raise
            note(f"{error}; trying again")
        time.sleep(PAUSES[min(failures, len(PAUSES) - 1)])
        failures += 1


def _filters(filters: Sequence[str]) -> Iterator[tuple[str, Any]]:
    return (("filter", one) for one in filters)


def _print_one(change: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(orjson.dumps(change))
    elif is_terminal():
        console().print(Text("  ").join(map(_as_text, _cells(change))))
    else:
        click.echo("\t".join(printable(cell) for cell in _cells(change)))


def _as_text(cell: Any) -> Text:
    return cell if isinstance(cell, Text) else Text(printable(cell))


def _cells(change: Mapping[str, Any]) -> list[Any]:
    what = str(change["operation"])
    if change.get("left") and what != "delete":
        what = "left"
    styled = Text(what, style=_STYLES.get(what, "")) if is_terminal() else what
    return [change["seq"], change["at"], styled, change["entityRef"], cause_text(change["cause"])]


def cause_text(cause: Mapping[str, Any]) -> str:
    """Say in a few words why something changed: who did it, or where it was read."""
    if cause.get("actor"):
        return f"by {cause['actor']}"
    if cause.get("location"):
        line = f":{cause['line']}" if cause.get("line") else ""
        return f"{cause['location']}{line}"
    if cause.get("by"):
        return f"with {cause['by']}"
    return str(cause.get("source") or "")
