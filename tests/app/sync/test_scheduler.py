"""The scheduler: each job is due when it should be, and waits once however long nobody comes."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from app.sync.scheduler import Due, Scheduler

SOON, NEVER = timedelta(milliseconds=50), timedelta(days=3650)


@pytest.fixture
def start():
    started = list[Scheduler]()

    def start(*jobs):
        scheduler = Scheduler(jobs)
        scheduler.start()
        started.append(scheduler)
        return scheduler

    yield start
    for scheduler in started:
        if scheduler._scheduler.running:
            scheduler.stop()


def take(scheduler, *, within=5.0):
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if (name := scheduler.take()) is not None:
            return name
        time.sleep(0.005)
    return None


def test_a_job_is_due_at_the_start_unless_it_is_to_wait(start):
    scheduler = start(Due("now", NEVER), Due("later", NEVER, timedelta(hours=1)))

    assert take(scheduler) == "now"
    assert take(scheduler, within=0.1) is None


def test_a_job_is_due_again_and_again(start):
    scheduler = start(Due("often", timedelta(seconds=1)))

    assert [take(scheduler), take(scheduler)] == ["often", "often"]


def test_a_job_that_is_not_taken_waits_once(start):
    scheduler = start(Due("once", NEVER, SOON))
    for _ in range(3):
        scheduler.put("often")
    scheduler.put("other")

    assert [take(scheduler), take(scheduler), take(scheduler)] == ["often", "other", "once"]
    assert take(scheduler, within=0.1) is None


def test_the_one_that_waits_longest_is_taken_first():
    scheduler = Scheduler(())
    for name in ("a", "b", "a", "c"):
        scheduler.put(name)

    assert [scheduler.take() for _ in range(4)] == ["a", "b", "c", None]


def test_a_job_may_be_due_again_while_it_is_done():
    scheduler = Scheduler(())
    scheduler.put("a")
    scheduler.take()
    scheduler.put("a")

    assert scheduler.take() == "a"


def test_an_interval_of_nothing_does_not_spin(start):
    scheduler = start(Due("eager", timedelta(0)))

    assert take(scheduler) == "eager"
    assert take(scheduler, within=0.3) is None


def test_a_job_that_would_be_due_in_years_can_be_hastened(start):
    scheduler = start(Due("once", NEVER), Due("other", NEVER, timedelta(hours=1)))
    assert take(scheduler) == "once"

    scheduler.hasten("once", SOON)

    assert take(scheduler) == "once"
    assert take(scheduler, within=0.1) is None


def test_hastening_never_delays(start):
    scheduler = start(Due("soon", NEVER, SOON))

    scheduler.hasten("soon", timedelta(hours=1))
    scheduler.hasten("unknown", SOON)

    assert take(scheduler) == "soon"


def test_jobs_of_one_interval_are_spread(start):
    scheduler = start(*(Due(f"j{i}", timedelta(hours=1)) for i in range(20)))
    for _ in range(20):
        take(scheduler)

    times = [job.next_run_time for job in scheduler._scheduler.get_jobs()]

    hour = datetime.now(UTC) + timedelta(hours=1)
    assert all(abs(moment - hour) < timedelta(minutes=8) for moment in times)
    assert max(times) - min(times) > timedelta(seconds=30)


def test_stopping_is_prompt_and_leaves_no_thread(start):
    before = set(threading.enumerate())
    scheduler = start(Due("a", NEVER), Due("b", timedelta(seconds=1)))
    began = time.monotonic()

    scheduler.stop()

    assert time.monotonic() - began < 1
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive()
