"""`callboard migrate`: the database brought to the schema of this release."""

from __future__ import annotations

import click

from app.bootstrap.database import open_configured
from app.cli.database import State, look, name_of, plain_failures
from app.cli.examples import examples
from app.cli.options import Configuration, data_options, json_option
from app.cli.output import print_json


@click.command(
    epilog=examples(
        "callboard migrate                                 (serve does it too)",
        "callboard migrate --check --config app-config.production.yaml",
    )
)
@click.option("--check", is_flag=True, help="Change nothing; fail if there is something to do.")
@json_option
@data_options
def migrate(*, configuration: Configuration, check: bool, as_json: bool) -> None:
    """Bring the database up to date, making it if it is missing.

    It is safe to run this while servers are running, and to run it twice: whoever comes second has
    nothing to do. With --check nothing is changed, and exit code 1 says that something is to be.
    """
    settings = configuration.settings()
    where = name_of(settings.backend.database)
    before = look(settings)
    if not check and not before.is_current:
        with plain_failures(where, OSError):
            database = open_configured(settings.backend.database, settings.callboard.data_directory)
            database.close()
    after = before if check else State(before.wanted, before.wanted)
    if as_json:
        revisions = {"before": before.revision, "now": after.revision, "wanted": before.wanted}
        print_json({"database": where, **revisions})
    else:
        click.echo(f"{where}: {_words(before, check=check)}")
    if not after.is_current:
        raise click.exceptions.Exit(1)


def _words(state: State, *, check: bool) -> str:
    if state.is_current:
        return f"up to date, revision {state.revision}"
    if check:
        wanted = f"revision {state.wanted} is wanted"
        return f"at revision {state.revision}, {wanted}" if state.revision else f"empty, {wanted}"
    return f"brought from {state.revision or 'nothing'} to revision {state.wanted}"
