"""When work is due: the one place that knows APScheduler. It decides when and stores nothing."""

from __future__ import annotations

import queue
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

# Spreads jobs that were configured with the same interval.
JITTER_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Due:
    """A job by name, how often it is due, and how long after the start for the first time."""

    name: str
    every: timedelta
    first_after: timedelta = timedelta(0)


@dataclass(slots=True)
class Scheduler:
    """Puts the names of due jobs into `due`, each at most once until it is taken."""

    jobs: Iterable[Due]
    due: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    _scheduler: BackgroundScheduler = field(
        default_factory=lambda: BackgroundScheduler(
            timezone=UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
    )

    def start(self) -> None:
        """Begin to watch the clock."""
        for job in self.jobs:
            seconds = job.every.total_seconds()
            trigger = IntervalTrigger(seconds=max(seconds, 1), jitter=seconds * JITTER_SHARE)
            self._scheduler.add_job(
                self.due.put,
                trigger,
                args=[job.name],
                id=job.name,
                next_run_time=datetime.now(UTC) + job.first_after,
            )
        self._scheduler.start()

    def stop(self) -> None:
        """Stop watching; jobs already due stay in the queue."""
        self._scheduler.shutdown(wait=False)
