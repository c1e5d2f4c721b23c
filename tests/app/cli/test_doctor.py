"""`doctor`: what may be wrong with a machine is found, named, and told with what to do."""

from __future__ import annotations

import http.server
import json
import os
import socket
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from app.cli.doctor import examine
from app.cli.doctor_checks import Check, size
from app.cli.doctor_database import clock_check
from app.cli.doctor_reach import hosts
from app.cli.options import Configuration
from tests.app.cli.command import run, run_json
from tests.app.scm.git_server import Origin
from tests.app.scm.web_server import web_server


@pytest.fixture(autouse=True)
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number: int = taken.getsockname()[1]
    configure(f"backend: {{listen: {{port: {number}}}}}")
    return number


def configure(*lines: str) -> None:
    with Path("app-config.yaml").open("a") as file:
        file.write("\n".join([*lines, ""]))


def checks(*, offline: bool = True) -> dict[str, Check]:
    return {check.name: check for check in examine(Configuration(), offline=offline)}


def test_a_sound_machine_is_sound():
    result = run("doctor", "--offline")

    assert result.exit_code == 0, result.stdout
    states = {line.split("\t")[0] for line in result.stdout.splitlines()}
    assert states <= {"ok", "warn"}
    assert not Path(".callboard").exists()


def test_json_has_every_check():
    found = run_json("doctor", "--offline")

    assert {"Python", "packages", "open files", "configuration", "data directory", "free space",
            "database", "port"} <= {check["check"] for check in found}  # fmt: skip
    assert all(set(check) == {"check", "status", "found", "advice"} for check in found)


# The configuration


def test_mistakes_of_the_configuration_are_failures():
    configure("callboard: {workers: 0, wrokers: 1}", "catalog: {readonly: maybe}")

    result = run("doctor", "--offline")

    assert result.exit_code == 1
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    mistakes = [line[2] for line in lines if line[:2] == ["fail", "configuration"]]
    assert [mistake.partition(":")[0] for mistake in mistakes] == [
        "catalog.readonly",
        "callboard.workers",
    ]


def test_warnings_of_the_configuration_are_warnings():
    configure("callboard: {wrokers: 1}")

    found = run_json("doctor", "--offline")

    assert [c["status"] for c in found if "wrokers" in c["found"]] == ["warn"]


# The data directory


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_data_directory_that_cannot_be_written_to_is_a_failure():
    Path(".callboard").mkdir(mode=0o500)

    assert checks()["data directory"].status == "fail"


def test_a_file_in_the_place_of_the_data_directory_is_a_failure():
    Path(".callboard").write_text("")

    assert checks()["data directory"].status == "fail"


def test_a_data_directory_for_everybody_is_worth_a_warning():
    Path(".callboard").mkdir()
    Path(".callboard").chmod(0o777)

    check = checks()["data directory"]

    assert check.status == "warn"
    assert check.advice.startswith("chmod o-w ")


# The database


def test_a_database_is_described():
    run("migrate")

    found = checks()

    assert "journal mode wal" in found["database"].found
    assert found["size"].status == found["writing"].status == "ok"
    assert found["migrations"].found.startswith("up to date, revision ")


def test_a_database_without_tables_wants_to_be_migrated():
    Path(".callboard").mkdir()
    sqlite3.connect(".callboard/callboard.sqlite").execute("CREATE TABLE x (y)").connection.close()

    check = checks()["migrations"]

    assert (check.status, check.advice) == ("warn", "Run callboard migrate")


def test_a_file_that_is_no_database_is_a_failure():
    Path(".callboard").mkdir()
    Path(".callboard/callboard.sqlite").write_text("something else, and long enough to be read")

    assert checks()["database"].found.endswith("file is not a database")


def test_a_writer_that_never_ends_is_noticed():
    run("migrate")
    writer = sqlite3.connect(".callboard/callboard.sqlite", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    try:
        check = checks()["writing"]
    finally:
        writer.close()

    assert check.status == "warn"


def test_a_server_that_is_not_there_is_a_failure():
    configure("# a database")
    Path("app-config.yaml").write_text(
        "backend: {database: {client: pg, connection: 'postgresql://me:secret@127.0.0.1:1/x'}}\n"
    )

    check = checks()["database"]

    assert check.status == "fail"
    assert "secret" not in check.found


def test_postgres_is_described(postgres_server):
    parts = psycopg.conninfo.conninfo_to_dict(postgres_server)
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS cli_doctor")
    keys = ("host", "port", "user", "password")
    given = {key: str(parts[key]) for key in keys if key in parts}
    database = {"client": "pg", "connection": {**given, "database": "cli_doctor"}}
    Path("app-config.yaml").write_text(json.dumps({"backend": {"database": database}}))

    assert checks()["database"].status == "warn"
    run("migrate")

    found = checks()
    for name in ("database", "size", "clock", "writing", "migrations"):
        assert found[name].status == "ok", found[name]


# The port


def test_a_port_that_is_used_names_who_has_it(free_port):
    with socket.create_server(("127.0.0.1", free_port)):
        check = checks()["port"]

    assert check.status == "fail"
    assert f"(pid {os.getpid()})" in check.found


def test_a_server_that_runs_already_is_only_worth_a_warning(free_port):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"status":"ok"}')

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", free_port), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        check = checks()["port"]
        server.shutdown()

    assert check.status == "warn"
    assert "Backstage" in check.found


def test_an_address_that_is_not_ours_is_a_failure():
    Path("app-config.yaml").write_text("backend: {listen: {host: 203.0.113.1, port: 7007}}\n")

    assert checks()["port"].status == "fail"


# The clock


@pytest.mark.parametrize(("seconds", "status"), [(0, "ok"), (10, "warn"), (90, "fail")])
def test_clocks_that_differ_are_noticed(seconds, status):
    check = clock_check("a host", datetime.now(UTC) - timedelta(seconds=seconds))

    assert check.status == status


# What is elsewhere


def test_only_hosts_of_the_configuration_are_asked():
    Path("app-config.yaml").write_text(
        "backend:\n  reading:\n    allow:\n"
        "      - {host: a.example.com}\n      - {host: '*.example.com'}\n"
        "      - {host: 'my-b.example.com:8000-8010'}\n"
        "integrations:\n  gitlab: [{host: git.example.com, token: x}]\n  github: [{token: y}]\n"
    )

    assert hosts(Configuration().settings()) == [
        "a.example.com",
        "my-b.example.com:8000",
        "git.example.com",
        "github.com",
    ]


def test_hosts_and_locations_are_asked_and_redirects_not_followed():
    with web_server() as site, web_server() as elsewhere:
        site.answer("/catalog.yaml", b"a: 1")
        site.redirect("/moved.yaml", f"{elsewhere.url}/x.yaml")
        host = f"127.0.0.1:{site.port}"
        Path("local.yaml").write_text("")
        Path("app-config.yaml").write_text(
            f"backend: {{reading: {{allow: [{{host: '{host}'}}, {{host: '127.0.0.1:1'}}]}}}}\n"
            f"catalog:\n  locations:\n"
            f"    - {{type: url, target: '{site.url}/catalog.yaml'}}\n"
            f"    - {{type: url, target: '{site.url}/moved.yaml'}}\n"
            f"    - {{type: url, target: '{site.url}/missing.yaml'}}\n"
            f"    - {{type: file, target: ./local.yaml}}\n"
            f"    - {{type: file, target: ./gone.yaml}}\n"
            f"    - {{type: file, target: './*/x.yaml'}}\n"
            f"    - {{type: file, target: './gone/*.yaml'}}\n"
        )
        found = checks(offline=False)
        asked_elsewhere = elsewhere.requests

    here = Path.cwd()
    states = {name: c.status for name, c in found.items() if name.startswith(("host", "location"))}
    assert states == {
        f"host {host}": "ok",
        "host 127.0.0.1:1": "fail",
        f"location {site.url}/catalog.yaml": "ok",
        f"location {site.url}/moved.yaml": "fail",
        f"location {site.url}/missing.yaml": "fail",
        f"location {here}/local.yaml": "ok",
        f"location {here}/gone.yaml": "fail",
        f"location {here}/*/x.yaml": "ok",
        f"location {here}/gone/*.yaml": "fail",
    }
    assert asked_elsewhere == []
    assert found["clock"].status == "ok"


def test_repositories_are_asked_for_their_newest_commit(tmp_path):
    origin = Origin.create(tmp_path / "app.git")
    commit = origin.commit({"catalog-info.yaml": b""})
    configure(
        f"catalog: {{providers: {{git: {{a: {{url: '{origin.path}'}},"
        f" b: {{url: '{tmp_path}/none.git'}}, c: {{url: 'ssh://git@127.0.0.1:1/x'}}}}}}}}"
    )

    found = checks(offline=False)

    assert found["source git:a"].found == f"answers, now at {commit[:12]}"
    assert found["source git:b"].status == "fail"
    assert found["source git:c"].status == "fail"
    assert "ssh" in found
    assert not Path(".callboard").exists()


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (1500, "1.5 kB"), (2_000_000_000_000, "2000.0 GB")]
)
def test_sizes_are_written_for_people(count, text):
    assert size(count) == text
