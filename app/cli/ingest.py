"""`callboard ingest`: sources read once, with a summary of what came of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping

import click

from app.bootstrap.catalog import Catalog, configured_sources, join_catalog
from app.catalog.linting import Linter
from app.catalog.runs import StoppedError
from app.cli.catalog_files import FileSearch, api_groups
from app.cli.database import opened
from app.cli.examples import examples
from app.cli.ingest_progress import Watch, stoppable, watching
from app.cli.ingest_report import Outcome, Summary, write_json, write_text
from app.cli.ingest_sources import FolderSource, SourceFinder
from app.cli.main import INTERRUPTED
from app.cli.options import Configuration, data_options, json_option, verbose_option
from app.cli.output import note
from app.db.leases import GivenUpError, LeaseLostError, Leases
from app.errors import CallboardError
from app.serve.tuning import prepare_reading
from app.settings import Settings
from app.sync.service import Source, SyncService


@click.command(
    epilog=examples(
        "callboard ingest                               all sources of the configuration",
        "callboard ingest ./my-repository --data-dir /tmp/trial",
        "callboard ingest ./services --pattern '*/catalog-info.yaml'",
        "callboard ingest https://files.example.com/catalog-info.yaml",
        "callboard ingest https://git.example.com/team/app.git --branch main",
    )
)
@click.argument("what", metavar="[PATH|URL]...", nargs=-1)
@click.option(
    "--pattern", metavar="GLOB", default="", help="Which files of a folder or repository to read."
)
@click.option("--exclude", metavar="GLOB", multiple=True, help="What to leave out of a folder.")
@click.option("--branch", metavar="NAME", default="", help="Which branch of a repository to read.")
@json_option
@verbose_option
@data_options
def ingest(  # noqa: PLR0913 - one for each option
    *,
    configuration: Configuration,
    what: tuple[str, ...],
    pattern: str,
    exclude: tuple[str, ...],
    branch: str,
    as_json: bool,
) -> None:
    """Read catalog files into the database, once, and say what came of it.

    Each PATH or URL is a file, a folder, the address of a file, or a git repository (its address
    ends in .git, or begins with git+ or ssh://). A folder stands for the catalog files in it: those
    called catalog-info.yaml, and other YAML files that hold entities. Of a repository every
    catalog-info.yaml is read. Without arguments all sources of the configuration are read.

    What an argument held the last time and holds no longer is removed. Ctrl-C stops between two
    batches; what was written stays, and running it again does the rest.

    Exit codes: 0 all is well, 1 there are problems, 2 called wrongly, 130 it was stopped.
    """
    prepare_reading()
    settings = configuration.settings()
    stop = threading.Event()
    started = time.monotonic()
    with opened(settings) as database:
        with watching() as watch:
            catalog = join_catalog(settings, database, stop=stop, progress=watch.update)
            search = FileSearch(pattern, exclude, groups=api_groups(catalog.processor.kinds))
            sources = _sources(settings, catalog, search, what, branch)
            service = SyncService(
                Leases(database), catalog.ingest, sources, longest=settings.callboard.longest_run
            )
            with stoppable(stop, catalog.processor.readers.git.cancel):
                outcomes = list(_run(service, watch, stop))
        for outcome in outcomes:
            outcome.look(database)
    spelling = {kind.name.lower(): kind.name for kind in catalog.processor.kinds.kinds}
    summary = Summary(outcomes, time.monotonic() - started, spelling)
    (write_json if as_json else write_text)(summary)
    if stop.is_set():
        note("It was stopped before the end; run it again to go on.")
        raise click.exceptions.Exit(INTERRUPTED)
    if not summary.is_good:
        raise click.exceptions.Exit(1)


def _sources(
    settings: Settings, catalog: Catalog, search: FileSearch, what: tuple[str, ...], branch: str
) -> Mapping[str, Source]:
    readers = catalog.processor.readers
    if not what:
        return configured_sources(settings, readers)
    finder = SourceFinder(settings, readers, Linter(catalog.processor.kinds), search, branch)
    found = [finder.find(argument) for argument in what]
    return {source.name: source for source in found}


def _run(service: SyncService, watch: Watch, stop: threading.Event) -> Iterator[Outcome]:
    """Run the sources one after the other; one that fails does not keep the others from it."""
    for name, source in service.sources.items():
        if stop.is_set():
            return
        outcome = Outcome(name)
        watch.begin(name)
        try:
            watch.counts = service.run(name).counts
        except GivenUpError as error:
            outcome.state, outcome.error = "failed", str(error)
        except (StoppedError, LeaseLostError):
            outcome.state = "stopped"
        except CallboardError as error:
            outcome.state, outcome.error = "failed", str(error)
        outcome.counts = watch.counts
        if isinstance(source.ingestor, FolderSource):
            outcome.left_out = source.ingestor.left_out
        yield outcome
