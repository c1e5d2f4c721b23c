"""Several processes write to one SQLite file: they wait for each other, and none fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from app.db.engine import open_database

ROOT = Path(__file__).parents[3]
WRITE = """\
import sys
from app.db import sequence
from app.db.engine import open_database
from app.db.statements import Statements

database = open_database(sys.argv[1])
for _ in range(int(sys.argv[2])):
    with database.begin() as connection:
        sql = Statements.on(connection)
        seq = sequence.take(sql, 1)
        sql.execute("INSERT INTO ref (ref) VALUES (?)", f"{sys.argv[3]}-{seq}")
    with database.snapshot() as connection:
        assert sequence.newest(Statements.on(connection)) >= seq
database.close()
"""
MIGRATE = """\
import sys
from app.db.engine import open_database
from app.db.migrate import migrate

database = open_database(sys.argv[1])
migrate(database)
database.close()
"""


def start(program, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def all_end_well(processes):
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(said), said


def count(database):
    with database.snapshot() as connection:
        return connection.execute(text("SELECT count(*) FROM ref")).scalar_one()


@pytest.fixture
def url(migrated_sqlite, tmp_path):
    return migrated_sqlite(tmp_path / "callboard.sqlite")


def test_three_writers_at_full_speed_lose_nothing_and_never_fail(url):
    all_end_well([start(WRITE, url, 300, name) for name in ("a", "b", "c")])

    database = open_database(url)
    assert count(database) == 900
    with database.snapshot() as connection:
        assert connection.execute(text("SELECT seq FROM sequence")).scalar_one() == 900
    database.close()


def test_three_processes_may_make_the_same_file_at_once(tmp_path):
    url = f"sqlite:///{tmp_path}/new/callboard.sqlite"

    all_end_well([start(MIGRATE, url) for _ in range(3)])

    database = open_database(url)
    assert count(database) == 0
    database.close()


def test_a_writer_that_is_killed_in_the_middle_leaves_the_file_to_the_others(url):
    killed = start(WRITE, url, 100_000, "killed")
    other = start(WRITE, url, 100, "other")
    database = open_database(url)
    while count(database) < 20:
        pass

    killed.kill()
    killed.communicate()

    all_end_well([other])
    with database.begin() as connection:
        connection.execute(text("INSERT INTO ref (ref) VALUES ('after')"))
        rows = connection.execute(text("SELECT seq FROM sequence")).scalar_one()
    assert count(database) == rows + 1
    database.close()
