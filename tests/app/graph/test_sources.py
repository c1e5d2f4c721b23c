"""Every source that the graph knows of, as it is answered."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from app.db.statements import Statements
from app.errors import NotFoundError
from app.graph.sources import Sources, source_json, sources_json
from app.sync.store import SyncStore
from tests.app.graph.preview.repository import RepositoryPlatform
from tests.app.graph.push.test_service import Cmdb, entity

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def platform(database, tmp_path):
    platform = RepositoryPlatform(database, tmp_path)
    yield platform
    platform.snapshots.close()


def ran(platform, source, state, error=None):
    now = datetime.now(UTC)
    with platform.database.begin() as connection:
        store = SyncStore(Statements.on(connection))
        store.start_run(f"{source} {state}", source, now)
        store.finish_run(f"{source} {state}", state, {"written": 2}, error, now)


def test_a_source_of_which_nothing_came_yet_is_listed(platform):
    assert sources_json(Sources(platform.writer, frozenset({"git:a"})).all()) == {
        "items": [
            {
                "name": "git:a",
                "kind": "git",
                "entities": 0,
                "lastRun": None,
                "lastPush": None,
                "lastError": None,
            }
        ]
    }


def test_a_source_tells_what_its_last_run_came_to(platform):
    ran(platform, "git:a", "done")
    ran(platform, "git:b", "failed", "the server is down")
    sources = Sources(platform.writer, frozenset())

    good, bad = (source_json(sources.get(name)) for name in ("git:a", "git:b"))

    assert (good["lastRun"]["state"], good["lastError"]) == ("done", None)
    assert good["lastRun"]["counts"] == {"written": 2}
    assert bad["lastRun"]["error"] == bad["lastError"]["message"] == "the server is down"


def test_times_are_written_as_everywhere_else(platform):
    Cmdb(platform).put(1, entity("web"))
    ran(platform, "git:b", "failed", "the server is down")
    sources = Sources(platform.writer, frozenset())

    pushed, failed = (source_json(sources.get(name)) for name in ("cmdb", "git:b"))

    assert pushed["lastPush"]["version"] == 1
    run = failed["lastRun"]
    times = [
        pushed["lastPush"]["at"],
        failed["lastError"]["at"],
        run["startedAt"],
        run["finishedAt"],
    ]
    assert [time for time in times if not MOMENT.fullmatch(time)] == []


def test_a_source_that_nobody_knows_is_not_found(platform):
    with pytest.raises(NotFoundError, match="no-such"):
        Sources(platform.writer, frozenset()).get("no-such")
