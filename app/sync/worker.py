"""The background worker: one loop that does what is due and what was asked for.

It runs sources when the scheduler says so, reads Locations again when a caller asked for it,
watches files (a look at a file's times costs microseconds), and finishes stitching that a dead
process left. One thread does all of it; the graph has one writer anyway.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import orjson

from app.catalog.ingest import Ingest, Report, StoppedError
from app.catalog.locations import is_unchanged
from app.catalog.retention import Retention
from app.db.engine import Database
from app.db.statements import Statements
from app.errors import CallboardError
from app.logs import fields
from app.sync.scheduler import Due, Scheduler
from app.sync.service import SyncService, log_flaws
from app.sync.store import SyncStore

log = logging.getLogger(__name__)
# How often the queue of requests is looked at; together with reading it is what a refresh takes.
TICK = 0.1
ASKED_AT_ONCE = 500
FILES_EVERY = timedelta(seconds=5)
# How long it rests after failures in a row, and when a job that failed is tried again.
LONGEST_PAUSE = 60.0
RETRY = timedelta(minutes=1)
SOON = timedelta(seconds=10)
FILES, LOCATIONS, HOUSEKEEPING = "watch files", "read locations", "forget old runs"
RUNS_AT_ONCE = 1000


@dataclass(slots=True)
class Worker:
    """Works until it is told to stop."""

    database: Database
    service: SyncService
    ingest: Ingest
    locations_every: timedelta = timedelta(minutes=2)
    files_every: timedelta = FILES_EVERY
    keeps_providers: bool = False
    # How long runs and changes are kept; for ever if that is None.
    keep_runs: timedelta | None = timedelta(days=30)
    keep_changes: timedelta | None = None
    # What callers registered is emitted again if it was deleted meanwhile, as in Backstage.
    restore: Callable[[], object] = lambda: None
    _failures: int = field(default=0)
    _retention: Retention = field(init=False)

    def __post_init__(self) -> None:
        """Prepare what forgets old changes, which remembers how far it is."""
        self._retention = Retention(self.database, self.ingest.writer.codec)

    def run(self, stop: threading.Event, ready: Callable[[], None] = lambda: None) -> None:
        """Work; returns soon after `stop` is set, leaving nothing half-written."""
        with self.database.begin() as connection:
            SyncStore(Statements.on(connection)).abandon_runs(datetime.now(UTC))
        scheduler = Scheduler(self._jobs())
        self.ingest.stitcher.stitch_all(stop.is_set)
        if not self.keeps_providers:
            self.service.evict()
        self.restore()
        scheduler.start()
        ready()
        try:
            while not stop.is_set():
                self._tick(scheduler, stop)
        except StoppedError:
            pass
        finally:
            scheduler.stop()

    def _jobs(self) -> Iterable[Due]:
        for source in self.service.sources.values():
            every = source.every or timedelta(days=3650)
            yield Due(source.name, every, source.first_after)
        yield Due(FILES, self.files_every, self.files_every)
        yield Due(LOCATIONS, self.locations_every, self.locations_every)
        yield Due(HOUSEKEEPING, timedelta(days=1), timedelta(minutes=5))

    def _tick(self, scheduler: Scheduler, stop: threading.Event) -> None:
        """Do some of what was asked for and one thing that is due, so that neither starves."""
        is_busy = self._attempt(stop, self._answer_requests)
        due = scheduler.take()
        if due is not None:
            self._attempt(stop, lambda: self._do_due(scheduler, due))
        elif not is_busy:
            stop.wait(TICK)

    def _attempt(self, stop: threading.Event, work: Callable[[], bool]) -> bool:
        """Do some work, whatever comes of it; answer whether there was something to do."""
        try:
            did = work()
        except StoppedError:
            raise
        except CallboardError as error:
            log.warning("background work failed", extra=fields(reason=str(error)))
            return True
        except Exception:
            # The edge of a run: whatever happened must not end the worker, but may last.
            log.exception("background work failed")
            self._failures += 1
            stop.wait(min(LONGEST_PAUSE, TICK * 2 ** min(self._failures, 20)))
            return True
        self._failures = 0
        return did

    def _do_due(self, scheduler: Scheduler, name: str) -> bool:
        try:
            if name == HOUSEKEEPING:
                self._keep_house(scheduler)
            else:
                self._do(name)
        except (StoppedError, CallboardError):
            raise
        except Exception:
            # What is due once, at the start, would never be done.
            scheduler.hasten(name, RETRY)
            raise
        return True

    def _do(self, name: str) -> None:
        started = time.monotonic()
        if name == FILES:
            self._read(self._changed_files())
        elif name == LOCATIONS:
            with self.database.snapshot() as connection:
                ids = [row.ref_id for row in self.ingest.all_readings(Statements.on(connection))]
            self._read(ids)
        else:
            # A failure that has a name is in the run, and in the log.
            with suppress(CallboardError):
                self.service.run(name)
        log.debug("job done", extra=fields(job=name, seconds=time.monotonic() - started))

    def _keep_house(self, scheduler: Scheduler) -> None:
        """Forget what is old, some of it; what is left over is done a little later."""
        is_done, now = True, datetime.now(UTC)
        if self.keep_runs is not None:
            with self.database.begin() as connection:
                store = SyncStore(Statements.on(connection))
                is_done = store.forget_runs(now - self.keep_runs, RUNS_AT_ONCE) < RUNS_AT_ONCE
        if self.keep_changes is not None:
            is_done = self._retention.forget(now - self.keep_changes) and is_done
        if not is_done:
            scheduler.hasten(HOUSEKEEPING, SOON)

    def _record(self, report: Report, started_at: datetime) -> None:
        """Record as runs what was read at somebody's request, if it changed anything."""
        counts = report.counts
        if counts.written or counts.removed or report.stitched:
            with self.database.begin() as connection:
                store = SyncStore(Statements.on(connection))
                for source, run_id in report.runs.items():
                    store.record_run(run_id, source, started_at, counts.as_dict())

    def _read(self, ref_ids: Iterable[int]) -> None:
        ids = list(ref_ids)
        if ids:
            started_at = datetime.now(UTC)
            report = self.ingest.locations(ids)
            self._record(report, started_at)
            if report.counts.written or report.stitched:
                log_flaws(report.flaws)

    def _changed_files(self) -> list[int]:
        """Find Locations of which a file changed; only files are looked at, nothing is fetched."""
        readers = self.ingest.processor.readers
        with self.database.snapshot() as connection:
            readings = self.ingest.all_readings(Statements.on(connection))
        changed = list[int]()
        for reading in readings:
            places = orjson.loads(reading.fingerprint) if reading.fingerprint else {}
            files = ((p, sign) for p, sign in places.items() if p.startswith("file:"))
            if not all(is_unchanged(readers, place, sign) for place, sign in files):
                changed.append(reading.ref_id)
        return changed

    def _answer_requests(self) -> bool:
        with self.database.snapshot() as connection:
            asked = SyncStore(Statements.on(connection)).asked(ASKED_AT_ONCE)
        if not asked:
            return False
        # Off the queue last, so that a process that dies in between leaves the request standing.
        try:
            self._read(asked)
        except StoppedError:
            raise
        except Exception:
            # It would not go better the next time, and others may wait behind it.
            log.exception("cannot read what was asked for")
        with self.database.begin() as connection:
            SyncStore(Statements.on(connection)).answer(asked)
        return True
