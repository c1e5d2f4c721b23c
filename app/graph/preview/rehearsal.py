"""Rehearsing an ingestion: the real one, on files as they will be, and nothing of it is kept.

Ingesting reads, processes and writes by turns. A rehearsal runs all of it inside one trial
transaction, where nothing may be read and nothing should be parsed: what is wanted and not there is
noted, the trial rolled back, the wanted read and processed, and the trial begun anew, until
nothing is wanted any more. So the rules are those of ingesting, because it is ingesting.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import orjson

from app.catalog.dry_run import Budget, DryRunLimits
from app.catalog.ingest import Ingest
from app.catalog.locations import flaw_at, generated
from app.catalog.processing import Processor
from app.catalog.registered import REGISTERED
from app.catalog.stitching import Stitcher
from app.catalog.writing import GraphWriter
from app.db.documents import DocumentCodec
from app.db.engine import Database
from app.db.shared import SharedTransaction
from app.db.statements import Statements
from app.db.trial import trial
from app.errors import ConflictError, InputError, ServiceUnavailableError
from app.graph.preview.given_files import GivenFiles, matches, place_of, readers_behind
from app.graph.preview.rehearsed import Rehearsed, settle_flaws
from app.graph.preview.stand_ins import Desk, Later
from app.graph.preview.store import PreviewStore
from app.model import documents
from app.model.entity import CatalogFile
from app.model.problem import Problem
from app.ports import Covering, Found, Ingestor
from app.scm.addresses import parse_url
from app.scm.urls import not_allowed

# How often Locations that were changed by what others lead to are visited again.
PASSES = 8


@dataclass(frozen=True, slots=True)
class GivenFile:
    """A file as it will be; None if it will be gone.

    If nothing reads its place yet, it counts as registered, unless it `is_optional`: then it is
    left out.
    """

    location: str
    content: bytes | None
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class PreviewLimits:
    """How much one preview may cost; beyond it the preview fails and says which limit it met."""

    files: int = 500
    """How many files are given."""
    bytes: int = 10 * 1024 * 1024
    """What they hold, together."""
    entities: int = 5000
    """How many entities are processed, and how many may change."""
    reading: DryRunLimits = field(default_factory=DryRunLimits)
    """What is read besides, how many previews run at once in one process, how long they wait."""
    seconds: float = 5.0
    """How long other writers are held up at most."""
    patience: float = 5.0
    """How long other writers are waited for at most."""
    rounds: int = 100
    """How often it is begun anew because something was still to be read or processed."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the graph knows of the given files: what reads them, and what is read already.

    `locations` have to be read again, `parts` are what sources hold themselves: by source and
    place, and whether they stand for the file or are entities of it. `owned` are the given files
    that one of these is about, `read` the files of this machine that are read anyway, and
    `optional` are left out if nothing reads them.
    """

    locations: list[int]
    parts: list[tuple[str, str, bool]]
    owned: frozenset[str]
    read: frozenset[str]
    optional: frozenset[str]
    flaws: set[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Rehearsals:
    """Rehearses what given files would change. Holds no state between calls.

    `keeping` are the sources whose Locations stay when the files that they name are gone, `sources`
    the configured ones, some of which tell which files they would find.
    """

    database: Database
    ingest: Ingest
    stitcher: Stitcher
    processor: Processor
    keeping: frozenset[str]
    sources: Mapping[str, Ingestor] = field(default_factory=dict)
    limits: PreviewLimits = PreviewLimits()
    codec: DocumentCodec = field(init=False)
    turns: threading.BoundedSemaphore = field(init=False)

    def __post_init__(self) -> None:
        """Make the turns, and a codec that keeps nothing."""
        object.__setattr__(self, "codec", DocumentCodec(self.database, trains=False))
        turns = threading.BoundedSemaphore(self.limits.reading.turns)
        object.__setattr__(self, "turns", turns)

    def rehearse(self, given: Sequence[GivenFile]) -> Rehearsed:
        """Find out what ingesting these files would change.

        Raises `InputError` beyond a limit, and `ServiceUnavailableError` if too much goes on.
        """
        files = self._checked(given)
        with self._turn():
            plan = self._plan(given)
            reading = self.limits.reading
            budget = Budget(reading, time.monotonic() + reading.seconds, "a preview")
            shelf = GivenFiles(files, plan.read | frozenset(files), budget)
            readers = readers_behind(shelf, self.processor.readers)
            desk = Desk(replace(self.processor, readers=readers), self.limits.entities)
            for _ in range(self.limits.rounds):
                found = self._attempt(plan, shelf, desk)
                if not self._supply(shelf, desk):
                    found.files = files
                    self._mark_unreadable(found)
                    return found
        raise InputError("a preview cannot follow so many files that lead to others")

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self.turns.acquire(timeout=self.limits.reading.patience):
            raise ServiceUnavailableError("Too many previews at once, please try again later")
        try:
            yield
        finally:
            self.turns.release()

    def _checked(self, given: Sequence[GivenFile]) -> dict[str, bytes | None]:
        limits = self.limits
        if len(given) > limits.files:
            raise InputError(f"a preview takes at most {limits.files} files")
        if sum(len(file.content or b"") for file in given) > limits.bytes:
            raise InputError(f"a preview takes files of at most {limits.bytes} bytes together")
        files = {place_of(file.location): file.content for file in given}
        if len(files) < len(given):
            raise InputError("a preview takes each file once")
        return files

    # -- between trials ---------------------------------------------------------------------------

    def _plan(self, given: Sequence[GivenFile]) -> _Plan:
        """Find every Location and source that the given files belong to."""
        places = {place_of(file.location) for file in given}
        locations, read, owned = list[int](), set[str](), set[str]()
        with self.ingest.writer.look() as graph:
            for row in graph.all_readings():
                known = orjson.loads(row.fingerprint) if row.fingerprint else {}
                named = [place for place in known if place]
                read.update(place for place in named if place.startswith("file:"))
                if found := [place for name in named for place in _among(name, places)]:
                    owned.update(found)
                    locations.append(row.ref_id)
            store = PreviewStore(graph.sql)
            roots = store.roots_at([*places, *(file.location for file in given)])
            problems = store.problems()
        parts = dict[tuple[str, str, bool], None]()
        for root in roots:
            stands_for = root.ref == _generated_ref(root.location)
            if not (stands_for and root.source.partition(":")[0] in self.keeping):
                parts[root.source, root.location, stands_for] = None
                owned.add(place_of(root.location))
        for file in given:
            if file.content is not None:
                for name in self._covering(file.location):
                    parts.setdefault((name, file.location, True), None)
                    owned.add(place_of(file.location))
        return _Plan(
            locations,
            sorted(parts),
            frozenset(owned),
            frozenset(map(place_of, read)),
            frozenset(place_of(file.location) for file in given if file.is_optional),
            problems,
        )

    def _covering(self, location: str) -> Iterator[str]:
        """Yield the sources that would find a file there."""
        for name, ingestor in self.sources.items():
            if isinstance(ingestor, Covering) and ingestor.covers(location):
                yield name

    def _supply(self, shelf: GivenFiles, desk: Desk) -> bool:
        """Read and process what the last trial lacked; answer whether it lacked anything."""
        has_read = shelf.fetch()
        with shelf.open():
            has_processed = desk.work()
        shelf.budget.check()
        return has_read or has_processed

    def _mark_unreadable(self, found: Rehearsed) -> None:
        """Tell of files that the server would not be allowed to read, were they registered."""
        sources = self.processor.readers.url.sources
        for place in found.unknown:
            kind, _, target = place.partition(":")
            is_shown = kind == "url" and place not in found.skipped
            if is_shown and not any(s.serves(parse_url(target)) for s in sources):
                found.flaws.append(flaw_at(place, not_allowed(target)))

    # -- inside of a trial ------------------------------------------------------------------------

    def _attempt(self, plan: _Plan, shelf: GivenFiles, desk: Desk) -> Rehearsed:
        shelf.answered.clear()
        with trial(self.database, self.limits.seconds, self.limits.patience) as shared:
            store = PreviewStore(Statements.on(shared.connection))
            store.set_waiting_aside()
            start = store.newest()
            found = Rehearsed(known_flaws=plan.flaws)
            ingest = self._joined(shared, desk)
            self._ingest_known(ingest, plan, shelf, found)
            if not (shelf.missing or desk.waiting):
                self._ingest_unknown(ingest, plan, shelf, found)
            if not (shelf.missing or desk.waiting):
                self._ingest_rest(ingest, store, found)
            if not (shelf.missing or desk.waiting):
                self._stitch(shared, store)
                self._look(store, start, found)
        return found

    def _joined(self, shared: SharedTransaction, desk: Desk) -> Ingest:
        """Join an ingestion whose every transaction is the trial."""
        writer = self.ingest.writer
        return replace(
            self.ingest,
            writer=GraphWriter(shared, self.codec, writer.relations_of, writer.keeps_orphans),
            processor=desk,
            stitcher=Later(),
            stop=threading.Event(),
            progress=lambda _: None,
        )

    def _ingest_known(
        self, ingest: Ingest, plan: _Plan, shelf: GivenFiles, found: Rehearsed
    ) -> None:
        for source, place, stands_for in plan.parts:
            data = shelf.files[place_of(place)]
            shelf.answered.add(place_of(place))
            _take(ingest, (source, place), self._held(place, data, stands_for), found)
        found.flaws += ingest.locations(plan.locations).flaws

    def _held(self, place: str, data: bytes | None, stands_for: bool) -> Sequence[Found]:  # noqa: FBT001
        """Answer what a source will find in a file."""
        if data is None:
            return ()
        if stands_for:
            return [CatalogFile(place, data)]
        return documents.parse(data, place, self.processor.limits)

    def _ingest_unknown(
        self, ingest: Ingest, plan: _Plan, shelf: GivenFiles, found: Rehearsed
    ) -> None:
        """Take files that nothing read for registered ones."""
        for place, data in shelf.files.items():
            if place in shelf.answered or place in plan.owned:
                continue
            found.unknown.append(place)
            kind, _, target = place.partition(":")
            if data is None or place in plan.optional or kind != "url":
                found.skipped.append(place)
            else:
                _take(ingest, (REGISTERED, place), [generated(kind, target)], found)

    def _ingest_rest(self, ingest: Ingest, store: PreviewStore, found: Rehearsed) -> None:
        """Read Locations that changed after they were visited, as the worker would soon."""
        before = list[int]()
        for _ in range(PASSES):
            unread = store.unread()
            if not unread or unread == before:
                return
            before = unread
            found.flaws += ingest.locations(unread).flaws

    def _stitch(self, shared: SharedTransaction, store: PreviewStore) -> None:
        count = store.count_waiting()
        if count > self.limits.entities:
            raise InputError(
                f"a preview changes at most {self.limits.entities} entities; this changes {count}"
            )
        replace(self.stitcher, database=shared, codec=self.codec).stitch_all()

    def _look(self, store: PreviewStore, start: int, found: Rehearsed) -> None:
        """Read what was written, and what was there before: nobody else can have written since."""
        found.changes = store.changes_since(start)
        refs = [change.ref for change in found.changes]
        found.after, found.edges_after = store.documents(refs), store.edges_around(refs)
        with self.database.snapshot() as connection:
            outside = PreviewStore(Statements.on(connection))
            settle_flaws(found, outside, store)
            found.before = outside.documents(refs)
            found.edges_before = outside.edges_around(refs)


def _take(ingest: Ingest, part: tuple[str, str], held: Sequence[Found], found: Rehearsed) -> None:
    """Ingest what a source holds at a place."""
    source, place = part
    found.of_sources |= {item for item in held if isinstance(item, Problem)}
    try:
        found.flaws += ingest.part(source, place, held).flaws
    except ConflictError as error:
        # A mass removal: nothing is removed, and whoever runs the source is told.
        flaw = flaw_at(place, error)
        found.flaws.append(flaw)
        found.of_sources.add(flaw.problem)


def _among(name: str, places: set[str]) -> list[str]:
    """Answer which places a name in a fingerprint, perhaps a pattern, stands for."""
    place = place_of(name)
    return [place] if place in places else [one for one in places if matches(name, one)]


def _generated_ref(location: str) -> str:
    kind, _, target = location.partition(":")
    return f"location:default/{generated(kind, target).data['metadata']['name']}"
