"""Killed at any moment: the graph stays whole, loses nothing, and is finished by the next run.

By default a small catalog on SQLite and 6 kills, about a minute on an idle machine. In full, 50
kills while 20,000 entities are read, on each database (half an hour):

    CRASHES=50 python -m pytest tests/e2e/test_crash.py -s

`CRASH_ENTITIES` sets the size of the catalog, `CRASH_SEED` the moments; without it they are others
every time, and what fails says which they were.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from app.db.engine import Database, open_database
from app.db.migrate import migrate
from tests.e2e.crash_corpus import Corpus, change_corpus, write_corpus
from tests.e2e.graph_state import Seen, content, differences, faults, look, losses
from tests.e2e.processes import (
    children,
    fetch,
    free_port,
    is_alive,
    kill_after,
    processor_time,
    start,
    stopped_at_last,
    until,
)

IS_FULL = "CRASHES" in os.environ
CRASHES = int(os.environ.get("CRASHES", "6"))
SIZE = int(os.environ.get("CRASH_ENTITIES", "20000" if IS_FULL else "3000"))
SEED = int(os.environ.get("CRASH_SEED", "0")) or random.SystemRandom().randrange(1 << 30)
DATABASES = ["sqlite", "postgres"] if IS_FULL else ["sqlite"]
# Half of the kills hit the one process of `callboard ingest`, the others those of `serve`.
SHARES = {"ingest": 1 / 2, "worker": 1 / 6, "web": 1 / 6, "supervisor": 1 / 6}
EMPTY = Seen(0, (), frozenset(), frozenset(), 0)


def kills_of(target: str) -> int:
    return max(1, round(CRASHES * SHARES[target]))


# Where it happens


@dataclass
class Site:
    """A folder with a configuration, and the database it names."""

    folder: Path
    corpus: Corpus
    url: str
    port: int = field(default_factory=free_port)
    kills: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir()
        (self.folder / "app-config.yaml").write_text(
            self.corpus.configuration(database=self._connection(), port=self.port)
        )

    def _connection(self) -> dict[str, Any]:
        url = make_url(self.url)
        if url.get_backend_name() == "sqlite":
            return {"client": "better-sqlite3", "connection": {"filename": url.database}}
        connection = {"host": url.query.get("host") or url.host, "port": url.port}
        connection |= {"user": url.username, "password": url.password, "database": url.database}
        return {"client": "pg", "connection": {k: v for k, v in connection.items() if v}}

    @property
    def is_sqlite(self) -> bool:
        return make_url(self.url).get_backend_name() == "sqlite"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    def ingest(self, **limits: int):
        return start("ingest", cwd=self.folder, log=self.log, **limits)

    def serve(self):
        return start("serve", cwd=self.folder, log=self.log)

    def open(self) -> Database:
        return open_database(self.url)

    def look(self) -> Seen:
        """Look at what is committed; nothing is, before the database is made."""
        if self.is_sqlite and not Path(make_url(self.url).database or "").exists():
            return EMPTY
        database = self.open()
        try:
            return look(database)
        except (DBAPIError, sqlite3.OperationalError, psycopg.Error) as error:
            if "no such table" in str(error) or "does not exist" in str(error):
                return EMPTY
            raise
        finally:
            # No connection of ours may be open when a process dies: the next one has to recover.
            database.close()

    def settle(self) -> None:
        """Wait until PostgreSQL has noticed that its client is dead."""
        if self.is_sqlite:
            return
        with psycopg.connect(self.url, autocommit=True) as connection:
            others = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
            until(lambda: connection.execute(others).fetchone() == (0,), "it noticed", 60)

    def check(self, before: Seen = EMPTY, *, may_remove: bool = False) -> Seen:
        """Hold the database to its rules and to what was committed `before`."""
        after = self.look()
        database = self.open()
        try:
            migrate(database)  # as the next process would
            found = list(faults(database)) + list(losses(before, after, may_remove=may_remove))
        finally:
            database.close()
        assert not found, self.story(found)
        return after

    def content(self) -> dict[str, Any]:
        database = self.open()
        try:
            return content(database)
        finally:
            database.close()

    def story(self, found: list[str]) -> str:
        lines = [f"CRASH_SEED={SEED}, kill {self.kills} in {self.folder}", *found[:20]]
        lines += [line for line in self.log.read_text().splitlines() if line[:7] != "problem"][-20:]
        return "\n".join(line[:500] for line in lines)

    def assert_is(self, expected: dict[str, Any]) -> None:
        found = list(differences(expected, self.content()))
        assert not found, self.story(found)


@dataclass(frozen=True)
class Reference:
    """A catalog in two states, what undisturbed runs make of them, and how long they compute."""

    corpus: Corpus
    states: tuple[Path, Path]
    contents: tuple[dict[str, Any], dict[str, Any]]
    seconds: tuple[float, float]
    bytes: int = 0

    def enter(self, state: int) -> None:
        self.corpus.root.unlink(missing_ok=True)
        self.corpus.root.symlink_to(self.states[state])


def processor_seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Reference:
    folder = tmp_path_factory.mktemp("reference")
    corpus = write_corpus(folder / "first", SIZE)
    change_corpus(folder / "first", folder / "second")
    corpus = Corpus(folder / "catalog", corpus.documents)
    site = Site(folder / "site", corpus, f"sqlite:///{folder}/site/callboard.sqlite")
    states = (folder / "first", folder / "second")
    made = Reference(corpus, states, ({}, {}), (0.0, 0.0))
    contents, seconds, size = [], [], 0
    for state in (0, 1):
        made.enter(state)
        began = processor_seconds_of_children()
        process = site.ingest()
        assert process.wait(600) == 1, site.log.read_text()[-3000:]
        seconds.append(processor_seconds_of_children() - began)
        site.check()
        size = size or Path(make_url(site.url).database or "").stat().st_size
        contents.append(site.content())
        assert not contents[-1]["waiting"]
    print(f"\n{corpus.documents} documents, seed {SEED}, undisturbed: {seconds}")
    return Reference(corpus, states, tuple(contents), tuple(seconds), size)


@pytest.fixture(params=DATABASES)
def new_site(request, tmp_path, reference) -> Iterator[Any]:
    """Answer a maker of sites, each with a database of its own."""
    names = iter(range(10_000))

    def make() -> Site:
        number = next(names)
        folder = tmp_path / str(number)
        if number:
            shutil.rmtree(tmp_path / str(number - 1), ignore_errors=True)
        if request.param == "sqlite":
            url = f"sqlite:///{folder}/callboard.sqlite"
        else:
            url = fresh_postgres(request.getfixturevalue("postgres_server"))
        return Site(folder, reference.corpus, url)

    yield make


def fresh_postgres(server: str) -> str:
    name = f"crash_{os.getpid()}_{random.SystemRandom().randrange(1 << 40)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return make_url(server).set(database=name).render_as_string(hide_password=False)


# The process of `callboard ingest`


def test_a_killed_ingest_loses_nothing_and_the_next_one_finishes_it(new_site, reference):
    chance, stages, kills = random.Random(SEED), Counter[str](), 0
    while kills < kills_of("ingest"):
        site = new_site()
        for state in (0, 1):
            reference.enter(state)
            for _ in range(chance.choice((1, 2, 3))):
                seen = kill_an_ingest(site, chance.uniform(0.3, reference.seconds[state]), state)
                if seen is None:
                    break
                kills += 1
                stages[seen.stage.partition(":")[0] + " " + ("the first time", "again")[state]] += 1
            process = site.ingest()
            assert process.wait(600) == 1, site.story([])
            site.check()
            site.assert_is(reference.contents[state])
            if kills >= kills_of("ingest"):
                break
    print(f"\n{kills} kills of ingest:", dict(stages))


def kill_an_ingest(site: Site, seconds: float, state: int) -> Seen | None:
    """Kill an ingest on its way, look at what it left; None if it was quicker."""
    seen = site.look()

    def about_to() -> None:
        nonlocal seen
        seen = site.look()

    process = site.ingest()
    killed = kill_after(process.pid, seconds, about_to)
    code = process.wait(600)
    if not killed or code != -signal.SIGKILL:
        return None
    site.kills += 1
    site.settle()
    return site.check(seen, may_remove=bool(state))


def test_two_ingests_at_once_come_to_what_one_comes_to(new_site, reference):
    site = new_site()
    for state in (0, 1):
        reference.enter(state)
        both = [site.ingest() for _ in range(2)]
        assert [process.wait(600) for process in both] == [1, 1], site.story([])
        site.check(may_remove=bool(state))
        site.assert_is(reference.contents[state])


# The processes of `callboard serve`


def last_run(site: Site) -> tuple[str, ...]:
    database = site.open()
    try:
        with database.snapshot() as connection:
            rows = connection.exec_driver_sql("SELECT state FROM run ORDER BY started_at").all()
    except (DBAPIError, sqlite3.OperationalError):
        return ()
    finally:
        database.close()
    return tuple(row[0] for row in rows)


def is_finished(site: Site) -> bool:
    return last_run(site)[-1:] == ("done",) and not site.look().waiting


def wait_for(supervisor: Any, name: str) -> int:
    until(lambda: name in children(supervisor.pid), f"{name} runs")
    return children(supervisor.pid)[name]


def wait_for_a_moment_in_the_midst(
    site: Site, supervisor: Any, reference: Reference, chance: random.Random
) -> Seen:
    """Wait until the worker is somewhere between its first write and its last; look at it then."""
    worker = wait_for(supervisor, "worker")
    until(lambda: site.look().emissions, "it has written something")
    moment = processor_time(worker) + chance.uniform(0, 0.8 * reference.seconds[0])
    until(lambda: processor_time(worker) >= moment or is_finished(site), "it is time")
    return site.look()


def assert_is_served(site: Site, expected: dict[str, Any]) -> None:
    """Ask every web process for what is in the catalog."""
    for _ in range(6):
        url = f"http://127.0.0.1:{site.port}/api/catalog/entities/by-query?limit=0"
        status, body = fetch(url)
        assert status == 200
        assert json.loads(body)["totalItems"] == len(expected["entities"])


@pytest.mark.parametrize("target", ["worker", "web-1", "supervisor"])
def test_a_killed_process_of_serve_is_made_up_for(new_site, reference, target):
    share = target.partition("-")[0]
    chance, stages = random.Random(SEED), Counter[str]()
    reference.enter(0)
    for _ in range(kills_of(share)):
        site = new_site()
        with stopped_at_last(site.serve()) as supervisor:
            seen = wait_for_a_moment_in_the_midst(site, supervisor, reference, chance)
            family = children(supervisor.pid)
            victim = {**family, "supervisor": supervisor.pid}[target]
            os.kill(victim, signal.SIGKILL)
            stages[seen.stage.partition(":")[0]] += 1
            if target != "supervisor":
                until(
                    lambda: children(supervisor.pid).get(target, victim) != victim,
                    "it is started again",
                )
                site.check(seen)
                until(lambda: is_finished(site), "it is finished")
                assert_is_served(site, reference.contents[0])
        if target == "supervisor":
            until(lambda: not any(map(is_alive, family.values())), "its processes end", 60)
            site.settle()
            site.check(seen)
            with stopped_at_last(site.serve()):
                until(lambda: is_finished(site), "it is finished")
                assert_is_served(site, reference.contents[0])
        site.check(seen)
        site.assert_is(reference.contents[0])
    print(f"\n{kills_of(share)} kills of {target}:", dict(stages))


@pytest.mark.skipif(not IS_FULL, reason="PostgreSQL is for the full variant")
def test_connections_that_postgres_cuts_are_made_anew(new_site, reference):
    chance = random.Random(SEED)
    reference.enter(0)
    site = new_site()
    if site.is_sqlite:
        pytest.skip("a file has no connections")
    with stopped_at_last(site.serve()) as supervisor:
        family = {}
        for _ in range(5):
            seen = wait_for_a_moment_in_the_midst(site, supervisor, reference, chance)
            family = family or children(supervisor.pid)
            with psycopg.connect(site.url, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            site.check(seen)
        until(lambda: is_finished(site), "it is finished")
        assert_is_served(site, reference.contents[0])
        assert children(supervisor.pid) == family
    site.assert_is(reference.contents[0])


# A disk that is full


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6])
def test_an_ingest_onto_a_full_disk_says_so_and_can_be_finished_later(tmp_path, reference, share):
    reference.enter(0)
    site = Site(tmp_path / "site", reference.corpus, f"sqlite:///{tmp_path}/site/callboard.sqlite")

    code = site.ingest(largest_file=int(reference.bytes * share)).wait(600)

    said = site.log.read_text()[-3000:]
    assert code == 1, said
    assert "Traceback" not in said, said
    assert "disk" in said.lower(), said
    site.check()
    assert site.ingest().wait(600) == 1, said
    site.check()
    site.assert_is(reference.contents[0])
