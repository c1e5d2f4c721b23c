"""`callboard history`, `callboard diff` and `callboard undo`: what became of entities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
import orjson
from rich.text import Text

from app.cli.examples import examples
from app.cli.output import console, is_terminal, note, print_json, print_table, printable
from app.cli.server import Server
from app.cli.server_options import entity_path, server_options

LIMIT = 20
PAGE = 500
SHORT = 200
_STYLES = {
    "added": "green",
    "create": "green",
    "removed": "red",
    "delete": "red",
    "changed": "yellow",
    "update": "yellow",
}
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


@click.command(
    epilog=examples(
        "callboard history component:quote-service",
        "callboard history component:quote-service --limit 100 --json",
    )
)
@click.argument("ref")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=LIMIT,
    show_default=True,
    help="How many changes to show at most.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the changes as JSON.")
@server_options
def history(*, server: Server, ref: str, limit: int, as_json: bool) -> None:
    """List the changes of an entity, the newest first: what, when, and who or what caused it.

    REF is [namespace/]name after kind and a colon. An entity that is gone has a history too.
    """
    found = list[Mapping[str, Any]]()
    path, cursor = entity_path(ref, "history"), ""
    while len(found) < limit:
        wanted: dict[str, Any] = {"limit": min(PAGE, limit - len(found)), "summary": "true"}
        page = server.graph("GET", path, wanted | ({"cursor": cursor} if cursor else {}))
        found += page["items"]
        cursor = page["pageInfo"].get("nextCursor", "")
        if not cursor:
            break
    if as_json:
        print_json(found)
        return
    print_table(["SEQ", "WHEN", "WHAT", "CHANGED", "CAUSE"], map(_change_row, found))
    if cursor:
        note(f"There are more; the newest {len(found)} are shown.")


@click.command(
    epilog=examples(
        "callboard diff component:quote-service",
        "callboard diff component:quote-service --from 2026-01-01",
        "callboard diff component:quote-service --from 1041 --to 1177 --json",
    )
)
@click.argument("ref")
@click.option("--from", "since", metavar="MOMENT", help="By default, before the last change.")
@click.option("--to", "until", metavar="MOMENT", help="By default, now.")
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
@server_options
def diff(*, server: Server, ref: str, since: str | None, until: str | None, as_json: bool) -> None:
    """Show what differs between two states of an entity.

    A MOMENT is the number of a change, as `history` shows it, or a time (ISO 8601, UTC unless it
    names a zone). Without any it is what the last change changed.
    """
    moments = {"from": since, "to": until}
    parameters = {name: moment for name, moment in moments.items() if moment}
    found = server.graph("GET", entity_path(ref, "diff"), parameters)
    if as_json:
        print_json(found)
        return
    if is_terminal():
        console().print(Text(f"{_version(found['from'])} → {_version(found['to'])}", "dim"))
    _print_differences(found["changes"])
    if not found["changes"]:
        note("There is no difference.")


@click.command(
    epilog=examples(
        "callboard undo 1177 --dry-run",
        "callboard undo 1177",
        "callboard undo --source git:platform",
    )
)
@click.argument("seq", type=click.IntRange(min=1), required=False)
@click.option("--source", metavar="NAME", help="Undo the last run of this source instead.")
@click.option("--dry-run", is_flag=True, help="Say what would be undone, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print what was undone as JSON.")
@server_options
def undo(
    *, server: Server, seq: int | None, source: str | None, dry_run: bool, as_json: bool
) -> None:
    """Take back one change, or all that the last run of a source changed.

    SEQ is the number of a change, as `history` shows it. What is taken back stays so until the
    source says something else; undoing the undoing does it again. Exit code 1 if something had
    changed since and was left alone.
    """
    if (seq is None) == (source is None):
        raise click.UsageError("Give either the number of a change or --source.")
    path = f"changes/{seq}/undo" if source is None else f"sources/{server.quoted(source)}/undo"
    undone = server.graph("POST", path, {"dryRun": "true"} if dry_run else {})
    if as_json:
        print_json(undone)
    else:
        _print_undone(undone)
    if undone["skipped"]:
        raise click.exceptions.Exit(1)


def _change_row(change: Mapping[str, Any]) -> Sequence[Any]:
    changed = change.get("changed", ())
    shown = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")  # noqa: PLR2004
    operation = change["operation"]
    when = str(change["at"]).replace("T", " ").partition(".")[0]
    return [
        change["seq"],
        when,
        Text(operation, _STYLES[operation]) if is_terminal() else operation,
        shown if operation == "update" else "",
        cause_text(change["cause"]),
    ]


def cause_text(cause: Mapping[str, Any]) -> str:
    """Say in a few words why something changed."""
    return ", ".join(_cause_parts(cause)) or "unknown"


def _cause_parts(cause: Mapping[str, Any]) -> Iterable[str]:
    if "undo" in cause:
        yield f"undo of {cause['undo']}"
    if "by" in cause:
        yield f"because of {cause['by']}"
    if "actor" in cause:
        yield f"by {cause['actor']}"
    place = str(cause.get("location", ""))
    if place:
        yield place + (f":{cause['line']}" if cause.get("line") else "")
    if "commit" in cause:
        yield f"at {str(cause['commit'])[:10]}"
    if "source" in cause:
        yield f"source {cause['source']}"


def _version(change: Mapping[str, Any] | None) -> str:
    return "nothing" if change is None else f"{change['seq']} ({change['at']})"


def _print_differences(found: Iterable[Mapping[str, Any]], indent: str = "") -> None:
    out = console()
    for one in found:
        values = [_short(one[end]) for end in ("from", "to") if end in one]
        line = f"{indent}{_SIGNS[one['op']]} {one['pointer'] or '/'}  {' → '.join(values)}"
        out.print(Text(printable(line), _STYLES[one["op"]] if out.is_terminal else ""))


def _short(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= SHORT else f"{text[:SHORT]}…"


def _print_undone(undone: Mapping[str, Any]) -> None:
    would = "would be " if undone["dryRun"] else ""
    words = {"create": "made again", "delete": "removed", "update": "changed back"}
    out = console()
    for step in undone["undone"]:
        operation = step["operation"]
        line = printable(f"{step['entityRef']}: {would}{words[operation]}")
        out.print(Text(line, _STYLES[operation] if out.is_terminal else ""))
        _print_differences(step["changes"], "  ")
    for item in undone["skipped"]:
        note(printable(f"{item['entityRef']} was left alone: {item['reason']}"))
