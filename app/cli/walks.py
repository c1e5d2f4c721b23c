"""`callboard impact` and `callboard path`: what is connected, asked of a running server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from app.cli.examples import examples
from app.cli.options import json_option
from app.cli.output import is_terminal, note, print_json, print_table, printable
from app.cli.server import Server
from app.cli.server_options import entity_path, ref_of, server_options

PAGE = 1000

types_option = click.option(
    "--types",
    metavar="TYPES",
    default="",
    help="Which relations to follow, separated by commas; * for all.",
)


@click.command(
    epilog=examples(
        "callboard impact resource:orders-db",
        "callboard impact component:quote-service --depth 1",
        "callboard impact group:team-a --types ownerOf --json",
    )
)
@click.argument("ref")
@types_option
@click.option("--depth", type=click.IntRange(min=1), help="How far away to look.")
@json_option
@server_options
def impact(*, server: Server, ref: str, types: str, depth: int | None, as_json: bool) -> None:
    """List what is affected if an entity changes or fails, the nearest first.

    That is what depends on it, the APIs that it provides and who consumes them, what it consists of
    and what belongs to it, over any number of steps.
    """
    path = entity_path(ref, "impact")
    asked = _given(types=types, depth=depth, limit=PAGE)
    found = server.graph("GET", path, asked)
    page = found
    while cursor := page["pageInfo"].get("nextCursor"):
        page = server.graph("GET", path, {**asked, "cursor": cursor})
        found["nodes"] += page["nodes"]
    found["pageInfo"] = {}
    if as_json:
        print_json(found)
        return
    print_table(
        ["STEPS", "REF", "BECAUSE"],
        [[str(node["depth"]), node["ref"], _because(node["path"])] for node in found["nodes"]],
    )
    if is_terminal():
        owners = ", ".join(f"{owner['ref']} ({owner['count']})" for owner in found["owners"])
        note(f"{found['totalItems']} entities{f', owned by {printable(owners)}' if owners else ''}")
    _note_truncation(found)


@click.command(
    epilog=examples(
        "callboard path component:shop resource:orders-db",
        "callboard path user:ada component:shop --types memberOf,ownerOf",
    )
)
@click.argument("origin", metavar="FROM")
@click.argument("target", metavar="TO")
@types_option
@click.option(
    "--direction",
    type=click.Choice(["outgoing", "incoming", "both"]),
    help="Whose relations to follow.  [default: outgoing]",
)
@click.option("--limit", type=click.IntRange(1, 100), help="How many ways to show.  [default: 10]")
@json_option
@server_options
def path(  # noqa: PLR0913 - one for each option
    *,
    server: Server,
    origin: str,
    target: str,
    types: str,
    direction: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Find the shortest ways from one entity to another.

    Exit codes: 0 there is one, 1 there is none, 2 called wrongly.
    """
    ends = {"from": str(ref_of(origin)), "to": str(ref_of(target))}
    asked = {**ends, **_given(types=types, direction=direction, limit=limit)}
    found = server.graph("GET", "paths", asked)
    if as_json:
        print_json(found)
    else:
        for way in found["paths"]:
            click.echo(printable(_written(way)))
        if found["hasMore"]:
            note("There are more ways of the same length; --limit shows more of them.")
        _note_truncation(found)
    if not found["paths"]:
        if not as_json:
            note(f"No way leads from {ends['from']} to {ends['to']}.")
        raise click.exceptions.Exit(1)


def _given(**parameters: Any) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value}


def _because(way: Mapping[str, Any]) -> str:
    """Say through what something is affected: the step before it, and the relation."""
    return f"{way['refs'][-2]} {way['relations'][-1]}"


def _written(way: Mapping[str, Any]) -> str:
    steps = zip(way["relations"], way["refs"][1:], strict=True)
    return " ".join([way["refs"][0], *(f"-{kind}-> {ref}" for kind, ref in steps)])


def _note_truncation(found: Mapping[str, Any]) -> None:
    if found["truncated"]:
        note(f"This is not all: {found['truncated']['message']}.")
