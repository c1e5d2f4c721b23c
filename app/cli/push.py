"""`callboard push`: the entities of a source that is computed elsewhere, sent to a server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from app.cli.catalog_files import FileSearch, FoundFile, api_groups
from app.cli.examples import examples
from app.cli.output import note, print_json
from app.cli.server import Server
from app.cli.server_options import server_options
from app.errors import InputError
from app.model import documents
from app.model.entity import Entity
from app.model.kinds import KindRegistry


@click.command(
    epilog=examples(
        'callboard push cmdb build/*.yaml --version "$(date +%s)"',
        "callboard push cmdb changed.yaml --version 8 --base 7 --delete component:old",
    )
)
@click.argument("name")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--version", type=click.IntRange(min=1), required=True, help="Greater than the last one."
)
@click.option(
    "--base",
    type=click.IntRange(min=0),
    help="Send only what differs from this version; without it the files are all there is.",
)
@click.option(
    "--delete", "deleted", metavar="REF", multiple=True, help="An entity to remove, with --base."
)
@click.option("--force", is_flag=True, help="Remove however much is missing.")
@click.option("--skip-invalid", is_flag=True, help="Leave out entities that are not valid.")
@click.option("--json", "as_json", is_flag=True, help="Print what the server answers as JSON.")
@server_options
def push(  # noqa: PLR0913 - one for each option
    *,
    server: Server,
    name: str,
    paths: tuple[Path, ...],
    version: int,
    base: int | None,
    deleted: tuple[str, ...],
    force: bool,
    skip_invalid: bool,
    as_json: bool,
) -> None:
    """Push the entities in files to the source NAME, which the server's configuration names.

    A folder stands for the catalog files in it. Nothing is changed unless all is well, and then all
    at once. The same version may be pushed again.
    """
    if deleted and base is None:
        raise click.UsageError("--delete wants a --base; without it what is missing is removed.")
    if not paths and base is None:
        raise click.UsageError("Give the files that hold all entities of the source.")
    entities = list(_entities(FileSearch(groups=api_groups(KindRegistry())).find(paths)))
    body: dict[str, Any] = {"version": version}
    if base is None:
        body |= {"entities": entities}
    else:
        body |= {"base": base, "upsert": entities, "delete": deleted}
    options = {
        **({"force": "true"} if force else {}),
        **({"onProblem": "skip"} if skip_invalid else {}),
    }
    path = f"sources/{server.quoted(name)}/entities"
    receipt = server.graph("PUT" if base is None else "PATCH", path, options, body)
    if as_json:
        print_json(receipt)
        return
    for problem in receipt["problems"]:
        note(f"{problem['pointer']}: {problem['message']}")
    for conflict in receipt["conflicts"]:
        note(conflict)
    click.echo(_summary(receipt))


def _entities(found: Iterable[FoundFile]) -> Iterable[Mapping[str, Any]]:
    for file in found:
        if file.problem:
            raise InputError(f"{file.name}: {file.problem}")
        for item in documents.iterate(file.data, file.name):
            if not isinstance(item, Entity):
                raise InputError(f"{item.place}: {item.message}")
            yield item.data


def _summary(receipt: Mapping[str, Any]) -> str:
    if not receipt["applied"]:
        return f"{receipt['source']} has version {receipt['version']} already"
    counts = ", ".join(f"{receipt[name]} {name}" for name in ("written", "unchanged", "removed"))
    return f"{receipt['source']} is at version {receipt['version']}: {counts}"
