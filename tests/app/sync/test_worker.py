"""The background worker: it does what is due and what was asked for, whatever happens to it."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from app.catalog.locations import generated
from app.catalog.retention import Retention
from app.db.leases import Leases
from app.db.statements import Statements
from app.errors import UpstreamError
from app.sync import worker as module
from app.sync.scheduler import Scheduler
from app.sync.service import Source, SyncService
from app.sync.store import SyncStore
from app.sync.worker import Worker
from tests.app.catalog.platform import Platform, document
from tests.app.scm.web_server import web_server
from tests.builders import ListIngestor, component

NEVER = timedelta(days=3650)
SECOND = timedelta(seconds=1)
ONE, WEB = "component:default/one", "component:default/web"


@pytest.fixture
def platform(database, tmp_path):
    return Platform(database, tmp_path)


def employ(platform, *sources, **options):
    service = SyncService(Leases(platform.database), platform.ingest, {s.name: s for s in sources})
    options = {"locations_every": NEVER, "files_every": NEVER, **options}
    return Worker(platform.database, service, platform.ingest, **options)


@contextmanager
def working(worker):
    """Let a worker work on a thread of its own; it has to end when it is told to."""
    stop, ready = threading.Event(), threading.Event()
    ended = list[BaseException | None]()

    def run():
        try:
            worker.run(stop, ready.set)
            ended.append(None)
        except BaseException as error:  # noqa: BLE001 - raised below
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(10)
        yield stop
    finally:
        stop.set()
        thread.join(20)
    assert ended == [None]


def until(condition, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def do(worker, name):
    """Have a worker do one thing, and what follows from it."""
    worker._do_due(Scheduler([]), name)
    worker._answer_requests()


def root(platform, name="root.yaml"):
    return Source("config", ListIngestor([generated("file", str(platform.folder / name))]))


def lifecycle(platform):
    return platform.served()[ONE]["spec"]["lifecycle"]


def waiting(platform):
    return platform.rows("SELECT * FROM refresh")


def states(platform):
    return [state for (state,) in platform.rows("SELECT state FROM run ORDER BY id")]


# -- what is due ----------------------------------------------------------------------------------


def test_every_source_is_read_at_the_start(platform):
    platform.write("root.yaml", document("one"))
    worker = employ(platform, root(platform), Source("git", ListIngestor([component("web")])))

    with working(worker):
        until(lambda: {ONE, WEB} <= set(platform.refs()))

    assert states(platform) == ["done", "done"]


def test_a_source_is_read_again_when_it_is_due(platform):
    ingestor = ListIngestor([])

    with working(employ(platform, Source("git", ingestor, SECOND))):
        until(lambda: states(platform) == ["done"])
        ingestor.items = [component("web")]

        until(lambda: platform.refs() == [WEB])


def test_a_source_may_have_to_wait_after_the_start(platform):
    source = Source("git", ListIngestor([component("web")]), NEVER, timedelta(hours=1))

    with working(employ(platform, source)):
        time.sleep(0.2)

    assert platform.refs() == []


def test_locations_are_read_again_when_they_are_due(platform):
    path = platform.write("root.yaml", document("one"))

    with working(employ(platform, root(platform), locations_every=SECOND)):
        until(lambda: ONE in platform.refs())
        path.write_text(document("one", lifecycle="deprecated"))

        until(lambda: lifecycle(platform) == "deprecated")


def test_old_runs_are_forgotten(platform):
    now = datetime.now(UTC)
    with platform.database.begin() as connection:
        store = SyncStore(Statements.on(connection))
        for name, age in (("old", 31), ("new", 29)):
            store.start_run(name, "git", now - timedelta(days=age))
            store.finish_run(name, "done", {}, None, now - timedelta(days=age))

    do(employ(platform), module.HOUSEKEEPING)

    assert platform.rows("SELECT id FROM run") == [("new",)]


def test_old_changes_are_forgotten_some_at_a_time(platform):
    platform.source(component("web"))
    platform.source(component("web", system="shop"))
    worker = employ(platform, keep_changes=timedelta(0))
    worker._retention = Retention(platform.database, platform.writer.codec, 1, 1)

    for _ in range(4):
        worker._forget_old()

    # The second is written against the first.
    assert platform.rows("SELECT seq, base FROM change ORDER BY seq") == [(1, None), (2, 1)]
    assert platform.rows("SELECT oldest FROM sequence") == [(2,)]


def test_what_was_read_at_somebodys_request_is_a_run_if_it_changed_anything(platform):
    path = platform.write("root.yaml", document("one"))
    platform.root("root.yaml")
    worker = employ(platform)
    ids = [row[0] for row in platform.rows("SELECT ref_id FROM reading")]

    worker._read(ids, lambda _: None)
    assert states(platform) == []
    path.write_text(document("one", lifecycle="deprecated"))
    worker._read(ids, lambda _: None)

    assert platform.rows("SELECT source, state FROM run") == [("config", "done")]


# -- files that change ----------------------------------------------------------------------------


def test_a_file_that_changes_is_read_without_being_asked_for(platform):
    path = platform.write("root.yaml", document("one"))

    with working(employ(platform, root(platform), files_every=timedelta(milliseconds=50))):
        until(lambda: ONE in platform.refs())
        path.write_text(document("one", lifecycle="deprecated"))

        until(lambda: lifecycle(platform) == "deprecated")


def test_files_that_appear_and_go_are_noticed(platform):
    platform.write("a/one.yaml", document("one"))
    worker = employ(platform)
    platform.root("a/*.yaml")

    added = platform.write("a/two.yaml", document("two"))
    do(worker, module.FILES)
    assert platform.refs("component") == [ONE, "component:default/two"]

    added.unlink()
    do(worker, module.FILES)
    assert platform.refs("component") == [ONE]


def test_only_what_changed_is_read(platform):
    platform.write("a.yaml", document("one"))
    changed = platform.write("b.yaml", document("web"))
    platform.source(*(generated("file", str(platform.folder / f"{n}.yaml")) for n in "ab"))
    worker = employ(platform)
    assert worker._changed_files() == []

    changed.write_text(document("web", lifecycle="deprecated"))

    assert len(worker._changed_files()) == 1


def test_watching_files_fetches_nothing(database, tmp_path):
    with web_server() as site:
        platform = Platform(database, tmp_path, allow=[{"host": "127.0.0.1:1-65535"}])
        platform.source(generated("url", site.answer("/a.yaml", document("one").encode())))
        assert platform.refs("component") == [ONE]
        site.requests.clear()

        do(employ(platform), module.FILES)

        assert site.requests == []


# -- what was asked for ---------------------------------------------------------------------------


def test_a_refresh_is_answered_soon(platform):
    path = platform.write("root.yaml", document("one"))

    with working(employ(platform, root(platform))):
        until(lambda: ONE in platform.refs())
        path.write_text(document("one", lifecycle="deprecated"))
        platform.commands.refresh(ONE)
        asked = time.monotonic()

        until(lambda: lifecycle(platform) == "deprecated")
        assert time.monotonic() - asked < 3
        until(lambda: waiting(platform) == [])


def test_a_refresh_survives_a_worker_that_dies_while_it_answers(platform, database, tmp_path):
    path = platform.write("root.yaml", document("one"))
    platform.root("root.yaml")
    path.write_text(document("one", lifecycle="deprecated"))
    platform.commands.refresh(ONE)
    asked = waiting(platform)

    def die(_counts):
        raise SystemExit

    mortal = Platform(database, tmp_path, progress=die)
    with pytest.raises(SystemExit):
        employ(mortal, keeps_providers=True).run(threading.Event())
    assert waiting(platform) == asked

    with working(employ(platform, keeps_providers=True)):
        until(lambda: waiting(platform) == [])
    assert lifecycle(platform) == "deprecated"


def test_a_refresh_that_cannot_be_answered_does_not_keep_others_waiting(
    platform, monkeypatch, caplog
):
    platform.write("root.yaml", document("one"))
    platform.write("other.yaml", document("web"))
    sources = [generated("file", str(platform.folder / n)) for n in ("root.yaml", "other.yaml")]
    platform.source(*sources)
    platform.write("root.yaml", document("one", lifecycle="poison"))
    platform.write("other.yaml", document("web", lifecycle="deprecated"))
    _break(platform, monkeypatch, b"poison")
    for ref in (ONE, WEB):
        platform.commands.refresh(ref)

    with working(employ(platform, keeps_providers=True)):
        until(lambda: waiting(platform) == [])

    assert platform.served()[WEB]["spec"]["lifecycle"] == "deprecated"
    assert lifecycle(platform) == "production"
    assert "cannot read what was asked for" in caplog.text


def _break(platform, monkeypatch, word):
    read = type(platform.processor).file

    def file(self, content, origin):
        if word in content.data:
            raise RuntimeError("a bug")
        return read(self, content, origin)

    monkeypatch.setattr(type(platform.processor), "file", file)


# -- failures -------------------------------------------------------------------------------------


def test_a_source_that_fails_ends_neither_the_worker_nor_other_sources(platform, caplog):
    class Broken:
        def snapshot(self):
            raise RuntimeError("a bug in a plugin")

    sources = [
        Source("broken", Broken()),
        Source("down", ListIngestor([], breaks=True)),
        Source("git", ListIngestor([component("web")])),
    ]
    with working(employ(platform, *sources)):
        until(lambda: len(states(platform)) == 3)
        until(lambda: platform.refs() == [WEB])
        until(lambda: "running" not in states(platform))

    assert sorted(states(platform)) == ["done", "failed", "failed"]
    assert "a bug in a plugin" in caplog.text
    assert [r.levelname for r in caplog.records if "run failed" in r.getMessage()] == ["WARNING"]


def test_a_source_that_is_read_once_is_tried_again_if_it_met_something_unforeseen(
    platform, monkeypatch
):
    monkeypatch.setattr(module, "RETRY", timedelta(milliseconds=100))

    class BrokenOnce(ListIngestor):
        times = 0

        def snapshot(self):
            self.times += 1
            if self.times == 1:
                raise RuntimeError("the database went away")
            return super().snapshot()

    with working(employ(platform, Source("config", BrokenOnce([component("web")])))):
        until(lambda: platform.refs() == [WEB])

    assert states(platform) == ["failed", "done"]


def test_a_source_that_says_what_is_wrong_is_not_hurried(platform, monkeypatch):
    monkeypatch.setattr(module, "RETRY", timedelta(milliseconds=50))

    with working(employ(platform, Source("down", ListIngestor([], breaks=True)))):
        until(lambda: states(platform) == ["failed"])
        time.sleep(0.4)

    assert states(platform) == ["failed"]


def test_the_worker_outlives_a_database_that_fails_for_a_while(platform, monkeypatch, caplog):
    monkeypatch.setattr(module, "LONGEST_PAUSE", 0.05)
    path = platform.write("root.yaml", document("one"))

    with working(employ(platform, root(platform))), caplog.at_level(logging.ERROR):
        until(lambda: ONE in platform.refs())
        _rename(platform, "refresh", "away")
        until(lambda: caplog.text.count("background work failed") > 2)
        _rename(platform, "away", "refresh")

        path.write_text(document("one", lifecycle="deprecated"))
        platform.commands.refresh(ONE)
        until(lambda: lifecycle(platform) == "deprecated")


def _rename(platform, old, new):
    with platform.database.begin() as connection:
        Statements.on(connection).execute(f"ALTER TABLE {old} RENAME TO {new}")


def test_pauses_grow_but_not_without_end(platform):
    pauses = list[float]()

    class Clock(threading.Event):
        def wait(self, timeout=None):
            pauses.append(timeout)
            return False

    worker = employ(platform)
    for _ in range(2000):
        worker._attempt(Clock(), lambda: 1 / 0)

    assert pauses[:4] == [0.2, 0.4, 0.8, 1.6]
    assert pauses == sorted(pauses)
    assert pauses[-1] == module.LONGEST_PAUSE
    worker._attempt(Clock(), lambda: True)
    worker._attempt(Clock(), lambda: 1 / 0)
    assert pauses[-1] == 0.2


def test_a_failure_that_has_a_name_makes_no_pause(platform, caplog):
    def fail():
        raise UpstreamError("git", "no route to host")

    assert employ(platform)._attempt(threading.Event(), fail)
    assert "background work failed" in caplog.text


# -- the start and the end ------------------------------------------------------------------------


def test_what_a_dead_process_left_is_finished_at_the_start(platform):
    platform.source(component("one"))
    with platform.database.begin() as connection:
        sql = Statements.on(connection)
        SyncStore(sql).start_run("r0", "git", datetime.now(UTC))
        (ref_id,) = sql.row("SELECT id FROM ref WHERE ref = ?", ONE)
        sql.execute("DELETE FROM searchable")
        sql.execute("DELETE FROM entity")
        sql.execute("INSERT INTO stitch VALUES (?, '{}')", ref_id)
    assert platform.refs() == []

    with working(employ(platform, keeps_providers=True)):
        assert platform.refs() == [ONE]

    assert states(platform) == ["stopped"]


@pytest.mark.parametrize("keeps", [False, True])
def test_sources_that_are_configured_no_more_go_unless_they_are_kept(platform, keeps):
    platform.source(component("one"), name="old")

    with working(employ(platform, keeps_providers=keeps)):
        pass

    assert platform.refs() == ([ONE] if keeps else [])


def test_an_idle_worker_stops_at_once(platform):
    with working(employ(platform)) as stop:
        time.sleep(0.15)
        began = time.monotonic()
        stop.set()

    assert time.monotonic() - began < 2


def test_a_worker_in_the_middle_of_a_long_source_stops_soon(database, tmp_path):
    stop, began = threading.Event(), threading.Event()

    class Endless:
        def snapshot(self):
            number = 0
            while True:
                number += 1
                if number > 600:
                    began.set()
                yield component(f"c{number}")

    platform = Platform(database, tmp_path, stop=stop)
    worker = employ(platform, Source("endless", Endless()))
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    assert began.wait(20)
    stop.set()
    asked = time.monotonic()
    thread.join(20)

    assert not thread.is_alive()
    assert time.monotonic() - asked < 3
    assert states(platform) == ["stopped"]
    assert platform.rows("SELECT count(*) FROM emission")[0][0] % 500 == 0


def test_a_worker_that_is_stopped_before_it_began_does_nothing(platform):
    stop = threading.Event()
    stop.set()
    worker = employ(platform, Source("git", ListIngestor([component("web")])))

    worker.run(stop)

    assert platform.refs() == []


def test_what_a_stop_interrupts_is_done_by_the_next_worker(database, tmp_path):
    stop = threading.Event()
    first = Platform(database, tmp_path, stop=stop, progress=lambda _: stop.set())
    first.write("root.yaml", document("one"))
    employ(first, root(first)).run(stop)
    assert first.refs() == []

    second = Platform(database, tmp_path)
    with working(employ(second, root(second))):
        until(lambda: ONE in second.refs())
