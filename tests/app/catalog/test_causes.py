"""Causes: each change says where its content was read, by which run, or who asked for it."""

from __future__ import annotations

import orjson
import pytest

from app.catalog.causes import NOTHING, Trigger, called_by
from app.logs import REQUEST_ID
from app.model.entity import CatalogFile
from tests.app.catalog.platform import Platform, document
from tests.builders import component, group

WEB = "component:default/web"
PLACE = "url:https://git.example.org/a.yaml"


@pytest.fixture
def platform(database, tmp_path):
    return Platform(database, tmp_path)


def causes(platform, ref):
    rows = platform.rows(
        "SELECT c.cause FROM change c JOIN ref r ON r.id = c.entity_id WHERE r.ref = ? "
        "ORDER BY c.seq", ref,
    )  # fmt: skip
    return [orjson.loads(cause) for (cause,) in rows]


def test_only_what_is_known_is_said():
    assert NOTHING.cause() == "{}"
    assert Trigger(run="r").cause(source="s", line=0) == '{"source":"s","run":"r"}'
    assert Trigger(run="r", commit="c").peer_cause("x") == '{"by":"x","run":"r"}'


def test_a_caller_is_known_with_the_request(platform):
    token = REQUEST_ID.set("req-1")
    try:
        assert called_by("user:default/ada") == Trigger(actor="user:default/ada", request="req-1")
        assert called_by("").actor == "api"
    finally:
        REQUEST_ID.reset(token)


def test_a_file_is_named_with_line_and_commit(platform):
    text = document("first") + "---\n" + document("web")
    run = platform.source(CatalogFile(PLACE, text.encode(), "v1", "c0ffee")).runs["git"]

    assert causes(platform, WEB) == [
        {"source": "git", "location": PLACE, "line": 10, "commit": "c0ffee", "run": run}
    ]


def test_a_peer_names_the_entity_that_changed_it_and_the_run(platform):
    platform.source(group("team-a"))
    run = platform.source(group("team-a"), component("web")).runs["git"]

    assert causes(platform, "group:default/team-a")[1:] == [{"by": WEB, "run": run}]


def test_a_removal_names_the_run_that_missed_it(platform):
    platform.source(component("web"))
    run = platform.source().runs["git"]
    assert causes(platform, WEB)[1:] == [{"source": "git", "run": run}]


def test_every_reading_is_a_run_of_its_own(platform):
    path = platform.write("a.yaml", document("web"))
    platform.root("a.yaml")
    path.write_text(document("web", lifecycle="deprecated"))
    ids = [row[0] for row in platform.rows("SELECT ref_id FROM reading")]
    run = platform.ingest.locations(ids).runs["config"]

    first, second = causes(platform, WEB)
    assert second["run"] == run != first["run"]
