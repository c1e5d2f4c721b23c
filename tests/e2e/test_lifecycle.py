"""Stopping, being killed, being replaced, starting again: what callers notice, and what remains."""

from __future__ import annotations

import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.e2e.processes import ROOT, is_alive
from tests.e2e.running import ACCESS, RULES, Platform, component, seconds_until, serving

DEMO = ("--config", "catalog-info/app-config.yaml", "--config", "access.yaml")
DEMO_SIZE = 206
QUOTES = "component:default/quote-service"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Answer a folder with one entity in it."""
    (tmp_path / "a.yaml").write_text(component("a", "first"))
    (tmp_path / "app-config.yaml").write_text(
        f"{ACCESS}  lifecycle: {{serverShutdownDelay: 2s}}\n"
        f"catalog:\n  {RULES}\n  locations: [{{type: file, target: ./a.yaml}}]\n"
    )
    return tmp_path


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    shutil.copytree(ROOT / "catalog-info", folder / "catalog-info")
    (folder / "access.yaml").write_text(ACCESS)
    return folder


@pytest.fixture(scope="module")
def demo(demo_folder: Path) -> Iterator[Platform]:
    with serving(demo_folder, *DEMO) as platform:
        seconds_until(lambda: len(platform.refs()) == DEMO_SIZE)
        yield platform


@dataclass
class Caller:
    """Asks again and again, and keeps what went wrong."""

    ask: Callable[[], object]
    answers: int = 0
    failures: list[str] = field(default_factory=list)
    longest: float = 0.0


@contextmanager
def calling(ask: Callable[[], object]) -> Iterator[Caller]:
    """Call without a pause during the block."""
    caller, done = Caller(ask), threading.Event()

    def call() -> None:
        while not done.is_set():
            started = time.monotonic()
            try:
                ask()
                caller.answers += 1
            except (OSError, HTTPException, AssertionError) as error:
                caller.failures.append(repr(error))
            caller.longest = max(caller.longest, time.monotonic() - started)

    thread = threading.Thread(target=call)
    thread.start()
    try:
        yield caller
    finally:
        done.set()
        thread.join()


def test_before_it_stops_it_says_so_and_answers_for_a_while(folder):
    with serving(folder, workers=1) as platform:
        seconds_until(lambda: platform.entity("component:default/a"))
        family = platform.children()
        ready = platform.readiness()

        platform.process.send_signal(signal.SIGTERM)
        seconds_until(lambda: platform.readiness().status == 503, 5)
        leaving, answer = platform.readiness(), platform.ask("/api/catalog/entities")
        code = platform.process.wait(30)

    assert (ready.status, ready.json) == (200, {"status": "ok"})
    assert leaving.json == {"message": "Backend is shutting down", "status": "error"}
    assert answer.status == 200
    assert code == 0
    assert set(family) == {"web-1", "worker"}
    assert not any(map(is_alive, family.values()))


def test_stopping_at_once_after_the_start_is_clean_too(folder):
    with serving(folder, workers=1) as platform:
        platform.process.send_signal(signal.SIGTERM)

        assert platform.process.wait(30) == 0
        assert "Traceback" not in platform.said()


@pytest.mark.parametrize("victim", ["web-1", "web-2", "worker"])
def test_a_process_that_is_killed_is_replaced_and_callers_hardly_notice(demo, demo_folder, victim):
    before = demo.children()
    file = demo_folder / "catalog-info" / "harrowmere" / "booking.yaml"
    title = f"Quotes after the end of {victim}"

    with calling(lambda: demo.get("/entities/by-query", limit=5)) as caller:
        time.sleep(0.3)
        os.kill(before[victim], signal.SIGKILL)
        seconds_until(lambda: demo.children().get(victim, before[victim]) != before[victim])
        file.write_text(re.sub("title: Quote.*", f"title: {title}", file.read_text(), count=1))
        demo.refresh(QUOTES)
        seconds_until(lambda: demo.entity(QUOTES)["metadata"]["title"] == title)
        time.sleep(0.3)

    # What was being answered when it happened is lost, and nothing else.
    assert len(caller.failures) <= int(victim != "worker"), caller.failures
    assert caller.answers > 3
    assert caller.longest < 15
    assert len(demo.refs()) == DEMO_SIZE
    assert [is_alive(pid) for pid in demo.children().values()] == [True, True, True]


def test_all_are_replaced_one_by_one_without_a_failure(demo):
    before = demo.children()

    with calling(lambda: demo.get("/entities/by-query", limit=5)) as caller:
        demo.process.send_signal(signal.SIGHUP)
        seconds_until(lambda: not set(demo.children().values()) & set(before.values()))
        seconds_until(lambda: set(demo.children()) == set(before))

    assert caller.failures == []
    assert caller.answers > 10
    assert len(demo.refs()) == DEMO_SIZE


def test_without_a_supervisor_all_end_and_the_next_start_has_everything(folder):
    with serving(folder, workers=1) as platform:
        seconds_until(lambda: platform.entity("component:default/a"))
        known = platform.entity("component:default/a")
        family = platform.children()
        platform.process.kill()
        platform.process.wait()
        seconds_until(lambda: not any(map(is_alive, family.values())), 40)

    (folder / "a.yaml").write_text(component("a", "meanwhile"))
    with serving(folder, workers=1) as platform:
        seconds_until(lambda: platform.description("component:default/a") == "meanwhile")
        found = platform.entity("component:default/a")

    assert found["metadata"]["uid"] == known["metadata"]["uid"]


def test_a_restart_changes_no_uid_and_no_etag(demo_folder, demo):
    # Beside the one that runs: a database of its own, and the same files.
    own = demo_folder / "restart"
    options = (*DEMO, "--data-dir", own)
    with serving(demo_folder, *options, workers=1) as platform:
        seconds_until(lambda: len(platform.refs()) == DEMO_SIZE)
        first = {str(e["metadata"]["uid"]): e for e in platform.entities()}

    with serving(demo_folder, *options, workers=1) as platform:
        at_once = {str(e["metadata"]["uid"]): e for e in platform.entities()}
        seconds_until(lambda: "run done" in platform.said())
        later = {str(e["metadata"]["uid"]): e for e in platform.entities()}
        log = platform.said()

    assert at_once == first
    assert later == first
    assert "written=0" in log
