"""`callboard explain`: why an entity is as it is, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
from rich.padding import Padding
from rich.text import Text

from app.cli.examples import examples
from app.cli.options import json_option
from app.cli.output import console, is_terminal, print_json, printable
from app.cli.server import Server
from app.cli.server_options import entity_path, server_options

SERVED = ("served", "orphan")
_STYLES = {"served": "green", "outdated": "yellow", "waiting": "red", "invalid": "red"}


@click.command(
    epilog=examples(
        "callboard explain component:quote-service",
        "callboard explain group:default/team-a --json",
    )
)
@click.argument("ref")
@json_option
@server_options
def explain(*, server: Server, ref: str, as_json: bool) -> None:
    """Tell why an entity is as it is, or why there is none.

    Which places describe it and which of them counts, what is wrong and where, when it was read and
    will be read again, and which of its relations lead nowhere. --json has more: where each field
    comes from, and whose author drew each relation.

    Exit codes: 0 it is served, 1 it is not, 2 called wrongly.
    """
    found = server.graph("GET", entity_path(ref, "explain"))
    if as_json:
        print_json(found)
    elif is_terminal():
        _write_for_people(found)
    else:
        for row in _rows(found):
            click.echo("\t".join(map(printable, row)))
    if found["state"] not in SERVED:
        raise click.exceptions.Exit(1)


def _rows(found: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    """Write a fact a line."""
    yield "state", found["state"]
    for sentence in found["summary"]:
        yield "summary", sentence
    for claim in found["claims"]:
        yield "claim", claim["role"], place(claim), claim["source"], claim["since"], claim["why"]
    for problem in found["problems"]:
        yield "problem", problem["about"], place(problem), words(problem)
    for relation in found["dangling"]:
        yield "dangling", relation["type"], relation["targetRef"], relation["why"]


def _write_for_people(found: Mapping[str, Any]) -> None:
    out = console()
    style = "bold green" if found["state"] in SERVED else "bold red"
    out.print(Text.assemble((printable(found["ref"]), "bold"), "  ", (found["state"], style)))
    for sentence in found["summary"]:
        out.print(Padding(Text(f"• {printable(sentence)}"), (0, 2)), soft_wrap=False)
    if found["claims"]:
        out.print(Text("Described by", "bold"))
    for claim in found["claims"]:
        role = Text(f"{claim['role']:<9}", _STYLES.get(claim["role"], ""))
        out.print(Text.assemble("  ", role, printable(place(claim)), ("  by ", "dim"),
                                printable(claim["source"])))  # fmt: skip
        for link in claim["via"]:
            out.print(Text(f"           through {printable(link['ref'])}", "dim"))
    if found["problems"]:
        out.print(Text("Problems", "bold"))
    for problem in found["problems"]:
        out.print(Text.assemble("  ", (printable(place(problem)), "cyan"), "  ",
                                (printable(words(problem)), "red")))  # fmt: skip
    if found["dangling"]:
        out.print(Text("Relations to nothing", "bold"))
    for relation in found["dangling"]:
        by = ", ".join(writer["pointer"] or writer["ref"] for writer in relation["writtenBy"])
        line = f"  {relation['type']}  {relation['targetRef']}  ({relation['why']}; {by})"
        out.print(Text(printable(line)))


def place(part: Mapping[str, Any]) -> str:
    """Write a place with line and column, as far as they are known."""
    numbers = (part.get("line"), part.get("column"))
    return ":".join([part["location"], *(str(number) for number in numbers if number)])


def words(problem: Mapping[str, Any]) -> str:
    """Write what is wrong."""
    return f"{problem['name']}: {problem['message']}"
