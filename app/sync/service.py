"""Running sources, and recording what each run came to."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.catalog.emission import Flaw
from app.catalog.ingest import Ingest, Report, StoppedError
from app.db.engine import Database
from app.db.statements import Statements
from app.errors import CallboardError, NotFoundError
from app.logs import fields
from app.model.uid import new_uid
from app.ports import Ingestor
from app.sync.store import SyncStore

log = logging.getLogger(__name__)
# Flaws are on the entities; the log names the first ones of a run and says how many there are.
LOGGED_FLAWS = 20


@dataclass(frozen=True, slots=True)
class Source:
    """A configured source: its name, what finds its entities, and how often it is read."""

    name: str
    ingestor: Ingestor
    every: timedelta | None = None
    first_after: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class SyncService:
    """Runs sources by name."""

    database: Database
    ingest: Ingest
    sources: Mapping[str, Source]

    def run(self, name: str) -> Report:
        """Run a source and record it; a failure is recorded, logged and raised."""
        source = self.sources.get(name)
        if source is None:
            raise NotFoundError(f"No source named {name!r}; known: {', '.join(self.sources)}")
        run_id = new_uid()
        with self.database.begin() as connection:
            SyncStore(Statements.on(connection)).start_run(run_id, name, datetime.now(UTC))
        try:
            report = self.ingest.source(name, source.ingestor)
        except StoppedError:
            self._finish(run_id, "stopped", Report(), None)
            raise
        except CallboardError as error:
            self._finish(run_id, "failed", Report(), str(error))
            log.warning("run failed", extra=fields(source=name, run=run_id, reason=str(error)))
            raise
        except Exception as error:
            self._finish(run_id, "failed", Report(), type(error).__name__)
            raise
        self._finish(run_id, "done", report, None)
        log.info("run done", extra=fields(source=name, run=run_id, **report.counts.as_dict()))
        log_flaws(report.flaws)
        return report

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
