"""Joining the catalog: from settings to the services that read and write the graph."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version

import orjson

from app.bootstrap.providers import provider_sources
from app.catalog.commands import CatalogCommands
from app.catalog.emission import Counts
from app.catalog.index_files import IndexFiles
from app.catalog.ingest import Ingest
from app.catalog.locations import generated
from app.catalog.processing import Processor
from app.catalog.rules import Allowed, Place, Rule, Rules
from app.catalog.runs import Guard
from app.catalog.snapshot import Snapshots
from app.catalog.stitching import Stitcher
from app.catalog.writing import GraphWriter
from app.db import sequence
from app.db.documents import DocumentCodec
from app.db.engine import Database
from app.db.statements import Statements
from app.graph.push.pushed import PushedSource
from app.model.documents import Limits
from app.model.entity import Entity
from app.model.kinds import Kind, KindRegistry
from app.model.relations import RelationRule
from app.scm.globs import compile_glob
from app.scm.readers import Readers, ReaderSettings, open_readers
from app.scm.reading import ReadingLimits
from app.settings import (
    CatalogRule,
    CatalogSettings,
    LocationMatch,
    Settings,
)
from app.sync.service import Source

# The source that stands for `catalog.locations`.
CONFIGURED = "locations"


@dataclass(frozen=True, slots=True)
class Catalog:
    """The catalog's services, joined on one database."""

    database: Database
    codec: DocumentCodec
    processor: Processor
    writer: GraphWriter
    stitcher: Stitcher
    commands: CatalogCommands
    snapshots: Snapshots
    ingest: Ingest

    def lineage(self) -> str:
        """Answer what tells the database from others."""
        with self.database.snapshot() as connection:
            return sequence.lineage(Statements.on(connection))


def join_catalog(
    settings: Settings,
    database: Database,
    *,
    stop: threading.Event | None = None,
    progress: Callable[[Counts], None] = lambda _: None,
) -> Catalog:
    """Join the services on an open database. Nothing is read and no thread is started."""
    catalog = settings.catalog
    codec = DocumentCodec(database)
    kinds = _kinds(catalog)
    processor = Processor(kinds, _rules(catalog.rules), _readers(settings), _limits(catalog))
    writer = GraphWriter(database, codec, processor.relations_of, catalog.orphan_strategy == "keep")
    stitcher = Stitcher(database, codec, kinds.reverse)
    removal = catalog.mass_removal
    ingest = Ingest(
        writer,
        processor,
        stitcher,
        Guard(removal.share, removal.minimum),
        _revision(catalog),
        stop=stop or threading.Event(),
        progress=progress,
    )
    return Catalog(
        database,
        codec,
        processor,
        writer,
        stitcher,
        CatalogCommands(writer, stitcher),
        Snapshots(database, IndexFiles(settings.callboard.data_directory / "index")),
        ingest,
    )


@dataclass(frozen=True, slots=True)
class ConfiguredLocations:
    """The source behind `catalog.locations`: one Location entity for each."""

    locations: tuple[tuple[str, str], ...]

    def snapshot(self) -> Iterator[Entity]:
        """Yield the Location entities."""
        for location_type, target in self.locations:
            yield generated(location_type, target)


def configured_sources(settings: Settings, readers: Readers) -> dict[str, Source]:
    """Make every source of the configuration: the locations, and one per provider entry."""
    catalog = settings.catalog
    locations = tuple((location.type, location.target) for location in catalog.locations)
    sources = [Source(CONFIGURED, ConfiguredLocations(locations))]
    sources += provider_sources(settings, readers)
    return {source.name: source for source in sources}


def pushed_sources(settings: Settings) -> dict[str, PushedSource]:
    """Make every source that the configuration lets programs push."""
    found = dict[str, PushedSource]()
    for name, source in settings.callboard.push.sources.items():
        rules = settings.catalog.rules
        if source.allow:
            rules = (*rules, CatalogRule(source.allow))
        removal = source.mass_removal or settings.catalog.mass_removal
        found[name] = PushedSource(
            name,
            f"{settings.backend.base_url}/api/graph/sources/{name}",
            frozenset(source.subjects),
            _rules(rules),
            Guard(removal.share, removal.minimum),
            source.max_entities,
            source.max_bytes,
        )
    return found


def _kinds(catalog: CatalogSettings) -> KindRegistry:
    return KindRegistry(
        Kind(
            kind.kind,
            kind.api_versions,
            kind.schema or {"type": "object"},
            tuple(
                RelationRule(rule.field.removeprefix("spec."), rule.type, rule.default_kind or "")
                for rule in kind.relations
            ),
            {rule.type: rule.reverse for rule in kind.relations},
        )
        for kind in catalog.kinds
    )


def _rules(rules: Iterable[CatalogRule]) -> Rules:
    return Rules(
        tuple(
            Rule(
                tuple(Allowed(kind.kind, kind.spec_type) for kind in rule.allow),
                None if rule.locations is None else tuple(map(_place, rule.locations)),
            )
            for rule in rules
        )
    )


def _place(match: LocationMatch) -> Place:
    pattern = (
        None
        if match.pattern is None
        else compile_glob(match.pattern, dotfiles=True, ignore_case=True)
    )
    return Place(match.type, match.exact, pattern)


def _readers(settings: Settings) -> Readers:
    allow = [
        {"host": rule.host, **({} if rule.paths is None else {"paths": list(rule.paths)})}
        for rule in settings.backend.reading
    ]
    limits = ReadingLimits(max_bytes=settings.catalog.limits.max_file_bytes)
    return open_readers(
        ReaderSettings(settings.callboard.data_directory, allow=allow, reading=limits)
    )


def _limits(catalog: CatalogSettings) -> Limits:
    limits = catalog.limits
    return Limits(
        bytes=limits.max_file_bytes,
        documents=limits.max_documents_per_file,
        nodes=limits.max_nodes,
        depth=limits.max_depth,
        entity=limits.max_entity_bytes,
    )


def _revision(catalog: CatalogSettings) -> str:
    """Stand for all that processing depends on besides what is read.

    A new release or a changed rule makes every location be read once more.
    """
    depends_on = [
        version("callboard"),
        [asdict(rule) for rule in catalog.rules],
        [asdict(kind) for kind in catalog.kinds],
        asdict(catalog.limits),
        asdict(catalog.mass_removal),
    ]
    return hashlib.sha256(orjson.dumps(depends_on, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
