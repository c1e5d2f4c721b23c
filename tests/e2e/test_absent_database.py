"""Starting while PostgreSQL is away: it is waited for, not died of; what it refuses is told."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from app.db.engine import open_database
from tests.app.db.test_outages import away
from tests.e2e.processes import fetch, free_port, start, stopped_at_last
from tests.e2e.running import ACCESS, RULES, Platform, component, seconds_until

A = "component:default/a"
# What is asked of a process that waits is answered at once; connecting takes no more than 5 s.
SOON = 20.0


def configure(folder: Path, database: str) -> None:
    (folder / "a.yaml").write_text(component("a"))
    (folder / "app-config.yaml").write_text(
        f"{ACCESS}  database: {{client: pg, {database}}}\n"
        f"catalog:\n  {RULES}\n  locations: [{{type: file, target: ./a.yaml}}]\n"
    )


@contextmanager
def starting(folder: Path) -> Iterator[Platform]:
    """Start a server, and do not wait until it is ready."""
    port, log = free_port(), folder / "serve.log"
    process = start("serve", "--port", port, "--workers", 1, cwd=folder, log=log)
    with stopped_at_last(process):
        yield Platform(f"http://127.0.0.1:{port}", process, log)


def test_who_is_started_while_the_database_is_away_says_so_until_told_to_stop(tmp_path):
    url = f"postgresql://callboard:s3cr3t-word@127.0.0.1:{free_port()}/callboard"
    configure(tmp_path, f"connection: '{url}'")

    with starting(tmp_path) as platform:
        readiness = platform.readiness()
        liveness, _ = fetch(f"{platform.url}/.backstage/health/v1/liveness")
        refused = platform.ask("/api/catalog/entities")
        pushed = platform.ask("/api/graph/sources/a/entities", {}, method="PUT")
        platform.process.send_signal(signal.SIGTERM)
        took = seconds_until(lambda: platform.process.poll() is not None)
        code, said = platform.process.returncode, platform.said()

    assert readiness.status == 503
    assert readiness.json["message"] == "The database does not answer, try again later"
    assert liveness == 200
    assert (refused.status, refused.json["error"]["name"]) == (503, "ServiceUnavailableError")
    assert pushed.status == 503
    assert (code, took < SOON) == (0, True)
    assert "waiting for the database" in said
    assert "127.0.0.1" in said
    assert "s3cr3t-word" not in said
    assert "Traceback" not in said
    assert "Stop it with" not in said


def test_it_serves_as_soon_as_the_database_is_there(tmp_path, fresh_postgres: Callable[[], str]):
    url = fresh_postgres()
    configure(tmp_path, f"connection: {json.dumps(url)}")
    database = open_database(url)

    with ExitStack() as stack:
        with away(database):
            platform = stack.enter_context(starting(tmp_path))
            before = platform.readiness().status, platform.ask("/api/catalog/entities").status

        took = seconds_until(lambda: platform.readiness().status == 200)
        seconds_until(lambda: platform.entity(A))
        seconds_until(lambda: "Stop it with" in platform.said())

    database.close()
    assert before == (503, 503)
    assert took < SOON


@pytest.mark.parametrize("role", ["all", "worker"])
def test_a_database_that_is_refused_ends_the_start_with_its_words(
    tmp_path, role, fresh_postgres: Callable[[], str]
):
    url = fresh_postgres().replace("/test_", "/no_such_")
    configure(tmp_path, f"ensureExists: false, connection: {json.dumps(url)}")
    log = tmp_path / "serve.log"

    with stopped_at_last(start("serve", "--role", role, cwd=tmp_path, log=log)) as process:
        code = process.wait(60)

    assert code == 1
    assert "does not exist" in log.read_text().splitlines()[-1]
    assert "Traceback" not in log.read_text()
