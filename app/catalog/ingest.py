"""Ingesting: from sources and Locations to the graph, in short transactions.

A source is read between transactions, never inside one. Whatever happens half way, the graph holds
what was committed and the next run finishes the rest: a partial read only adds, and what could not
be read stays as it was.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol, TypeVar

import orjson

from app.catalog.causes import NOTHING, Trigger
from app.catalog.claims import Claims
from app.catalog.clashes import conflict, duplicates, rivalries
from app.catalog.emission import Counts, Emission, Flaw, Parent
from app.catalog.locations import (
    LocationEntity,
    Target,
    TargetRead,
    flaw_at,
    generated,
    is_unchanged,
    read_target,
)
from app.catalog.processing import FileProcessor
from app.catalog.rivals import Rivals
from app.catalog.stitching import LEARN_AT
from app.catalog.store import EmissionRow, GraphStore, ReadingRow
from app.catalog.turns import OvertakenError, Turn
from app.catalog.writing import GraphWriter
from app.db.leases import Check, LeaseLostError
from app.db.statements import Statements
from app.errors import CallboardError, ConflictError, InputError
from app.model.entity import CatalogFile, Entity
from app.model.problem import Problem
from app.model.uid import new_uid
from app.ports import Content, Found, Ingestor

BATCH = 500
# With this many emissions written, what is served is brought up to date before reading on; then
# with twice as many, and so on, since what was served is written again for its new relations.
STITCH_AFTER = 100_000
# So many Locations may fail for reasons that no one foresaw until a run gives up.
MAX_FAILURES = 10
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Guard:
    """How much one run may remove before it stops and asks: a `share`, above a `minimum`."""

    share: float = 0.5
    minimum: int = 100

    def refuses(self, removed: int, total: int) -> bool:
        """Tell whether removing so many is implausible: a revoked token looks like an empty set."""
        return removed > self.minimum and removed > self.share * total


class Stitching(Protocol):
    """What ingesting needs of a `Stitcher`."""

    def stitch_all(self, is_stopped: Callable[[], bool] = lambda: False) -> int:
        """Work off the whole queue, unless stopped; answer how many entities changed."""

    def learn(self) -> None:
        """Train a better compression dictionary while many documents are still to be written."""


class StoppedError(Exception):
    """The run was asked to stop; what it committed stays."""


@dataclass(slots=True)
class Report:
    """What a run did, and every flaw it met."""

    counts: Counts = field(default_factory=Counts)
    flaws: list[Flaw] = field(default_factory=list)
    stitched: int = 0
    # What the changes of each source are marked with: those that had something written.
    runs: dict[str, str] = field(default_factory=dict)


def _unchecked(_: Statements) -> None:
    """Write whatever happens elsewhere."""


@dataclass(slots=True)
class _Run:
    """The state of one walk over sources and Locations; `check` is part of its transactions."""

    check: Check
    report: Report = field(default_factory=Report)
    waiting: deque[tuple[int, int]] = field(default_factory=deque)
    visited: set[int] = field(default_factory=set)
    given: dict[int, CatalogFile] = field(default_factory=dict)
    unstitched: int = 0
    learned: int = 0
    stitch_after: int = STITCH_AFTER

    def trigger(self, source: str, commit: str = "") -> Trigger:
        """Answer what sets off what is written for a source."""
        if source not in self.report.runs:
            self.report.runs[source] = new_uid()
        return Trigger(run=self.report.runs[source], commit=commit)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A Location while it is read, who of its files has which name, and their commits."""

    turn: Turn
    rivals: Rivals
    commits: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ingest:
    """Reads sources and Locations into the graph. Holds no state between calls."""

    writer: GraphWriter
    processor: FileProcessor
    stitcher: Stitching
    guard: Guard = Guard()
    revision: str = ""
    max_depth: int = 32
    stop: threading.Event = field(default_factory=threading.Event)
    progress: Callable[[Counts], None] = lambda _: None

    # -- sources ----------------------------------------------------------------------------------

    def source(
        self, name: str, ingestor: Ingestor, run_id: str = "", check: Check = _unchecked
    ) -> Report:
        """Store a source's whole snapshot, read the Locations in it, remove what it lacks now.

        Raises what the ingestor raises; then nothing was removed. What `check` raises in one of the
        writing transactions ends the run as well.
        """
        run = _Run(check)
        if run_id:
            run.report.runs[name] = run_id
        parent = Parent(name)
        seen, spared = set[int](), set[str]()
        try:
            for found in batches(ingestor.snapshot(), BATCH):
                spared |= {item.location for item in found if isinstance(item, Problem)}
                seen |= self._roots(run, parent, found)
            self._sweep_source(run, parent, seen, spared)
        except CallboardError:
            # What was found is shown nevertheless; only nothing is removed.
            self._walk(run)
            raise
        self._walk(run)
        return run.report

    def part(
        self, name: str, place: str, found: Sequence[Found], check: Check = _unchecked
    ) -> Report:
        """Store what a source holds at one place, and remove what it held there before.

        The source itself decided that `found` is all there is. Raises `ConflictError` if that would
        remove too much.
        """
        run = _Run(check)
        parent = Parent(name)
        seen = set[int]()
        for batch in batches(found, BATCH):
            seen |= self._roots(run, parent, batch)
        if not any(isinstance(item, Problem) for item in found):
            self._sweep_source(run, parent, seen, set(), place)
        self._walk(run)
        return run.report

    def forget_source(self, name: str, check: Check = _unchecked) -> Report:
        """Remove all that a source emitted, because it is not configured any more."""
        run = _Run(check)
        trigger = run.trigger(name)
        with self._begin(run, trigger) as claims:
            rows = claims.store.emissions_by(Parent(name))
            why = trigger.cause(source=name)
            claims.release(rows, run.report.counts, why=why, eager=True)
            # What it pushed is gone, so that the same may be pushed again.
            claims.store.forget_push(name)
        self._stitch(run)
        return run.report

    def known_sources(self) -> list[str]:
        """Answer every source that the graph holds something of."""
        with self.writer.look() as store:
            return store.sources()

    def count(self, name: str) -> int:
        """Count what the graph holds that a source emitted itself."""
        with self.writer.look() as store:
            return store.count_emissions(name)

    def _roots(self, run: _Run, parent: Parent, found: Sequence[object]) -> set[int]:
        emissions, files = list[Emission](), dict[str, CatalogFile]()
        for item in found:
            if isinstance(item, Entity):
                emissions.append(self.processor.entity(item, item.location))
            elif isinstance(item, CatalogFile):
                kind, _, target = item.location.partition(":")
                entity = generated(kind, target)
                emissions.append(self.processor.entity(entity, entity.location))
                files[emissions[-1].ref] = item
            elif isinstance(item, Problem):
                error = {"name": item.name, "message": item.message}
                run.report.flaws.append(Flaw(error, item))
        ids = self._write(run, parent, emissions)
        for ref, ref_id in ids.items():
            if ref in files:
                run.given[ref_id] = files[ref]
            if ref.startswith("location:"):
                run.waiting.append((ref_id, 1))
        return set(ids.values())

    def _sweep_source(
        self, run: _Run, parent: Parent, seen: set[int], spared: set[str], place: str = ""
    ) -> None:
        """Remove what a source lacks now, at one place if one is given."""
        trigger = run.trigger(parent.source)
        with self._begin(run, trigger) as claims:
            rows = claims.store.emissions_by(parent)
            gone = [r for r in rows if r.ref_id not in seen and r.location not in spared]
            gone = [r for r in gone if not place or r.location == place]
            self._check_removal(parent, len(gone), len(rows))
            why = trigger.cause(source=parent.source)
            claims.release(gone, run.report.counts, why=why, eager=True)

    def _check_removal(self, parent: Parent, removed: int, total: int) -> None:
        if self.guard.refuses(removed, total):
            raise ConflictError(
                f"{parent.source} would remove {removed} of its {total} entities, more than "
                f"catalog.massRemoval allows ({self.guard.share:.0%} above {self.guard.minimum}); "
                "nothing was removed. If that is meant, raise the limit and run again"
            )

    # -- locations --------------------------------------------------------------------------------

    def locations(self, ref_ids: Iterable[int], check: Check = _unchecked) -> Report:
        """Read these Locations and all that they lead to, as far as they changed."""
        run = _Run(check)
        run.waiting.extend((ref_id, 1) for ref_id in ref_ids)
        self._walk(run)
        return run.report

    def all_readings(self, sql: Statements) -> list[ReadingRow]:
        """Answer how every Location was last read."""
        return GraphStore(sql).all_readings()

    def _walk(self, run: _Run) -> None:
        """Visit what waits; one that cannot be visited at all keeps few others from it."""
        failures = list[Exception]()
        try:
            while run.waiting and len(failures) < MAX_FAILURES:
                self._go_on()
                ref_id, depth = run.waiting.popleft()
                if ref_id in run.visited:
                    continue
                run.visited.add(ref_id)
                try:
                    self._visit(run, ref_id, depth)
                except (StoppedError, LeaseLostError):
                    raise
                except Exception as error:  # noqa: BLE001 - raised below
                    failures.append(error)
                if run.unstitched >= run.stitch_after:
                    self._stitch(run)
                    run.stitch_after *= 2
        finally:
            self._stitch(run)
        if failures:
            raise failures[0]

    @contextmanager
    def _begin(self, run: _Run, trigger: Trigger = NOTHING) -> Iterator[Claims]:
        with self.writer.begin(trigger) as claims:
            run.check(claims.store.sql)
            yield claims

    def _go_on(self) -> None:
        if self.stop.is_set():
            raise StoppedError

    def _stitch(self, run: _Run) -> None:
        """Bring what is served up to date; what a stop leaves waiting is done at the next start."""
        run.report.stitched += self.stitcher.stitch_all(self.stop.is_set)
        run.unstitched = 0

    def _visit(self, run: _Run, ref_id: int, depth: int) -> None:
        location, before = self._load(ref_id)
        if location is None:
            return
        turn = Turn(location, before)
        try:
            self._take_turn(run, turn, depth)
        except OvertakenError:
            self._ask_again(run, ref_id)
            return
        if depth > self.max_depth:
            return
        with self.writer.look() as store:
            children = store.emissions_below(ref_id)
            refs = store.refs(row.ref_id for row in children)
        run.waiting.extend(
            (row.ref_id, depth + 1)
            for row in children
            if row.claimed and refs[row.ref_id].startswith("location:")
        )

    def _take_turn(self, run: _Run, turn: Turn, depth: int) -> None:
        location = turn.location
        given = run.given.pop(location.ref_id, None)
        if depth > self.max_depth:
            message = f"Locations are nested more than {self.max_depth} deep; is there a cycle?"
            after = turn.ended(turn.before.fingerprint, good=turn.before.good)
            self._finish(run, turn, [], [flaw_at(location.location, InputError(message))], after)
        elif not location.is_newest or self._is_unchanged(turn.before.fingerprint, given):
            # Of one that is not valid, what it leads to stays as it is, and the error on it too.
            run.report.counts.unchanged += 1
        else:
            self._read(run, turn, given)

    def _ask_again(self, run: _Run, ref_id: int) -> None:
        """Have a Location read later: what another process wrote of it may be older than this."""
        with self._begin(run) as claims:
            if any(row.claimed for row in claims.store.emissions_of([ref_id])[ref_id]):
                claims.store.ask_for([ref_id], new_uid(), claims.now)

    def _load(self, ref_id: int) -> tuple[LocationEntity | None, ReadingRow]:
        never = ReadingRow(ref_id, "", good=False)
        with self.writer.look() as store:
            for row in store.claimed([ref_id]):
                data = orjson.loads(self.writer.codec.unpack(row.document))
                ref = store.refs([ref_id])[ref_id]
                emission = store.emission(row.emission_id)
                location = LocationEntity(
                    ref_id,
                    ref,
                    row.emission_id,
                    row.source,
                    data,
                    bool(row.is_newest),
                    emission.hash if emission else b"",
                )
                return location, store.readings([ref_id]).get(ref_id, never)
        return None, never

    def _is_unchanged(self, fingerprint: str, given: CatalogFile | None) -> bool:
        """Ask every place that was read whether it still holds the same."""
        known = orjson.loads(fingerprint) if fingerprint else {}
        if known.pop("", None) != self.revision:
            return False
        if given is not None:
            return bool(given.fingerprint) and known.get(given.location) == given.fingerprint
        readers = self.processor.readers
        return all(is_unchanged(readers, place, sign) for place, sign in known.items())

    def _read(self, run: _Run, turn: Turn, given: CatalogFile | None) -> None:
        """Read every target, write what it holds, and remove what it holds no longer."""
        location = turn.location
        seen, done, broken = set[int](), set[str](), set[str]()
        rivals = Rivals(seen, self._places(location))
        reading = _Reading(turn, rivals)
        flaws, notices, fingerprints = list[Flaw](), list[Flaw](), {"": self.revision}
        parent = Parent(location.source, location.ref_id)
        for read in self._reads(location, given):
            if read.flaw is not None:
                flaws.append(read.flaw)
                rivals.unread.add(read.target.location)
                # Whatever will be found there counts as changed.
                fingerprints[read.target.location] = ""
                continue
            fingerprints[read.target.location] = read.fingerprint
            rivals.coming.discard(read.target.location)
            rivals.coming |= {content.location for content in read.contents}
            for content in read.contents:
                rivals.coming.discard(content.location)
                processed = self.processor.file(content, location.origin)
                fingerprints |= processed.fingerprints
                if processed.flaws:
                    flaws += processed.flaws
                    broken.add(content.location)
                    rivals.unread.add(content.location)
                    continue
                done.add(content.location)
                reading.commits[content.location] = content.commit
                notices += duplicates(processed.emissions)
                for batch in batches(processed.emissions, BATCH):
                    seen |= self._write_file(run, parent, batch, reading)
        for waited in rivals.put_off():
            run.report.counts.read -= len(waited)
            for batch in batches(waited, BATCH):
                seen |= self._write_file(run, parent, batch, reading)
        notices += rivalries(rivals.lost)
        run.report.counts.conflicts += len(rivals.lost)
        failed = any(flaw.problem.location not in broken for flaw in flaws)
        with self.writer.look() as store:
            rows = store.emissions_below(location.ref_id)
        # Another source may have emitted this Location before: what came of that goes as well.
        gone = [
            row
            for row in rows
            if (row.ref_id not in seen or row.source != location.source)
            and row.location not in broken
            and (not failed or row.location in done)
        ]
        try:
            lost = {row.ref_id for row in gone} - seen
            self._check_removal(parent, len(lost), len({row.ref_id for row in rows}))
        except ConflictError as error:
            flaws.append(flaw_at(location.location, error))
            gone = []
        good = turn.before.good or bool(done) or not flaws
        after = turn.ended(orjson.dumps(fingerprints).decode(), good=good)
        self._finish(run, turn, gone, [*flaws, *notices], after)

    def _reads(self, location: LocationEntity, given: CatalogFile | None) -> Iterator[TargetRead]:
        try:
            for target in location.targets(self.processor.readers):
                if given is not None:
                    content = Content(given.location, given.content, given.commit)
                    yield TargetRead(target, (content,), given.fingerprint)
                else:
                    yield read_target(self.processor.readers, location, target)
        except InputError as error:
            yield TargetRead(Target("", ""), flaw=flaw_at(location.location, error))

    def _places(self, location: LocationEntity) -> set[str]:
        """Answer where a Location points, as far as that makes sense."""
        places = set[str]()
        with suppress(InputError):
            places.update(target.location for target in location.targets(self.processor.readers))
        return places

    def _write_file(
        self,
        run: _Run,
        parent: Parent,
        batch: Sequence[Emission],
        reading: _Reading,
    ) -> set[int]:
        """Write some of a file of a Location that is being read; answer which refs it describes."""
        ids = self._write(run, parent, batch, reading)
        run.report.flaws += [flaw for e in batch if e.ref in ids for flaw in e.flaws]
        return set(ids.values())

    def _write(
        self,
        run: _Run,
        parent: Parent,
        batch: Sequence[Emission],
        reading: _Reading | None = None,
    ) -> dict[str, int]:
        self._go_on()
        self.writer.codec.learn([e.document for e in batch if e.document])
        commit = reading.commits.get(batch[0].location, "") if reading and batch else ""
        with self._begin(run, run.trigger(parent.source, commit)) as claims:
            if reading is not None:
                reading.turn.check(claims.store, claims.now)
            rivals = reading.rivals if reading else None
            ids = claims.write(parent, batch, run.report.counts, rivals)
        run.report.flaws += [conflict(emission, place) for emission, place in claims.lost]
        run.unstitched += len(batch)
        if bisect_right(LEARN_AT, run.unstitched) > run.learned:
            run.learned += 1
            self.stitcher.learn()
        self.progress(run.report.counts)
        return ids

    def _finish(
        self,
        run: _Run,
        turn: Turn,
        gone: Sequence[EmissionRow],
        flaws: Sequence[Flaw],
        after: ReadingRow,
    ) -> None:
        run.report.flaws += flaws
        location = turn.location
        trigger = run.trigger(location.source)
        with self._begin(run, trigger) as claims:
            store = claims.store
            turn.check(store, claims.now)
            why = trigger.cause(source=location.source, location=location.location)
            claims.release(gone, run.report.counts, why=why)
            if store.emission(location.emission_id) is None:
                # Only what it emitted held it up, and that is gone.
                return
            if self._flaws_differ(store, location, flaws):
                claims.note_flaws(location.emission_id, flaws)
                store.mark_dirty({location.ref_id: why})
            if after.good and not turn.before.good:
                store.mark_dirty({location.ref_id: why})
            if after != turn.now:
                store.save_reading(after, claims.now)

    def _flaws_differ(
        self, store: GraphStore, location: LocationEntity, flaws: Sequence[Flaw]
    ) -> bool:
        known = store.problems_of([location.emission_id]).get(location.emission_id, [])
        return [(p.error, p.line, p.column) for p in known] != [
            (orjson.dumps(f.error).decode(), f.problem.line, f.problem.column) for f in flaws
        ]


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Cut a stream into lists of at most `size`."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
