"""Ingesting: from sources and Locations to the graph, in short transactions.

A source is read between transactions, never inside one. Whatever happens half way, the graph holds
what was committed and the next run finishes the rest: a partial read only adds, and what could not
be read stays as it was.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from app.catalog.emission import Counts, Emission, Flaw, Parent
from app.catalog.locations import generated
from app.catalog.processing import FileProcessor
from app.catalog.runs import BATCH, Guard, Report, Run, RunWriter, Stitching, unchecked
from app.catalog.store import GraphStore, ReadingRow
from app.catalog.visiting import Visits
from app.catalog.writing import GraphWriter
from app.db.leases import Check
from app.db.statements import Statements
from app.errors import CallboardError
from app.model.batching import batches
from app.model.entity import CatalogFile, Entity
from app.model.problem import Problem
from app.ports import Found, Ingestor


@dataclass(frozen=True, slots=True)
class Ingest:
    """Reads sources and Locations into the graph. Holds no state between calls."""

    writer: GraphWriter
    processor: FileProcessor
    stitcher: Stitching
    guard: Guard = field(default_factory=Guard)
    revision: str = ""
    max_depth: int = 32
    stop: threading.Event = field(default_factory=threading.Event)
    progress: Callable[[Counts], None] = lambda _: None

    # -- sources ----------------------------------------------------------------------------------

    def source(
        self, name: str, ingestor: Ingestor, run_id: str = "", check: Check = unchecked
    ) -> Report:
        """Store a source's whole snapshot, read the Locations in it, remove what it lacks now.

        Raises what the ingestor raises; then nothing was removed. What `check` raises in one of the
        writing transactions ends the run as well.
        """
        run = Run(check)
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
            self._visit(run)
            raise
        self._visit(run)
        return run.report

    def part(
        self, name: str, place: str, found: Sequence[Found], check: Check = unchecked
    ) -> Report:
        """Store what a source holds at one place, and remove what it held there before.

        The source itself decided that `found` is all there is. Raises `ConflictError` if that would
        remove too much.
        """
        run = Run(check)
        parent = Parent(name)
        seen = set[int]()
        for batch in batches(found, BATCH):
            seen |= self._roots(run, parent, batch)
        if not any(isinstance(item, Problem) for item in found):
            self._sweep_source(run, parent, seen, set(), place)
        self._visit(run)
        return run.report

    def forget_source(self, name: str, check: Check = unchecked) -> Report:
        """Remove all that a source emitted, because it is not configured any more."""
        run = Run(check)
        trigger = run.trigger(name)
        with self._runs.begin(run, trigger) as claims:
            rows = claims.store.emissions_by(Parent(name))
            why = trigger.cause(source=name)
            claims.release(rows, run.report.counts, why=why, eager=True)
            # What it pushed is gone, so that the same may be pushed again.
            claims.store.forget_push(name)
        self._runs.stitch(run)
        return run.report

    def known_sources(self) -> list[str]:
        """Answer every source that the graph holds something of."""
        with self.writer.look() as store:
            return store.sources()

    def count(self, name: str) -> int:
        """Count what the graph holds that a source emitted itself."""
        with self.writer.look() as store:
            return store.count_emissions(name)

    def _roots(self, run: Run, parent: Parent, found: Sequence[object]) -> set[int]:
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
        ids = self._runs.write(run, parent, emissions)
        for ref, ref_id in ids.items():
            if ref in files:
                run.given[ref_id] = files[ref]
            if ref.startswith("location:"):
                run.waiting.append((ref_id, 1))
        return set(ids.values())

    def _sweep_source(
        self, run: Run, parent: Parent, seen: set[int], spared: set[str], place: str = ""
    ) -> None:
        """Remove what a source lacks now, at one place if one is given."""
        trigger = run.trigger(parent.source)
        with self._runs.begin(run, trigger) as claims:
            rows = claims.store.emissions_by(parent)
            gone = [r for r in rows if r.ref_id not in seen and r.location not in spared]
            gone = [r for r in gone if not place or r.location == place]
            self._runs.check_removal(parent, len(gone), len(rows))
            why = trigger.cause(source=parent.source)
            claims.release(gone, run.report.counts, why=why, eager=True)

    # -- locations --------------------------------------------------------------------------------

    def locations(self, ref_ids: Iterable[int], check: Check = unchecked) -> Report:
        """Read these Locations and all that they lead to, as far as they changed."""
        run = Run(check)
        run.waiting.extend((ref_id, 1) for ref_id in ref_ids)
        self._visit(run)
        return run.report

    def all_readings(self, sql: Statements) -> list[ReadingRow]:
        """Answer how every Location was last read."""
        return GraphStore(sql).all_readings()

    @property
    def _runs(self) -> RunWriter:
        return RunWriter(self.writer, self.stitcher, self.guard, self.stop, self.progress)

    def _visit(self, run: Run) -> None:
        """Read the Locations that were found, and all that they lead to."""
        Visits(self._runs, self.processor, self.revision, self.max_depth).walk(run)
