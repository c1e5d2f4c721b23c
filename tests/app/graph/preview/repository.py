"""A repository in memory, read as the URLs below one address; and a write side that reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson

from app.catalog.ingest import Ingest
from app.catalog.locations import generated
from app.catalog.processing import Processor
from app.catalog.registered import REGISTERED, RegisteredLocations
from app.catalog.rules import Allowed, Rule, Rules
from app.catalog.snapshot import Snapshots
from app.catalog.stitching import Stitcher
from app.catalog.writing import GraphWriter
from app.db import tables
from app.db.documents import DocumentCodec
from app.db.statements import Statements
from app.errors import NotFoundError
from app.graph.preview.rehearsal import GivenFile, PreviewLimits, Rehearsals
from app.model.documents import Limits
from app.model.entity import CatalogFile
from app.model.kinds import KindRegistry
from app.ports import Content, Reading
from app.scm.addresses import resolve_url
from app.scm.globs import compile_glob, has_magic
from app.scm.readers import ReaderSettings, open_readers
from app.sync.store import SyncStore
from tests.builders import ListIngestor

BASE = "https://git.example.org/org/repo/blob/main/"
ALLOWED = Rules((Rule(tuple(map(Allowed, ("Component", "API", "Group", "User", "Location")))),))
CONFIG = "locations"
MOST_ROUNDS = 8
WRITTEN = (
    "SELECT (SELECT max(seq) FROM change), (SELECT max(id) FROM emission), "
    "(SELECT max(id) FROM problem), (SELECT count(*) FROM refresh)"
)


@dataclass
class Repository:
    """Files by their paths."""

    files: dict[str, str] = field(default_factory=dict)
    reads: int = 0

    def serves(self, url) -> bool:
        return url.href.startswith(BASE)

    def search(self, url, fingerprint=""):
        if not has_magic(url):
            return self.fetch(url, fingerprint)
        glob = compile_glob(url.removeprefix(BASE))
        paths = [path for path in sorted(self.files) if glob.matches(path)]
        if not paths:
            raise NotFoundError(f"could not read {url}, nothing matches")
        return self._read(paths, fingerprint)

    def fetch(self, url, fingerprint=""):
        path = url.removeprefix(BASE)
        if path not in self.files:
            raise NotFoundError(f"could not read {url}, 404 Not Found")
        return self._read([path], fingerprint)

    def resolve(self, target, base):
        return resolve_url(target, base)

    def repository(self, url):
        return BASE if url.startswith(BASE) else None

    def _read(self, paths, fingerprint):
        self.reads += 1
        contents = tuple(Content(f"url:{BASE}{p}", self.files[p].encode()) for p in paths)
        sign = hashlib.sha256(repr(contents).encode()).hexdigest()
        return None if sign == fingerprint else Reading(contents, sign)


@dataclass
class CatalogFiles:
    """An ingestor of the files below `git/`."""

    repository: Repository

    def covers(self, location):
        return location.startswith(f"url:{BASE}git/")

    def snapshot(self):
        for path, text in sorted(self.repository.files.items()):
            if path.startswith("git/"):
                yield CatalogFile(f"url:{BASE}{path}", text.encode())


class RepositoryPlatform:
    """The write side on a real database, reading a repository in memory."""

    def __init__(self, database, folder, limits=None, **options):
        kinds, codec = KindRegistry(), DocumentCodec(database)
        self.database, self.repository = database, Repository()
        readers = open_readers(ReaderSettings(folder / "data"), self.repository)
        self.processor = Processor(kinds, options.pop("rules", ALLOWED), readers, Limits())
        orphans = options.pop("keeps_orphans", False)
        self.writer = GraphWriter(database, codec, self.processor.relations_of, orphans)
        self.stitcher = Stitcher(database, codec, kinds.reverse)
        self.ingest = Ingest(self.writer, self.processor, self.stitcher, **options)
        self.registered = RegisteredLocations(self.writer, self.stitcher, self.processor)
        self.rehearsals = Rehearsals(
            database,
            self.ingest,
            self.stitcher,
            self.processor,
            frozenset({CONFIG, REGISTERED}),
            {"git:repo": CatalogFiles(self.repository), "other": ListIngestor()},
            limits or PreviewLimits(),
        )
        self.snapshots = Snapshots(database)

    def root(self, *paths):
        """Read files as configured locations."""
        found = [generated("url", BASE + path) for path in paths]
        return self.ingest.source(CONFIG, ListIngestor(found))

    def provide(self):
        """Read files as an ingestor finds them."""
        return self.ingest.source("git:repo", CatalogFiles(self.repository))

    def work(self):
        """Read what was asked for and then everything, until nothing changes any more."""
        for _ in range(MOST_ROUNDS):
            before = self.rows(WRITTEN)
            with self.database.begin() as connection:
                asked = SyncStore(Statements.on(connection)).take_on("tests", 1000)
            if asked:
                self.ingest.locations(asked)
                with self.database.begin() as connection:
                    store = SyncStore(Statements.on(connection))
                    store.answer("tests", asked)
                    store.let_go("tests")
            with self.database.snapshot() as connection:
                rows = self.ingest.all_readings(Statements.on(connection))
            self.ingest.locations(row.ref_id for row in rows)
            if self.rows(WRITTEN) == before:
                return
        raise AssertionError("reading the same again and again never comes to an end")

    def rehearse(self, changed):
        return self.rehearsals.rehearse(list(given(changed)))

    def served(self):
        sql = "SELECT r.ref, e.document FROM entity e JOIN ref r ON r.id = e.id"
        return {ref: orjson.loads(document) for ref, document in self.rows(sql)}

    def rows(self, sql, *values):
        with self.database.snapshot() as connection:
            return Statements.on(connection).rows(sql, *values)

    def everything(self):
        """Answer all that a preview must leave as it is."""
        return {
            table.name: sorted(map(repr, self.rows(f'SELECT * FROM "{table.name}"')))
            for table in tables.metadata.sorted_tables
        }


def given(changed) -> Iterator[GivenFile]:
    for path, text in changed.items():
        yield GivenFile(f"url:{BASE}{path}", None if text is None else text.encode())


def document(name, *, kind="Component", **spec):
    values = {"type": "service", "lifecycle": "production", "owner": "team-a", **spec}
    if kind == "Group":
        values = {"type": "team", "children": [], **spec}
    if kind == "Location":
        values = spec
    written = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": values,
    }
    return f"{orjson.dumps(written).decode()}\n"


def documents(*texts):
    return "---\n".join(texts)
