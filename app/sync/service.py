"""Running sources, and recording what each run came to."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from app.catalog.emission import Counts, Flaw
from app.catalog.ingest import Ingest
from app.catalog.run_log import record_run
from app.catalog.runs import Report, StoppedError
from app.db.engine import Database
from app.db.holders import is_gone
from app.db.leases import Bound, GivenUpError, Lease, LeaseLostError, Leases, Pace
from app.db.statements import Statements
from app.errors import CallboardError, NotFoundError
from app.logs import fields
from app.model.uid import new_uid
from app.ports import Fingerprinted, Ingestor
from app.sync.store import SyncStore

log = logging.getLogger(__name__)
# Sources that no configuration names: the API's, and those of `callboard ingest PATH`.
UNCONFIGURED = frozenset({"registered", "ingest"})
# Flaws are on the entities; the log names the first ones of a run and says how many there are.
LOGGED_FLAWS = 20
# So long at most what is due waits for the process that did it last.
LONGEST_GRACE = timedelta(minutes=1)
# How long a run may take, unless the configuration says otherwise.
LONGEST_RUN = timedelta(hours=3)


@dataclass(frozen=True, slots=True)
class Source:
    """A configured source: its name, what finds its entities, and how often it is read."""

    name: str
    ingestor: Ingestor
    every: timedelta | None = None
    first_after: timedelta = timedelta(0)


class _Mark(NamedTuple):
    """What a source holds, and how much of it the graph does: callers may have deleted some.

    It is good for the next run after that with `fence`: if another process ran the source since,
    nothing is known about it.
    """

    fingerprint: str
    held: int
    fence: int


@dataclass(frozen=True, slots=True)
class SyncService:
    """Runs sources by name; those in `pushed` are not run, but configured all the same.

    A run that takes longer than `longest` is given up. `stuck` is called if it does not even end
    then, because it hangs in something that nothing can interrupt.
    """

    leases: Leases
    ingest: Ingest
    sources: Mapping[str, Source]
    observe: Callable[[str, str, float, Counts], None] = lambda *_: None
    pushed: frozenset[str] = frozenset()
    longest: timedelta = LONGEST_RUN
    stuck: Callable[[], None] = lambda: None
    # How things stood when sources were last read in full, by this process.
    _marks: dict[str, _Mark] = field(default_factory=dict)

    @property
    def database(self) -> Database:
        """Answer where runs are recorded."""
        return self.leases.database

    def evict(self) -> None:
        """Remove what came from sources that the configuration does not name any more.

        What callers registered and what the command line read once have no configuration. A source
        that another process has read, and would read again, is left alone: its configuration may be
        newer than ours.
        """
        now, leases = self.leases.look()
        for name in self.ingest.known_sources():
            if (
                name in self.sources
                or name in self.pushed
                or name.partition(":")[0] in UNCONFIGURED
            ):
                continue
            row, pace = leases.get(lease_of(name)), Pace(LONGEST_GRACE)
            if row and not (is_gone(row.holder) or row.is_due(now, pace, self.leases.holder)):
                continue
            with self.leases.held(lease_of(name)) as lease:
                if lease is not None:
                    self._forget(name, lease)

    def _forget(self, name: str, lease: Lease) -> None:
        started_at = datetime.now(UTC)
        report = self.ingest.forget_source(name, lease.check)
        with self.database.begin() as connection:
            record_report(Statements.on(connection), report, started_at)
        lease.ended()
        log.info("source evicted", extra=fields(source=name, removed=report.counts.removed))

    def abandon(self) -> None:
        """Say of runs that they are over if nobody works on them any more."""
        with self.database.snapshot() as connection:
            sources = SyncStore(Statements.on(connection)).running()
        if sources:
            now, leases = self.leases.look()
            rows = {name: leases.get(lease_of(name)) for name in sources}
            dead = [name for name, row in rows.items() if row is None or row.is_free(now)]
            with self.database.begin() as connection:
                SyncStore(Statements.on(connection)).abandon_runs(dead, datetime.now(UTC))

    def run(self, name: str) -> Report:
        """Run a source as soon as no other process does, and record it.

        A failure is recorded, logged and raised.
        """
        with self.leases.waiting(lease_of(name), self.ingest.stop, self.bound(name)) as lease:
            if lease is None:
                raise StoppedError
            report = self.run_held(name, lease)
            lease.ended()
            return report

    def bound(self, name: str, pause: timedelta | None = None) -> Bound:
        """Answer how long a run of this source may take, and what becomes of one that takes longer.

        It is due again after `pause`.
        """
        error = (
            f"The run took longer than {self.longest} and was given up. What it had written stays, "
            "and nothing was removed. If it is meant to take so long, raise callboard.runs.longest"
        )

        def fail(sql: Statements) -> None:
            SyncStore(sql).fail_runs(name, error, datetime.now(UTC))

        return Bound(self.longest, pause, fail, self.stuck)

    def run_held(self, name: str, lease: Lease) -> Report:
        """Run a source whose lease is held, and record it."""
        source = self.sources.get(name)
        if source is None:
            raise NotFoundError(f"No source named {name!r}; known: {', '.join(self.sources)}")
        try:
            mark: _Mark | CallboardError | None = self._mark(source, lease.fence)
        except CallboardError as error:
            mark = error
        if mark is not None and mark == self._marks.get(name):
            log.debug("source unchanged", extra=fields(source=name))
            self._remember(name, mark)
            return Report()
        started = time.monotonic()
        run_id = self._begin(name, lease)
        state, report, reason = "failed", Report(), None
        try:
            report = self._read(source, mark, run_id, lease)
            state = "done"
        except GivenUpError:
            # It is recorded as failed by now, with the reason.
            raise
        except (StoppedError, LeaseLostError):
            state = "stopped"
            raise
        except CallboardError as error:
            reason = str(error)
            log.warning("run failed", extra=fields(source=name, run=run_id, reason=reason))
            raise
        except Exception as error:
            reason = type(error).__name__
            raise
        finally:
            self._finish(run_id, state, report, reason)
            self.observe(name, state, time.monotonic() - started, report.counts)
        if isinstance(mark, _Mark):
            self._remember(name, mark._replace(held=self.ingest.count(name)))
        log.info("run done", extra=fields(source=name, run=run_id, **report.counts.as_dict()))
        log_flaws(report.flaws)
        return report

    def _begin(self, name: str, lease: Lease) -> str:
        run_id = new_uid()
        with self.database.begin() as connection:
            sql = Statements.on(connection)
            lease.check(sql)
            now, store = datetime.now(UTC), SyncStore(sql)
            # Who holds the lease is the only one to run it.
            store.abandon_runs([name], now)
            store.start_run(run_id, name, now)
        return run_id

    def _remember(self, name: str, mark: _Mark | CallboardError) -> None:
        if isinstance(mark, _Mark):
            self._marks[name] = mark._replace(fence=mark.fence + 1)

    def _read(
        self, source: Source, mark: _Mark | CallboardError | None, run_id: str, lease: Lease
    ) -> Report:
        if isinstance(mark, CallboardError):
            raise mark
        return self.ingest.source(source.name, source.ingestor, run_id, lease.check)

    def _mark(self, source: Source, fence: int) -> _Mark | None:
        """Ask the source what stands for its next snapshot, if it can tell."""
        if not isinstance(source.ingestor, Fingerprinted):
            return None
        fingerprint = source.ingestor.fingerprint()
        return _Mark(fingerprint, self.ingest.count(source.name), fence) if fingerprint else None

    def _finish(self, run_id: str, state: str, report: Report, error: str | None) -> None:
        with self.database.begin() as connection:
            SyncStore(Statements.on(connection)).finish_run(
                run_id, state, report.counts.as_dict(), error, datetime.now(UTC)
            )


def lease_of(source: str) -> str:
    """Name the lease that whoever runs a source holds."""
    return f"source {source}"


def record_report(sql: Statements, report: Report, started_at: datetime) -> None:
    """Record what was written without a run that was planned: one for each source."""
    for source, run_id in report.runs.items():
        record_run(sql, run_id, source, started_at, report.counts.as_dict())


def log_flaws(flaws: list[Flaw]) -> None:
    """Log what is wrong and where, but not endlessly."""
    for flaw in flaws[:LOGGED_FLAWS]:
        problem = flaw.problem
        log.warning(
            "problem",
            extra=fields(place=problem.place, ref=problem.ref, reason=problem.message),
        )
    if len(flaws) > LOGGED_FLAWS:
        log.warning("more problems", extra=fields(count=len(flaws) - LOGGED_FLAWS))
