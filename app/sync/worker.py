"""The background worker: one loop that does what is due and what was asked for.

It runs sources when the scheduler says so, reads Locations again when a caller asked for it,
watches files (a look at a file's times costs microseconds), and finishes stitching that a dead
process left. One thread does all of it; the graph has one writer anyway.

Any number of workers may share a database. All wake up for what is due, and the one that gets its
lease does it; what was asked for they take on in batches. What one left undone when it died, those
who look around find.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import orjson

from app.catalog.ingest import Ingest
from app.catalog.locations import is_unchanged
from app.catalog.retention import Retention
from app.catalog.runs import Report, StoppedError
from app.catalog.store import GraphStore
from app.db.engine import Database
from app.db.leases import Check, Lease, LeaseLostError, Leases, Pace
from app.db.outages import is_outage
from app.db.statements import Statements
from app.errors import CallboardError
from app.logs import fields
from app.model.uid import new_uid
from app.sync.scheduler import JITTER_SHARE, Due, Scheduler
from app.sync.service import LONGEST_GRACE, SyncService, lease_of, log_flaws, record_report
from app.sync.store import SyncStore

log = logging.getLogger(__name__)
# How often the queue of requests is looked at; together with reading it is what a refresh takes.
TICK = 0.1
ASKED_AT_ONCE = 100
FILES_EVERY = timedelta(seconds=5)
# How often a worker looks for what others left undone.
LOOK_AROUND = timedelta(seconds=5)
# How long it rests after failures in a row, and when a job that failed is tried again.
LONGEST_PAUSE = 60.0
# A database that is back is to be noticed soon.
AWAY = 1.0
RETRY = timedelta(minutes=1)
FILES, LOCATIONS, HOUSEKEEPING = "watch files", "read locations", "keep house"
OTHERS = "look around"
KEEP_LEASES = timedelta(days=30)
NEVER = timedelta(days=3650)
SOON = timedelta(seconds=10)
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
    look_every: timedelta = LOOK_AROUND
    # How long runs and changes are kept; for ever if that is None.
    keep_runs: timedelta | None = timedelta(days=30)
    keep_changes: timedelta | None = None
    # What callers registered is emitted again if it was deleted meanwhile, as in Backstage.
    restore: Callable[[], object] = lambda: None
    _failures: int = field(default=0)
    _started_at: datetime | None = field(default=None)
    _retention: Retention = field(init=False)

    def __post_init__(self) -> None:
        """Prepare what forgets old changes, which remembers how far it is."""
        self._retention = Retention(self.database, self.ingest.writer.codec)

    def run(self, stop: threading.Event, ready: Callable[[], None] = lambda: None) -> None:
        """Work; returns soon after `stop` is set, leaving nothing half-written."""
        self._started_at = self.leases.now()
        scheduler = Scheduler([*self._shared(), *self._own()])
        self._look_around(scheduler)
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
            self.leases.retire()

    @property
    def leases(self) -> Leases:
        """Answer what keeps workers from doing the same."""
        return self.service.leases

    def _shared(self) -> Iterator[Due]:
        """Answer what one worker at a time does."""
        for source in self.service.sources.values():
            yield Due(source.name, source.every or NEVER, source.first_after)
        yield Due(LOCATIONS, self.locations_every, self.locations_every)
        yield Due(HOUSEKEEPING, timedelta(hours=1), timedelta(minutes=5))

    def _own(self) -> Iterator[Due]:
        """Answer what every worker does for itself."""
        yield Due(FILES, self.files_every, self.files_every)
        yield Due(OTHERS, self.look_every, self.look_every)

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
        except (CallboardError, LeaseLostError) as error:
            log.warning("background work failed", extra=fields(reason=str(error)))
            return True
        except Exception as error:
            # The edge of a run: whatever happened must not end the worker, but may last.
            longest = LONGEST_PAUSE
            if is_outage(error):
                longest = AWAY
                log.warning("the database does not answer", extra=fields(reason=str(error)))
            else:
                log.exception("background work failed")
            self._failures += 1
            stop.wait(min(longest, TICK * 2 ** min(self._failures, 20)))
            return True
        self._failures = 0
        return did

    def _do_due(self, scheduler: Scheduler, name: str) -> bool:
        started = time.monotonic()
        if name == FILES:
            self._watch_files()
        elif name == OTHERS:
            self._look_around(scheduler)
        else:
            self._do_alone(scheduler, next(due for due in self._shared() if due.name == name))
        log.debug("job done", extra=fields(job=name, seconds=time.monotonic() - started))
        return True

    def _do_alone(self, scheduler: Scheduler, due: Due) -> None:
        """Do what is due, unless another worker does it or has done it."""
        pace = Pace(_grace(due), self._started_at)
        bound = self.service.bound(due.name, _pause(due))
        with self.leases.held(_lease(due), pace, bound) as lease:
            if lease is None:
                return
            try:
                is_done = self._do(due.name, lease)
            except (StoppedError, LeaseLostError):
                raise
            except CallboardError:
                lease.again_after(_pause(due))
                raise
            except Exception as error:
                # What is due once, at the start, would never be done.
                if not is_outage(error):
                    lease.again_after(min(RETRY, due.every))
                scheduler.hasten(due.name, RETRY)
                raise
            lease.again_after(_pause(due) if is_done else SOON)
        if not is_done:
            scheduler.hasten(due.name, SOON)

    def _do(self, name: str, lease: Lease) -> bool:
        """Do it; answer whether that was all."""
        if name == LOCATIONS:
            with self.database.snapshot() as connection:
                ids = [row.ref_id for row in self.ingest.all_readings(Statements.on(connection))]
            self._read(ids, lease.check)
        elif name == HOUSEKEEPING:
            if not self.keeps_providers:
                self.service.evict()
            self.leases.forget(KEEP_LEASES)
            return self._forget_old()
        else:
            # A failure that has a name is in the run, and in the log.
            with suppress(CallboardError):
                self.service.run_held(name, lease)
        return True

    def _forget_old(self) -> bool:
        """Forget some of what is old; answer whether nothing is left of it."""
        is_done, now = True, datetime.now(UTC)
        if self.keep_runs is not None:
            with self.database.begin() as connection:
                store = SyncStore(Statements.on(connection))
                is_done = store.forget_runs(now - self.keep_runs, RUNS_AT_ONCE) < RUNS_AT_ONCE
        if self.keep_changes is not None:
            is_done = self._retention.forget(now - self.keep_changes) and is_done
        return is_done

    def _record(self, report: Report, started_at: datetime) -> None:
        """Record as runs what was read at somebody's request, if it changed anything."""
        counts = report.counts
        if counts.written or counts.removed or report.stitched:
            with self.database.begin() as connection:
                record_report(Statements.on(connection), report, started_at)

    def _look_around(self, scheduler: Scheduler) -> None:
        """Find what other workers left undone, and what they have no time for."""
        self.service.abandon()
        now, leases = self.leases.look()
        with self.database.snapshot() as connection:
            sql = Statements.on(connection)
            taken_on = SyncStore(sql).taken_on()
            unstitched = GraphStore(sql).count_dirty()
        dead = [name for name in taken_on if name not in leases or leases[name].is_free(now)]
        if dead:
            with self.database.begin() as connection:
                store = SyncStore(Statements.on(connection))
                for name in dead:
                    store.let_go(name)
        if unstitched and all(row.is_free(now) for row in leases.values()):
            # Whoever reads much does not stitch until the end, and knows why.
            self.ingest.stitcher.stitch_all(self.ingest.stop.is_set)
        for due in self._shared():
            row = leases.get(_lease(due))
            if row is not None and row.is_overdue(now, _grace(due)):
                scheduler.put(due.name)

    def _read(self, ref_ids: Iterable[int], check: Check) -> None:
        ids = list(ref_ids)
        if ids:
            started_at = datetime.now(UTC)
            report = self.ingest.locations(ids, check)
            self._record(report, started_at)
            if report.counts.written or report.stitched:
                log_flaws(report.flaws)

    def _watch_files(self) -> None:
        """Have Locations read of which a file changed, by whoever has time."""
        changed = self._changed_files()
        if changed:
            with self.ingest.writer.begin() as claims:
                claims.store.ask_for(changed, new_uid(), claims.now)

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
            if not SyncStore(Statements.on(connection)).is_asked():
                return False
        name = f"requests {self.leases.holder}"
        # Nobody else is to hang in what one has hung in.
        bound = replace(self.service.bound(""), given_up=lambda sql: _drop(sql, name))
        with self.leases.held(name, bound=bound) as lease:
            if lease is not None:
                self._answer(lease)
        return True

    def _answer(self, lease: Lease) -> None:
        with self.database.begin() as connection:
            asked = SyncStore(Statements.on(connection)).take_on(lease.name, ASKED_AT_ONCE)
        # Off the queue last, so that a process that dies in between leaves the request standing.
        is_answered = False
        try:
            self._read(asked, lease.check)
            is_answered = True
        except (StoppedError, LeaseLostError):
            raise
        except Exception as error:
            if is_outage(error):
                raise
            # It would not go better the next time, and others may wait behind it.
            log.exception("cannot read what was asked for")
            is_answered = True
        finally:
            with self.database.begin() as connection:
                store = SyncStore(Statements.on(connection))
                if is_answered:
                    store.answer(lease.name, asked)
                store.let_go(lease.name)


def _drop(sql: Statements, holder: str) -> None:
    SyncStore(sql).drop(holder)


def _lease(due: Due) -> str:
    return due.name if due.name in {LOCATIONS, HOUSEKEEPING} else lease_of(due.name)


def _pause(due: Due) -> timedelta:
    """Answer after how long something is due again: never later than the scheduler wakes up."""
    return due.every * (1 - JITTER_SHARE)


def _grace(due: Due) -> timedelta:
    return min(due.every * 2 * JITTER_SHARE, LONGEST_GRACE)
