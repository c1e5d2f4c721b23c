"""`callboard preview`: what the changes of a working tree would do to the graph of a server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import click

from app.cli.catalog_files import FileSearch, api_groups
from app.cli.changed_files import WorkingTree, open_tree
from app.cli.examples import examples
from app.cli.output import note
from app.cli.preview_formats import FORMATS
from app.cli.server import Server
from app.cli.server_options import server_options
from app.graph.preview.json_form import CONCERNS, concerns
from app.model.kinds import KindRegistry

_NEVER = "never"
_DEFAULT = "errors,conflicts,ownership"
# So many files are sent; a change of more is no change of catalog files.
MAX_FILES = 500


def _concerns(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    unknown = [name for name in names if name not in {*CONCERNS, _NEVER}]
    if unknown or not names:
        choices = ", ".join([*CONCERNS, _NEVER])
        raise click.BadParameter(f"{value!r} is none of: {choices}")
    return tuple(name for name in names if name != _NEVER)


@click.command(
    epilog=examples(
        "callboard preview --base origin/main --url-prefix https://github.com/org/repo/blob/main",
        "callboard preview catalog-info.yaml --url-prefix https://git.example.com/a/b/blob/main",
        'callboard preview --base origin/main --url-prefix "$URL" --format markdown > comment.md',
    )
)
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--base", metavar="REF", help="Take what differs from this branch or commit.")
@click.option(
    "--url-prefix",
    metavar="URL",
    required=True,
    help="Below which URL the server knows the files of this repository.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="text",
    show_default=True,
    help="How to write the effect.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--fail-on",
    metavar="WHAT",
    default=_DEFAULT,
    show_default=True,
    callback=_concerns,
    help=f"What to fail on, separated by commas: {', '.join(CONCERNS)}; or {_NEVER}.",
)
@server_options
def preview(  # noqa: PLR0913 - one for each option
    *,
    server: Server,
    paths: tuple[Path, ...],
    base: str | None,
    url_prefix: str,
    form: str,
    as_json: bool,
    fail_on: tuple[str, ...],
) -> None:
    """Tell what changed catalog files would do once they are merged; nothing is changed.

    The files are those named, or those that differ from --base: committed, staged, or neither. A
    folder stands for the catalog files in it. Files that they quote or name count as well.

    Exit codes: 0 nothing to fail on, 1 there is, 2 called wrongly.
    """
    if bool(paths) == bool(base):
        raise click.UsageError("Give either files or --base.")
    tree = open_tree(url_prefix)
    files = _files(tree, paths, base)
    if len(files) > MAX_FILES:
        raise click.UsageError(f"{len(files)} files differ, and at most {MAX_FILES} are previewed.")
    if not files:
        note("There is nothing that could be previewed.")
    effect = server.graph("POST", "preview", body={"files": files})
    prefix = tree.location(Path())[: -len(".")]
    FORMATS["json" if as_json else form](
        effect, lambda location: unquote(location.removeprefix(prefix))
    )
    found = concerns(effect)
    if any(found[name] for name in fail_on):
        raise click.exceptions.Exit(1)


def _files(tree: WorkingTree, paths: tuple[Path, ...], base: str | None) -> list[dict[str, Any]]:
    search = FileSearch(groups=api_groups(KindRegistry()))
    if base:
        return list(tree.changed(base, search))
    found = dict[Path, dict[str, Any]]()
    for path in paths:
        # One that is named and not there was removed.
        named = [file.path for file in search.find([path])] if path.exists() else [path]
        for one in map(_plain, named):
            if not one.is_relative_to(tree.root):
                raise click.UsageError(f"{one} is not in {tree.root}.")
            given = tree.given(one)
            if given is None:
                raise click.UsageError(f"{one} is no text of up to 1 MiB.")
            found[one] = given
    return list(found.values())


def _plain(path: Path) -> Path:
    """Write a path from the root on and without detours; links are left to those who read it."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolving would follow links
