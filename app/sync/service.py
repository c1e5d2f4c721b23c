"""Running sources, and recording what each run came to."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from app.catalog.emission import Counts, Flaw
from app.catalog.ingest import Ingest, Report, StoppedError
from app.db.engine import Database
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


@dataclass(frozen=True, slots=True)
class Source:
    """A configured source: its name, what finds its entities, and how often it is read."""

    name: str
    ingestor: Ingestor
    every: timedelta | None = None
    first_after: timedelta = timedelta(0)


class _Mark(NamedTuple):
    """What a source holds, and how much of it the graph does: callers may have deleted some."""

    fingerprint: str
    held: int


@dataclass(frozen=True, slots=True)
class SyncService:
    """Runs sources by name; those in `pushed` are not run, but configured all the same."""

    database: Database
    ingest: Ingest
    sources: Mapping[str, Source]
    observe: Callable[[str, str, float, Counts], None] = lambda *_: None
    pushed: frozenset[str] = frozenset()
    # How things stood when sources were last read in full, by this process.
    _marks: dict[str, _Mark] = field(default_factory=dict)

    def evict(self) -> None:
        """Remove what came from sources that the configuration does not name any more.

        What callers registered and what the command line read once have no configuration.
        """
        for name in self.ingest.known_sources():
            if (
                name in self.sources
                or name in self.pushed
                or name.partition(":")[0] in UNCONFIGURED
            ):
                continue
            report = self.ingest.forget_source(name)
            log.info("source evicted", extra=fields(source=name, removed=report.counts.removed))

    def run(self, name: str) -> Report:
        """Run a source and record it; a failure is recorded, logged and raised."""
        source = self.sources.get(name)
        if source is None:
            raise NotFoundError(f"No source named {name!r}; known: {', '.join(self.sources)}")
        try:
            mark: _Mark | CallboardError | None = self._mark(source)
        except CallboardError as error:
            mark = error
        if mark is not None and mark == self._marks.get(name):
            log.debug("source unchanged", extra=fields(source=name))
            return Report()
        started = time.monotonic()
        run_id = new_uid()
        with self.database.begin() as connection:
            SyncStore(Statements.on(connection)).start_run(run_id, name, datetime.now(UTC))
        state, report, reason = "failed", Report(), None
        try:
            report = self._read(source, mark)
            state = "done"
        except StoppedError:
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
            self._marks[name] = mark._replace(held=self.ingest.count(name))
        log.info("run done", extra=fields(source=name, run=run_id, **report.counts.as_dict()))
        log_flaws(report.flaws)
        return report

    def _read(self, source: Source, mark: _Mark | CallboardError | None) -> Report:
        if isinstance(mark, CallboardError):
            raise mark
        return self.ingest.source(source.name, source.ingestor)

    def _mark(self, source: Source) -> _Mark | None:
        """Ask the source what stands for its next snapshot, if it can tell."""
        if not isinstance(source.ingestor, Fingerprinted):
            return None
        fingerprint = source.ingestor.fingerprint()
        return _Mark(fingerprint, self.ingest.count(source.name)) if fingerprint else None

    def _finish(self, run_id: str, state: str, report: Report, error: str | None) -> None:
        with self.database.begin() as connection:
            SyncStore(Statements.on(connection)).finish_run(
                run_id, state, report.counts.as_dict(), error, datetime.now(UTC)
            )


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
