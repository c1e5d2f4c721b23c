"""When work is due: the one place that knows APScheduler. It decides when and stores nothing."""

from __future__ import annotations

import threading
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
    """Knows which jobs are due; each waits at most once until it is taken, the longest first."""

    jobs: Iterable[Due]
    _waiting: dict[str, None] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
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
                self.put,
                trigger,
                args=[job.name],
                id=job.name,
                next_run_time=datetime.now(UTC) + job.first_after,
            )
        self._scheduler.start()

    def take(self) -> str | None:
        """Answer the name of a job that is due, if there is one."""
        with self._lock:
            name = next(iter(self._waiting), None)
            if name is not None:
                del self._waiting[name]
            return name

    def hasten(self, name: str, after: timedelta) -> None:
        """Make a job due once more after a while, if it would not be due before then."""
        soon = datetime.now(UTC) + after
        job = self._scheduler.get_job(name)
        if job is not None and job.next_run_time > soon:
            job.modify(next_run_time=soon)

    def stop(self) -> None:
        """Stop watching; jobs already due can still be taken."""
        self._scheduler.shutdown(wait=False)

    def put(self, name: str) -> None:
        """Say that a job is due."""
        with self._lock:
            self._waiting.setdefault(name)
