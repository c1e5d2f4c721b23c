"""A catalog on a real database that reads a web server, and the worker's part done by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import dedent

import orjson

from app.catalog.dry_run import DryRunLimits, DryRuns
from app.catalog.ingest import Ingest
from app.catalog.processing import Processor
from app.catalog.registered import RegisteredLocations
from app.catalog.rules import Allowed, Rule, Rules
from app.catalog.snapshot import Snapshots
from app.catalog.stitching import Stitcher
from app.catalog.validation import EntityValidator
from app.catalog.writing import GraphWriter
from app.db.documents import DocumentCodec
from app.db.statements import Statements
from app.model.documents import Limits
from app.model.kinds import KindRegistry
from app.scm.readers import ReaderSettings, open_readers
from app.sync.store import SyncStore
from tests.app.scm.web_server import WebServer

RULES = Rules((Rule(tuple(map(Allowed, ("Component", "API", "Location")))),))


def make_processor(site: WebServer, folder) -> Processor:
    """Make a processor that may read `site` and nothing else."""
    allow = [{"host": f"127.0.0.1:{site.port}"}]
    readers = open_readers(ReaderSettings(folder / "data", allow=allow))
    return Processor(KindRegistry(), RULES, readers, Limits())


class WebCatalog:
    """What registering needs, and what tests ask of the graph."""

    def __init__(self, database, site: WebServer, folder, **options) -> None:
        self.database, self.site = database, site
        self.processor = make_processor(site, folder)
        codec = DocumentCodec(database)
        writer = GraphWriter(
            database, codec, self.processor.relations_of, options.pop("keeps_orphans", False)
        )
        stitcher = Stitcher(database, codec, self.processor.kinds.reverse)
        self.ingest = Ingest(writer, self.processor, stitcher)
        self.registered = RegisteredLocations(writer, stitcher, self.processor, **options)
        self.dry_runs = DryRuns(self.processor, DryRunLimits())
        self.validator = EntityValidator(self.processor, self.dry_runs)
        self.snapshots = Snapshots(database)

    def publish(self, path: str, text: str) -> str:
        return self.site.answer(path, dedent(text).encode())

    def work(self) -> int:
        """Read what was asked for, as the background worker does; answer how much that was."""
        with self.database.begin() as connection:
            asked = SyncStore(Statements.on(connection)).take_on("tests", 100)
        if asked:
            self.ingest.locations(asked)
        with self.database.begin() as connection:
            store = SyncStore(Statements.on(connection))
            store.answer("tests", asked)
            store.let_go("tests")
        return len(asked)

    def served(self) -> dict[str, dict]:
        sql = "SELECT r.ref, e.document FROM entity e JOIN ref r ON r.id = e.id"
        return {ref: orjson.loads(document) for ref, document in self.rows(sql)}

    def names(self) -> list[str]:
        """Name what is served, but for Locations."""
        refs = (ref for ref in self.served() if not ref.startswith("location:"))
        return sorted(ref.partition("/")[2] for ref in refs)

    def rows(self, sql: str, *values: object) -> list:
        with self.database.snapshot() as connection:
            return Statements.on(connection).rows(sql, *values)


@contextmanager
def open_catalog(database, site: WebServer, folder, **options) -> Iterator[WebCatalog]:
    catalog = WebCatalog(database, site, folder, **options)
    try:
        yield catalog
    finally:
        catalog.snapshots.close()


def component(name: str, **spec: str) -> str:
    """Write a Component."""
    values = {"type": "service", "lifecycle": "production", "owner": "team-a", **spec}
    lines = "".join(f"  {key}: {value}\n" for key, value in values.items())
    return (
        f"apiVersion: backstage.io/v1alpha1\nkind: Component\n"
        f"metadata:\n  name: {name}\nspec:\n{lines}"
    )


def location(name: str, *targets: str, **spec: str) -> str:
    """Write a Location."""
    lines = "".join(f"  {key}: {value}\n" for key, value in spec.items())
    return (
        f"apiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata:\n  name: {name}\n"
        f"spec:\n{lines}  targets: {orjson.dumps(targets).decode()}\n"
    )
