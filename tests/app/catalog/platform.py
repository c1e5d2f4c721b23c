"""The write side on a real database and real files, joined for tests."""

from __future__ import annotations

from textwrap import dedent

import orjson

from app.catalog.commands import CatalogCommands
from app.catalog.ingest import Ingest
from app.catalog.locations import generated
from app.catalog.processing import Processor
from app.catalog.rules import Allowed, Rule, Rules
from app.catalog.stitching import Stitcher
from app.catalog.writing import GraphWriter
from app.db.documents import DocumentCodec
from app.db.statements import Statements
from app.model.documents import Limits
from app.model.kinds import KindRegistry
from app.scm.readers import ReaderSettings, open_readers
from tests.builders import ListIngestor

ALL_KINDS = Rules((Rule(tuple(map(Allowed, ("Component", "API", "Group", "Location")))),))


class Platform:
    """The write side on a real database and real files."""

    def __init__(self, database, folder, **options):
        kinds = KindRegistry()
        codec = DocumentCodec(database)
        self.database, self.folder = database, folder
        self.processor = Processor(
            kinds,
            options.pop("rules", ALL_KINDS),
            open_readers(
                ReaderSettings(folder / "data", allow=options.pop("allow", ())),
                *options.pop("urls", ()),
            ),
            Limits(),
        )
        self.writer = GraphWriter(
            database, codec, self.processor.relations_of, options.pop("keeps_orphans", False)
        )
        self.stitcher = Stitcher(database, codec, kinds.reverse)
        self.ingest = Ingest(self.writer, self.processor, self.stitcher, **options)
        self.commands = CatalogCommands(self.writer, self.stitcher)

    def source(self, *items, name="git", breaks=False):
        return self.ingest.source(name, ListIngestor(items, breaks))

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
        return path

    def root(self, name, **options):
        """Read a file as a configured location."""
        return self.source(generated("file", str(self.folder / name)), name="config", **options)

    def served(self):
        return {ref: orjson.loads(document) for ref, document in self._entities()}

    def refs(self, prefix=""):
        return sorted(ref for ref, _ in self._entities() if ref.startswith(prefix))

    def _entities(self):
        return self.rows("SELECT r.ref, e.document FROM entity e JOIN ref r ON r.id = e.id")

    def rows(self, sql, *values):
        with self.database.snapshot() as connection:
            return Statements.on(connection).rows(sql, *values)


def document(name, *, kind="Component", **spec):
    values = {"type": "service", "lifecycle": "production", "owner": "team-a", **spec}
    lines = "\n".join(f"  {key}: {orjson.dumps(value).decode()}" for key, value in values.items())
    return (
        f"apiVersion: backstage.io/v1alpha1\nkind: {kind}\n"
        f"metadata:\n  name: {name}\nspec:\n{lines}\n"
    )
