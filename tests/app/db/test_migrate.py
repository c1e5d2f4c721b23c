"""Migrations: run once, by whoever comes first, and all or nothing."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from alembic.util.exc import CommandError
from sqlalchemy import inspect

from app.db import sequence
from app.db.engine import open_database
from app.db.migrate import current_revision, migrate
from app.db.statements import Statements
from app.db.tables import metadata

PROCESSES = 4
# One process learns what is to be done, and forks those that do it, so that they start at once.
START = """
import multiprocessing, sys
from app.db.engine import open_database
from app.db.migrate import migrate

def work(url, barrier):
    barrier.wait()
    database = open_database(url)
    print(migrate(database), flush=True)
    database.close()

context = multiprocessing.get_context("fork")
barrier = context.Barrier(int(sys.argv[2]))
given = sys.argv[1], barrier
children = [context.Process(target=work, args=given) for _ in range(barrier.parties)]
for child in children:
    child.start()
for child in children:
    child.join()
sys.exit(sum(child.exitcode != 0 for child in children))
"""


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new.sqlite"
    return request.getfixturevalue("fresh_postgres")()


@pytest.fixture
def empty(empty_url):
    database = open_database(empty_url)
    yield database
    database.close()


def tables_of(database):
    with database.engine.connect() as connection:
        return set(inspect(connection).get_table_names()) - {"alembic_version"}


def lineage(database):
    with database.snapshot() as connection:
        return sequence.lineage(Statements.on(connection))


def test_an_empty_database_gets_every_table(empty):
    assert current_revision(empty) is None

    head = migrate(empty)

    assert current_revision(empty) == head
    assert tables_of(empty) == set(metadata.tables)


def test_migrating_again_changes_nothing(empty):
    head = migrate(empty)
    before = lineage(empty)

    assert migrate(empty) == head
    assert lineage(empty) == before


def test_two_databases_are_told_apart(empty, tmp_path):
    other = open_database(f"sqlite:///{tmp_path}/other.sqlite")
    migrate(other)
    migrate(empty)

    assert lineage(empty) != lineage(other)
    other.close()


def test_processes_that_start_together_migrate_once(empty_url, empty):
    command = [sys.executable, "-W", "error", "-c", START, empty_url, str(PROCESSES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [current_revision(empty)] * PROCESSES
    assert tables_of(empty) == set(metadata.tables)
    with empty.snapshot() as connection:
        assert Statements.on(connection).row("SELECT count(*) FROM sequence") == (1,)


def test_threads_that_start_together_migrate_once(empty):
    heads, failures = list[str](), list[Exception]()
    start = threading.Barrier(3)

    def work():
        start.wait()
        try:
            heads.append(migrate(empty))
        except Exception as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert len(set(heads)) == 1


def test_a_migration_that_fails_leaves_nothing_behind(empty):
    with empty.begin() as connection:
        # Stands in the way of the last table but one.
        Statements.on(connection).execute("CREATE TABLE problem (id INTEGER)")

    with pytest.raises(Exception, match="problem"):
        migrate(empty)

    assert current_revision(empty) is None
    assert tables_of(empty) == {"problem"}


def test_a_database_of_a_later_release_is_left_alone(empty):
    migrate(empty)
    with empty.begin() as connection:
        Statements.on(connection).execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(CommandError, match="9999"):
        migrate(empty)

    assert current_revision(empty) == "9999"
    assert tables_of(empty) == set(metadata.tables)


def test_a_schema_that_the_connection_points_at_is_the_one_that_is_migrated(fresh_postgres):
    url = fresh_postgres()
    plain = open_database(url)
    with plain.begin() as connection:
        Statements.on(connection).execute("CREATE SCHEMA board")
    inside = open_database(f"{url}{'&' if '?' in url else '?'}options=-c%20search_path%3Dboard")

    migrate(inside)

    assert tables_of(plain) == set()
    with plain.engine.connect() as connection:
        assert "entity" in inspect(connection).get_table_names(schema="board")
    plain.close()
    inside.close()
