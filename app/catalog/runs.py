"""Runs: what one is held to and comes to, and the short transactions that it writes in."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from app.catalog.causes import NOTHING, Trigger
from app.catalog.claims import Claims
from app.catalog.clashes import conflict
from app.catalog.emission import Counts, Emission, Flaw, Parent
from app.catalog.rivals import Rivals
from app.catalog.stitching import LEARN_AT
from app.catalog.turns import Turn
from app.catalog.writing import GraphWriter
from app.db.leases import Check
from app.db.statements import Statements
from app.errors import ConflictError
from app.model.entity import CatalogFile
from app.model.uid import new_uid

# How many emissions are written in one transaction.
BATCH = 500
# With this many emissions written, what is served is brought up to date before reading on; then
# with twice as many, and so on, since what was served is written again for its new relations.
STITCH_AFTER = 100_000


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


def unchecked(_: Statements) -> None:
    """Write whatever happens elsewhere."""


@dataclass(slots=True)
class Run:
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
class Reading:
    """A Location while it is read, who of its files has which name, and their commits."""

    turn: Turn
    rivals: Rivals
    commits: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunWriter:
    """Writes what a run finds, a batch in a transaction."""

    writer: GraphWriter
    stitcher: Stitching
    guard: Guard
    stop: threading.Event
    progress: Callable[[Counts], None]

    @contextmanager
    def begin(self, run: Run, trigger: Trigger = NOTHING) -> Iterator[Claims]:
        """Open a writing transaction, if the run may still write."""
        with self.writer.begin(trigger) as claims:
            run.check(claims.store.sql)
            yield claims

    def go_on(self) -> None:
        """Raise `StoppedError` if the run was asked to stop."""
        if self.stop.is_set():
            raise StoppedError

    def stitch(self, run: Run) -> None:
        """Bring what is served up to date; what a stop leaves waiting is done at the next start."""
        run.report.stitched += self.stitcher.stitch_all(self.stop.is_set)
        run.unstitched = 0

    def check_removal(self, parent: Parent, removed: int, total: int) -> None:
        """Raise `ConflictError` if so many of so many are too many."""
        if self.guard.refuses(removed, total):
            raise ConflictError(
                f"{parent.source} would remove {removed} of its {total} entities, more than "
                f"catalog.massRemoval allows ({self.guard.share:.0%} above {self.guard.minimum}); "
                "nothing was removed. If that is meant, raise the limit and run again"
            )

    def write(
        self,
        run: Run,
        parent: Parent,
        batch: Sequence[Emission],
        reading: Reading | None = None,
    ) -> dict[str, int]:
        """Write what `parent` emits; answer the numbers of the refs that it describes."""
        self.go_on()
        self.writer.codec.learn([e.document for e in batch if e.document])
        commit = reading.commits.get(batch[0].location, "") if reading and batch else ""
        with self.begin(run, run.trigger(parent.source, commit)) as claims:
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
