"""`callboard get` and `callboard query`: entities of a running server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import click
import orjson
from rich.syntax import Syntax

from app.cli.examples import examples
from app.cli.output import console, is_terminal, note, print_json, print_table
from app.cli.server import Query, Server
from app.cli.server_options import ref_of, server_options
from app.cli.yaml_text import yaml_text
from app.model.ref import EntityRef

COLUMNS = "ref,spec.type,spec.lifecycle,spec.owner,metadata.title"
LIMIT = 100
_REF = "ref"
_REF_FIELDS = ("kind", "metadata.name", "metadata.namespace")


@click.command(
    epilog=examples(
        "callboard get component:quote-service",
        "callboard get user:people/ada --output json",
        'callboard get api:quotes --server https://backstage.example.com --token "$TOKEN"',
    )
)
@click.argument("ref")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="How to write the entity.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --output json.")
@server_options
def get(*, server: Server, ref: str, output: str, as_json: bool) -> None:
    """Show one entity as the server has it, relations and status included.

    REF is [namespace/]name after kind and a colon: component:quote-service. Without a token the
    server is called as its guest, if it has one.
    """
    entity = server.entity(ref_of(ref))
    language = "json" if as_json else output
    if language == "json":
        text = orjson.dumps(entity, option=orjson.OPT_INDENT_2).decode()
    else:
        text = yaml_text(entity)
    if is_terminal():
        console().print(Syntax(text, language, background_color="default", word_wrap=True))
    else:
        click.echo(text.rstrip("\n"))


@click.command(
    epilog=examples(
        "callboard query kind=component,spec.owner=my-team",
        "callboard query kind=user kind=group --order metadata.name,desc",
        "callboard query kind=api --columns ref,relations.apiProvidedBy",
        "callboard query kind=system --all --json",
    )
)
@click.argument("filters", metavar="[FILTER]...", nargs=-1)
@click.option(
    "--order",
    metavar="FIELD",
    multiple=True,
    help="Sort by a field; FIELD,desc turns it round. Entities without the field are left out.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=LIMIT,
    show_default=True,
    help="How many entities to show at most.",
)
@click.option("--all", "everything", is_flag=True, help="Show all there are.")
@click.option(
    "--columns",
    metavar="FIELDS",
    help=f"What to show of each, separated by commas.  [default: {COLUMNS}]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the entities as JSON.")
@server_options
def query(  # noqa: PLR0913 - one for each option
    *,
    server: Server,
    filters: tuple[str, ...],
    order: tuple[str, ...],
    limit: int,
    everything: bool,
    columns: str | None,
    as_json: bool,
) -> None:
    """List entities that match one of the filters.

    A FILTER is field=value, or the name of a field that has to be there. Inside a filter commas
    mean "and"; several filters mean "or".
    """
    chosen = tuple(name.strip() for name in (columns or COLUMNS).split(",") if name.strip())
    fields = () if as_json and columns is None else _fields(chosen)
    asked = Query(filters, order, fields, None if everything else limit)
    pages = list(server.entities(asked))
    found = [entity for page in pages for entity in page.items]
    if as_json:
        print_json(found)
        return
    headings = [name.rsplit(".", 1)[-1].upper() for name in chosen]
    print_table(headings, _rows(found, chosen))
    total = pages[0].total
    if is_terminal() or len(found) < total:
        note(f"{len(found)} of {total} entities" if len(found) < total else f"{total} entities")


def _fields(columns: Sequence[str]) -> tuple[str, ...]:
    """Answer what has to be asked for to fill the columns."""
    fields = list[str]()
    for column in columns:
        if column == _REF:
            fields += _REF_FIELDS
        else:
            fields.append("relations" if column.startswith("relations.") else column)
    return tuple(dict.fromkeys(fields))


def _rows(found: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Iterator[list[str]]:
    for entity in found:
        yield [_cell(entity, column) for column in columns]


def _cell(entity: Mapping[str, Any], column: str) -> str:
    if column == _REF:
        metadata = entity["metadata"]
        return str(EntityRef.of(entity["kind"], metadata.get("namespace"), metadata["name"]))
    return ", ".join(map(_text, _values(entity, column)))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _values(entity: Mapping[str, Any], path: str) -> Iterable[Any]:
    """Yield what is at a path such as `spec.owner`; keys with dots in them are found too."""
    if path.startswith("relations."):
        wanted = path.removeprefix("relations.").lower()
        for relation in entity.get("relations", ()):
            if str(relation.get("type")).lower() == wanted:
                yield relation.get("targetRef")
        return
    yield from _inside(entity, path)


def _inside(value: Any, path: str) -> Iterable[Any]:
    if not path:
        yield from value if isinstance(value, list) else [value]
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if path == key or path.startswith(f"{key}."):
                yield from _inside(inner, path[len(key) + 1 :])
