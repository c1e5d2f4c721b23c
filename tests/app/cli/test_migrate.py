"""`migrate`: the database brought up to date, on SQLite and PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from tests.app.cli.command import run, run_json

FILE = Path("data/callboard.sqlite")


def test_a_missing_database_is_made():
    result = run("migrate", "--data-dir", "data")

    assert result.exit_code == 0
    assert "brought from nothing to revision" in result.stdout
    assert FILE.exists()


def test_a_database_that_is_up_to_date_is_left_alone():
    run("migrate", "--data-dir", "data")

    report = run_json("migrate", "--data-dir", "data")

    assert report["before"] == report["now"] == report["wanted"]
    assert run("migrate", "--check", "--data-dir", "data").exit_code == 0


def test_check_changes_nothing_and_fails_if_there_is_something_to_do():
    result = run("migrate", "--check", "--data-dir", "data")

    assert result.exit_code == 1
    assert "is wanted" in result.stdout
    assert not FILE.parent.exists()


def test_a_folder_that_cannot_be_made_is_one_clear_line():
    Path("data").write_text("a file")

    assert run("migrate", "--data-dir", "data").exit_code == 2
    result = run("migrate", "--data-dir", "data/below")

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: SQLite database ")
    assert len(result.stderr.splitlines()) == 1


def test_a_server_that_is_not_there_is_one_clear_line():
    Path("app-config.yaml").write_text(
        "backend: {database: {client: pg, connection: 'postgresql://me:secret@127.0.0.1:1/x'}}\n"
    )

    for command in (["migrate"], ["migrate", "--check"], ["ingest"]):
        result = run(*command)

        assert result.exit_code == 1
        assert result.stderr.splitlines()[-1].startswith(
            "Error: PostgreSQL database x at 127.0.0.1:1: "
        )
        assert "secret" not in result.stderr


@pytest.fixture
def postgres(postgres_server):
    """The configuration of a database that does not exist yet."""
    parts = psycopg.conninfo.conninfo_to_dict(postgres_server)
    name = "cli_migrate"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
    lines = [f"      {key}: '{value}'" for key, value in {**parts, "database": name}.items()
             if key in {"host", "port", "user", "password", "database"}]  # fmt: skip
    head = "backend:\n  database:\n    client: pg\n    connection:\n"
    Path("app-config.yaml").write_text(head + "\n".join(lines) + "\n")


def test_a_postgres_database_is_made_and_migrated(postgres):
    assert run("migrate", "--check").exit_code == 1

    assert run_json("migrate")["before"] is None
    assert run("migrate", "--check").exit_code == 0
