"""What preview prints: for people, programs, reviewers, tools that read SARIF, GitHub's runner."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import click
import orjson
from rich.text import Text

from app.cli.lint_formats import escaped, escaped_property
from app.cli.output import console, note, print_json, printable
from app.cli.release import release
from app.graph.preview.markdown import effect_markdown
from app.graph.preview.sarif import effect_sarif

Effect: TypeAlias = Mapping[str, Any]
Place: TypeAlias = Callable[[str], str]
Writer: TypeAlias = Callable[[Effect, Place], None]
_SIGNS = {"create": ("+", "green"), "update": ("~", "yellow"), "delete": ("-", "red")}


def write_text(effect: Effect, place: Place) -> None:
    """Write a line for each thing that changes or is wrong, and a summary."""
    out = console()
    for entity in effect["entities"]:
        sign, colour = _SIGNS[entity["operation"]]
        pointers = " ".join(change["pointer"] for change in entity["changes"])
        line = Text.assemble((sign, colour), f" {printable(entity['ref'])} ", (pointers, "dim"))
        if out.is_terminal:
            out.print(line)
        else:
            click.echo(line.plain.rstrip())
    for where, severity, message in _complaints(effect, place):
        click.echo(f"{printable(where)}: {severity}: {printable(message)}" if where else message)
    note(_summary(effect["summary"]))


def write_json(effect: Effect, _: Place) -> None:
    """Write what the server answered."""
    print_json(effect)


def write_markdown(effect: Effect, place: Place) -> None:
    """Write a comment for a pull request."""
    click.echo(effect_markdown(effect, place))


def write_sarif(effect: Effect, place: Place) -> None:
    """Write SARIF 2.1.0."""
    click.echo(orjson.dumps(effect_sarif(effect, release(), place), option=orjson.OPT_INDENT_2))


def write_github(effect: Effect, place: Place) -> None:
    """Write the commands that make GitHub's runner put notes on the lines of a change."""
    for problem in effect["problems"]:
        if problem["isNew"]:
            properties = {
                "file": place(problem["location"]),
                "line": problem["line"],
                "col": problem["column"],
            }
            given = [f"{name}={escaped_property(v)}" for name, v in properties.items() if v]
            title = f"title={escaped_property('callboard preview')}"
            click.echo(f"::error {','.join([*given, title])}::{escaped(problem['message'])}")
    for change in effect["ownership"]:
        if change["isLost"]:
            click.echo(f"::warning::{escaped(_lost(change))}")
    for relation in effect["dangling"]:
        click.echo(f"::warning::{escaped(_dangling(relation))}")
    note(_summary(effect["summary"]))


def _complaints(effect: Effect, place: Place) -> Iterator[tuple[str, str, str]]:
    for problem in effect["problems"]:
        parts = (place(problem["location"]), problem["line"], problem["column"])
        severity = "error" if problem["isNew"] else "known"
        yield ":".join(str(part) for part in parts if part), severity, problem["message"]
    for change in effect["ownership"]:
        if change["isLost"]:
            yield change["ref"], "warning", _lost(change)
    for relation in effect["dangling"]:
        yield relation["source"], "warning", _dangling(relation)
    for location in effect["files"]["unknown"]:
        if location not in effect["files"]["skipped"]:
            yield place(location), "note", "no source reads it; shown as if it were registered"


def _lost(change: Mapping[str, Any]) -> str:
    return f"{change['ref']} loses its owner, which was {', '.join(change['before'])}"


def _dangling(relation: Mapping[str, str]) -> str:
    return f"{relation['source']} refers to {relation['target']}, which does not exist"


def _summary(summary: Mapping[str, int]) -> str:
    names = ("created", "updated", "deleted", "errors", "conflicts")
    return ", ".join(f"{summary[name]} {name}" for name in names)


FORMATS: Mapping[str, Writer] = {
    "text": write_text,
    "json": write_json,
    "markdown": write_markdown,
    "sarif": write_sarif,
    "github": write_github,
}
