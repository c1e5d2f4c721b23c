"""`callboard lint`: catalog files checked before they are committed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from app.catalog.lint_rules import UNREADABLE, Finding
from app.catalog.linting import CatalogText, Linter, LintReport, dangling, targets
from app.cli.catalog_files import FileSearch, FoundFile, api_groups
from app.cli.examples import examples
from app.cli.lint_formats import FORMATS
from app.cli.options import Configuration, config_option
from app.cli.output import note
from app.cli.server_options import open_server, token_of_environment, token_option
from app.model.kinds import KindRegistry


@click.command(
    epilog=examples(
        "callboard lint .",
        "callboard lint . --server https://backstage.example.com --strict",
        "callboard lint services/*/catalog-info.yaml --catalog ../catalog",
        "callboard lint . --format github              (in a GitHub workflow)",
        "callboard lint . --format sarif > lint.sarif",
    )
)
@click.argument(
    "paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="text",
    show_default=True,
    help="How to write the findings.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--strict", is_flag=True, help="Fail on warnings too.")
@click.option(
    "--server",
    metavar="URL",
    help="Ask this Callboard or Backstage whether what is referred to exists.",
)
@token_option
@click.option(
    "--catalog",
    "catalogs",
    metavar="PATH",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Catalog files in which what is referred to may be; they are not checked themselves.",
)
@click.option("--pattern", metavar="GLOB", default="", help="Which files of a folder to check.")
@click.option(
    "--exclude",
    metavar="GLOB",
    multiple=True,
    help="Files or folders to leave out, such as '**/skeleton'.",
)
@config_option
def lint(  # noqa: PLR0913 - one for each option
    *,
    configuration: Configuration,
    paths: tuple[Path, ...],
    form: str,
    as_json: bool,
    strict: bool,
    server: str | None,
    token: str | None,
    catalogs: tuple[Path, ...],
    pattern: str,
    exclude: tuple[str, ...],
) -> None:
    """Check catalog files: YAML, required fields, formats, kinds, references, duplicates.

    A folder stands for the catalog files in it: those called catalog-info.yaml, and other YAML
    files that hold entities. Whether what is referred to exists is only checked with --server or
    --catalog. Kinds of your own are known with --config, if catalog.kinds describes them.

    Exit codes: 0 no errors (with --strict no warnings either), 1 there are some, 2 called wrongly.
    """
    asked = open_server(server, token or token_of_environment()) if server else None
    linter = Linter(_kinds(configuration))
    search = FileSearch(pattern, exclude, groups=api_groups(linter.kinds))
    found = list(search.find(paths))
    if not found:
        note("There are no catalog files in it.")
    report = linter.lint_files(_texts(found))
    report.add(Finding(UNREADABLE, file.problem, file.name) for file in found if file.problem)
    if asked or catalogs:
        known = _defined(linter, FileSearch(groups=search.groups), catalogs)
        wanted = [ref for ref in targets(report) if ref not in known]
        for existing in asked.existing(wanted) if asked else ():
            known |= existing
        report.add(dangling(report, known))
    FORMATS["json" if as_json else form](report)
    if report.count("error") or (strict and report.findings):
        raise click.exceptions.Exit(1)


def _kinds(configuration: Configuration) -> KindRegistry:
    """Know Backstage's kinds, and those of the configuration if one was given."""
    if not configuration.paths:
        return KindRegistry()
    # To join a catalog takes longer than most lints, and few need kinds of their own.
    from app.bootstrap.catalog import join_catalog  # noqa: PLC0415
    from app.db.engine import open_database  # noqa: PLC0415

    return join_catalog(configuration.settings(), open_database("sqlite://")).processor.kinds


def _texts(found: Iterable[FoundFile]) -> Iterable[CatalogText]:
    return (CatalogText(file.name, file.data, file.path) for file in found if not file.problem)


def _defined(linter: Linter, search: FileSearch, paths: Iterable[Path]) -> set[str]:
    """Collect the refs of the entities in other catalog files."""
    report: LintReport = linter.lint_files(_texts(search.find(paths)))
    return report.refs
