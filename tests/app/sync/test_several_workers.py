"""Several workers on one database: what is to do is done by one of them, and never left undone."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from app.catalog.locations import generated
from app.catalog.runs import BATCH
from app.db.engine import open_database
from app.db.leases import LeaseLostError, Leases
from app.db.statements import Statements
from app.sync.scheduler import Scheduler
from app.sync.service import Source, SyncService, lease_of
from app.sync.worker import LOCATIONS, Worker
from tests.app.catalog.platform import Platform, document
from tests.app.db.test_outages import away
from tests.app.scm.web_server import web_server
from tests.app.sync.test_worker import NEVER, SECOND, until, working
from tests.builders import ListIngestor, component

ONE, WEB = "component:default/one", "component:default/web"
SHORT = timedelta(seconds=0.4)


@pytest.fixture
def platform(database, tmp_path):
    return Platform(database, tmp_path)


def hire(platform, *sources, leases=None, **options):
    """Make a worker with an ingest of its own, as another process has."""
    own = Platform(platform.database, platform.folder)
    leases = leases or Leases(platform.database)
    service = SyncService(leases, own.ingest, {source.name: source for source in sources})
    options = {
        "locations_every": NEVER,
        "files_every": NEVER,
        "look_every": timedelta(milliseconds=100),
        **options,
    }
    return Worker(platform.database, service, own.ingest, **options)


class Slow(ListIngestor):
    """Notes who reads it at the same time as others."""

    def __init__(self, items):
        super().__init__(items)
        self.readers, self.most, self.times = 0, 0, 0

    def snapshot(self):
        self.readers += 1
        self.times += 1
        self.most = max(self.most, self.readers)
        time.sleep(0.2)
        yield from super().snapshot()
        self.readers -= 1


def states(platform):
    return Counter(state for (state,) in platform.rows("SELECT state FROM run"))


def test_a_source_is_never_read_twice_at_once(platform):
    ingestor = Slow([component("web")])

    with ExitStack() as stack:
        for _ in range(3):
            source = Source("git", ingestor, SECOND)
            stack.enter_context(working(hire(platform, source, keeps_providers=True)))
        until(lambda: ingestor.times >= 3)

    assert ingestor.most == 1
    assert platform.refs() == [WEB]
    assert set(states(platform)) == {"done"}


def test_what_one_worker_has_read_a_moment_ago_the_others_do_not_read(platform):
    ingestor = Slow([component("web")])

    with ExitStack() as stack:
        for _ in range(3):
            source = Source("git", ingestor, timedelta(hours=1))
            stack.enter_context(working(hire(platform, source, keeps_providers=True)))
        until(lambda: platform.refs() == [WEB])
        time.sleep(0.6)

    assert ingestor.times <= 3


def test_sources_are_spread_over_the_workers(platform):
    sources = [Source(f"s{n}", Slow([component(f"c{n}")])) for n in range(4)]
    leases = [Leases(platform.database), Leases(platform.database)]

    with ExitStack() as stack:
        for own in leases:
            stack.enter_context(working(hire(platform, *sources, leases=own, keeps_providers=True)))
        until(lambda: len(platform.refs()) == 4)
        until(lambda: states(platform) == {"done": 4})
        holders = {row.holder for row in leases[0].look()[1].values() if row.name[:6] == "source"}

    assert holders == {own.holder for own in leases}


def test_a_source_that_is_due_stays_with_who_read_it_last_unless_that_is_busy(platform):
    ingestor = ListIngestor([component("web")])
    source = Source("git", ingestor, timedelta(seconds=1))
    one, other = hire(platform, source), hire(platform, source)
    one._do_due(Scheduler([]), "git")
    time.sleep(0.95)

    other._do_due(Scheduler([]), "git")
    assert states(platform) == {"done": 1}

    time.sleep(0.3)
    other._do_due(Scheduler([]), "git")
    assert states(platform) == {"done": 2}


def test_the_run_of_a_worker_that_died_is_taken_over(platform):
    dead = Leases(platform.database, holder="elsewhere/1/1/x", ttl=SHORT)
    source = Source("git", ListIngestor([component("web")]), timedelta(hours=1), NEVER)
    fallen = hire(platform, source, leases=dead)
    lease = dead.take(lease_of("git"))
    fallen.service._begin("git", lease)

    with working(hire(platform, source, keeps_providers=True)):
        time.sleep(0.2)
        assert platform.refs() == []
        until(lambda: platform.refs() == [WEB])

    assert states(platform) == {"stopped": 1, "done": 1}


def test_requests_of_a_worker_that_died_are_answered_by_another(platform):
    path = platform.write("root.yaml", document("one"))
    platform.root("root.yaml")
    path.write_text(document("one", lifecycle="deprecated"))
    platform.commands.refresh(ONE)
    dead = Leases(platform.database, holder="elsewhere/1/1/x", ttl=SHORT)
    lease = dead.take("requests elsewhere")
    with platform.database.begin() as connection:
        Statements.on(connection).execute("UPDATE refresh SET holder = ?", lease.name)

    with working(hire(platform, keeps_providers=True)):
        time.sleep(0.2)
        assert platform.served()[ONE]["spec"]["lifecycle"] == "production"
        until(lambda: platform.rows("SELECT * FROM refresh") == [])

    assert platform.served()[ONE]["spec"]["lifecycle"] == "deprecated"


def test_stitching_that_a_dead_process_left_is_done_while_the_others_work(platform):
    platform.source(component("one"))
    (ref_id,) = platform.rows("SELECT id FROM ref")[0]

    with working(hire(platform, keeps_providers=True)):
        with platform.database.begin() as connection:
            sql = Statements.on(connection)
            sql.execute("DELETE FROM searchable")
            sql.execute("DELETE FROM entity")
            sql.execute("INSERT INTO stitch VALUES (?, '{}')", ref_id)
        until(lambda: platform.refs() == [ONE])


def test_requests_are_shared_and_each_is_answered_once(platform):
    names = [f"c{n}" for n in range(250)]
    for name in names:
        platform.write(f"{name}.yaml", document(name))
    platform.source(*(generated("file", str(platform.folder / f"{n}.yaml")) for n in names))
    for name in names:
        platform.write(f"{name}.yaml", document(name, lifecycle="deprecated"))
    for name in names:
        platform.commands.refresh(f"component:default/{name}")
    before = platform.rows("SELECT max(seq) FROM change")[0][0]

    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(working(hire(platform, keeps_providers=True)))
        until(lambda: platform.rows("SELECT * FROM refresh") == [], 60)

    assert platform.rows("SELECT max(seq) FROM change")[0][0] == before + 250
    leases = platform.rows("SELECT name FROM lease")
    assert any(name.startswith("requests ") for (name,) in leases)


# -- databases that go away -----------------------------------------------------------------------


def test_a_worker_goes_on_when_the_database_is_back(migrated_postgres, tmp_path, caplog):
    database = open_database(migrated_postgres())
    platform = Platform(database, tmp_path)
    path = platform.write("root.yaml", document("one"))
    platform.root("root.yaml")

    with working(hire(platform, keeps_providers=True)):
        path.write_text(document("one", lifecycle="deprecated"))
        platform.commands.refresh(ONE)
        with away(database):
            until(lambda: "the database does not answer" in caplog.text)
        until(lambda: platform.rows("SELECT * FROM refresh") == [])

    assert platform.served()[ONE]["spec"]["lifecycle"] == "deprecated"
    database.close()


# -- what takes too long --------------------------------------------------------------------------


class Hanging(ListIngestor):
    """Finds some entities, and then waits for something that does not come."""

    def __init__(self, items, then=()):
        super().__init__(items)
        self.then, self.go_on, self.times = list(then), threading.Event(), 0

    def snapshot(self):
        self.times += 1
        yield from super().snapshot()
        assert self.go_on.wait(30)
        yield from self.then


def bounded(platform, *sources, stuck=lambda: None):
    worker = hire(platform, *sources, keeps_providers=True)
    worker.service = replace(worker.service, longest=SHORT, stuck=stuck)
    return worker


def test_a_run_that_hangs_has_failed_and_writes_nothing_if_it_goes_on(platform):
    items = [component(f"c{n}") for n in range(BATCH)]
    ingestor = Hanging(items, [component("late")])
    worker = bounded(platform, Source("git", ingestor, timedelta(hours=1)))

    with working(worker):
        until(lambda: states(platform) == {"failed": 1})
        ((error,),) = platform.rows("SELECT error FROM run")
        assert "took longer than 0:00:00.4" in error
        assert "callboard.runs.longest" in error
        ingestor.go_on.set()
        time.sleep(0.5)

    assert states(platform) == {"failed": 1}
    assert ingestor.times == 1
    assert platform.rows("SELECT count(*) FROM emission") == [(BATCH,)]


def test_a_run_that_was_given_up_is_made_again_when_it_is_due(platform):
    ingestor = Hanging([component("web")])
    worker = bounded(platform, Source("git", ingestor, SECOND))

    with working(worker):
        until(lambda: states(platform)["failed"] == 1)
        ingestor.go_on.set()
        until(lambda: states(platform)["done"] >= 1)

    assert platform.refs() == [WEB]


def test_a_worker_that_starts_meanwhile_does_not_begin_with_what_another_hangs_in(platform):
    hanging = Source("git", Hanging([]), timedelta(hours=1))
    other = Source("list", ListIngestor([component("web")]), timedelta(hours=1))

    with working(bounded(platform, hanging)):
        until(lambda: states(platform)["failed"] == 1)
        with working(bounded(platform, hanging, other)):
            until(lambda: platform.refs() == [WEB])
        hanging.ingestor.go_on.set()

    assert hanging.ingestor.times == 1


def test_what_a_worker_hangs_in_at_somebodys_request_is_not_asked_for_any_more(platform):
    reached, go_on = threading.Event(), threading.Event()

    def answer(handler):
        reached.set()
        go_on.wait(20)
        handler.send(document("one", lifecycle="late").encode())

    with web_server() as web:
        own = Platform(platform.database, platform.folder, allow=[{"host": "127.0.0.1:1-65535"}])
        own.source(generated("url", web.answer("/one.yaml", document("one").encode())))
        web.answer_with("/one.yaml", answer)
        worker = bounded(platform)
        worker.ingest = own.ingest
        platform.commands.refresh(ONE)
        with working(worker):
            assert reached.wait(10)
            until(lambda: platform.rows("SELECT * FROM refresh") == [])
            go_on.set()

    assert platform.served()[ONE]["spec"]["lifecycle"] == "production"


# -- what comes back from the dead ----------------------------------------------------------------


class Frozen(ListIngestor):
    """Goes on only when it is told to."""

    def __init__(self, items):
        super().__init__(items)
        self.reached, self.thaw = threading.Event(), threading.Event()

    def snapshot(self):
        for number, item in enumerate(super().snapshot()):
            if number == 500:
                self.reached.set()
                assert self.thaw.wait(30)
            yield item


@contextmanager
def freezing(platform, ingestor):
    """Let a worker run a source, and stop short in the middle; it neither works nor renews."""
    leases = Leases(platform.database, holder="elsewhere/1/1/x", ttl=timedelta(seconds=0.05))
    frozen = hire(platform, Source("git", ingestor), leases=leases)
    lease = leases.take(lease_of("git"))
    raised = list[BaseException]()

    def run():
        try:
            frozen.service.run_held("git", lease)
        except LeaseLostError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert ingestor.reached.wait(30)
    time.sleep(0.1)
    try:
        yield raised
    finally:
        ingestor.thaw.set()
        thread.join(30)


def test_a_worker_that_was_frozen_writes_nothing_any_more(platform):
    stale = Frozen([component(f"c{n}") for n in range(1200)])

    with freezing(platform, stale) as raised:
        new = Source("git", ListIngestor([component(f"c{n}") for n in range(450)]))
        hire(platform, new)._do_due(Scheduler([]), "git")
        assert len(platform.refs()) == 450
        seq = platform.rows("SELECT max(seq) FROM change")

    assert len(raised) == 1
    assert len(platform.refs()) == 450
    assert platform.rows("SELECT max(seq) FROM change") == seq
    assert states(platform) == {"stopped": 1, "done": 1}


def test_jobs_that_are_not_sources_are_done_by_one_worker_too(platform):
    path = platform.write("root.yaml", document("one"))
    platform.root("root.yaml")
    one, other = hire(platform, locations_every=SECOND), hire(platform, locations_every=SECOND)
    one._do_due(Scheduler([]), LOCATIONS)
    path.write_text(document("one", lifecycle="deprecated"))

    other._do_due(Scheduler([]), LOCATIONS)
    assert platform.served()[ONE]["spec"]["lifecycle"] == "production"

    time.sleep(0.95)
    one._do_due(Scheduler([]), LOCATIONS)
    assert platform.served()[ONE]["spec"]["lifecycle"] == "deprecated"


def test_a_source_of_a_newer_configuration_is_not_evicted_by_an_older_one(platform):
    new = hire(platform, Source("new", ListIngestor([component("web")]), timedelta(hours=1)))
    new._do_due(Scheduler([]), "new")
    old = hire(platform)

    old.service.evict()
    assert platform.refs() == [WEB]

    new.leases.retire()
    old.service.evict()
    assert platform.refs() == []
