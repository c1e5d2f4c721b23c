"""Printing: colours and tables for people at a terminal, plain lines and JSON for programs.

In a pipe a table becomes lines of values with tabs between them, without a heading.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
import orjson
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text


def console(*, error: bool = False) -> Console:
    """Make a console on the stream that is in use now; it takes no markup from texts."""
    stream = sys.stderr if error else sys.stdout
    return Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)


def is_terminal() -> bool:
    """Tell whether a person reads what is printed."""
    return console().is_terminal


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS))


def note(text: str) -> None:
    """Say something that is not part of the result."""
    click.echo(text, err=True)


def printable(value: object) -> str:
    """Make a text safe for a terminal: what would move the cursor or break lines is taken out."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else " " if c in "\t\r\n" else "\N{REPLACEMENT CHARACTER}"
        for c in text
    )


def print_table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows; a cell may be a `Text` with a style of its own."""
    out = console()
    if not out.is_terminal:
        for row in rows:
            click.echo("\t".join(printable(cell) for cell in row))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(c if isinstance(c, Text) else Text(printable(c)) for c in row))
    out.print(table, soft_wrap=False)
