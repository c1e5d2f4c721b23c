"""`history`, `diff` and `undo` against a running server."""

from __future__ import annotations

import threading

import pytest
from werkzeug.serving import make_server

from app.catalog.causes import Trigger
from app.catalog.emission import Counts, Parent
from app.cli.history import cause_text
from app.db.engine import open_database
from tests.app.catalog.write_side import HERE, Graph, emission
from tests.app.cli.command import run, run_json
from tests.app.graph.api import Api

WEB = "component:default/web"
ONE = Parent("one")


@pytest.fixture
def graph(migrated_sqlite, tmp_path):
    database = open_database(migrated_sqlite(tmp_path / "callboard.sqlite"))
    graph = Graph(database)
    graph.write(ONE, emission(WEB))
    with graph.writer.begin(Trigger(run="r", commit="0123456789abcdef")) as claims:
        claims.write(ONE, [emission(WEB, text="v2")], Counts())
    graph.stitcher.stitch_all()
    yield graph
    database.close()


@pytest.fixture
def called(graph):
    api = Api(graph)
    server = make_server("127.0.0.1", 0, api.app)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield ["--server", f"http://127.0.0.1:{server.server_port}", "--token", "ada"]
    server.shutdown()
    thread.join()
    server.server_close()
    api.snapshots.close()


def test_history_lists_changes(called):
    lines = run("history", "component:web", *called).stdout.splitlines()

    newest, oldest = (line.split("\t") for line in lines)
    assert newest[0] == "2"
    assert newest[2:] == ["update", "/metadata/description", f"{HERE}:1, at 0123456789, source one"]
    assert oldest[2:] == ["create", "", f"{HERE}:1, source one"]


def test_history_says_if_there_is_more(called, graph):
    result = run("history", WEB, "--limit", "1", *called)
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr == "There are more; the newest 1 are shown.\n"
    assert [change["seq"] for change in run_json("history", WEB, *called)] == [2, 1]


def test_history_of_what_was_never_there_fails(called):
    result = run("history", "component:nope", *called)
    assert result.exit_code == 1
    assert result.stderr == "Error: No history of component:default/nope is known\n"


def test_diff_shows_what_changed(called):
    assert run("diff", WEB, *called).stdout == '~ /metadata/description  "v1" → "v2"\n'
    assert run("diff", WEB, "--from", "2", "--to", "2", *called).stderr == (
        "There is no difference.\n"
    )
    found = run_json("diff", WEB, "--from", "0", "--to", "1", *called)
    assert [one["op"] for one in found["changes"]] == ["added"]
    assert run("diff", WEB, "--to", "soon", *called).exit_code == 1


def test_undo_takes_back_a_change(called, graph):
    looked = run("undo", "2", "--dry-run", *called)
    assert looked.stdout == (
        f'{WEB}: would be changed back\n  ~ /metadata/description  "v2" → "v1"\n'
    )
    assert graph.text(WEB) == "v2"

    assert run("undo", "2", *called).exit_code == 0
    assert graph.text(WEB) == "v1"

    again = run("undo", "2", *called)
    assert again.exit_code == 1
    assert "changed since" in again.stderr
    assert run_json("undo", "3", *called)["undone"][0]["entityRef"] == WEB


def test_undo_of_a_source_names_it_in_the_path(called):
    result = run("undo", "--source", "git:a/b", *called)
    assert result.stderr == "Error: No run of git:a/b that changed anything is known\n"


@pytest.mark.parametrize("given", [[], ["1", "--source", "git"]])
def test_undo_takes_a_change_or_a_source(called, given):
    assert run("undo", *given, *called).exit_code == 2


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        ({}, "unknown"),
        ({"by": WEB, "run": "r"}, f"because of {WEB}"),
        ({"actor": "user:default/ada", "undo": "7"}, "undo of 7, by user:default/ada"),
        ({"location": HERE}, HERE),
    ],
)
def test_causes_are_said_in_a_few_words(cause, text):
    assert cause_text(cause) == text
