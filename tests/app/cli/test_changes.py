"""`changes` and `webhooks` against a running server."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime

import pytest

from app.cli.event_text import read_events
from app.db.engine import open_database
from app.db.statements import Statements
from app.graph.changes.recent import RecentChanges
from app.graph.changes.routes import add_change_routes
from app.graph.changes.stream import ChangeStreams
from app.graph.routes import graph_routes
from app.graph.webhooks.routes import add_webhook_routes
from app.graph.webhooks.service import WebhookService
from app.graph.webhooks.store import HookRow, WebhookStore
from app.graph.webhooks.webhook import Webhook
from tests.app.cli.command import run, run_json, start
from tests.app.graph.changes.feed_graph import FeedGraph
from tests.app.graph.serving import serving
from tests.app.web.plugins import application, barrier


class Running:
    """A server with a graph and a webhook."""

    def __init__(self, database, port):
        self.graph = FeedGraph(database)
        self.database = database
        self.options = ["--server", f"http://127.0.0.1:{port}", "--token", "ada"]


@pytest.fixture
def running(migrated_sqlite, tmp_path):
    database = open_database(migrated_sqlite(tmp_path / "callboard.sqlite"))
    graph = FeedGraph(database)
    routes = graph_routes(barrier(), lambda: b"{}")
    recent = RecentChanges(database, graph.feed.codec)
    add_change_routes(routes, ChangeStreams(graph.feed, recent))
    hooks = {"ci": Webhook("ci", "https://ci.example.org/x?token=t", "secret")}
    add_webhook_routes(routes, WebhookService(database, hooks))
    with serving(application(routes)) as web:
        yield Running(database, web.port)
    database.close()


def rows(result):
    assert result.exit_code == 0, result.stderr
    return [line.split("\t") for line in result.stdout.splitlines()]


# Changes


def test_the_newest_changes_are_shown(running):
    running.graph.put("web", "red")
    running.graph.put("web", "blue")
    running.graph.drop("web")

    found = rows(run("changes", *running.options))

    assert [(row[0], row[2], row[3]) for row in found] == [
        ("1", "create", "component:default/web"),
        ("2", "update", "component:default/web"),
        ("3", "delete", "component:default/web"),
    ]
    assert found[0][4].startswith("url:https://example.org/here.yaml")
    assert len(rows(run("changes", "--limit", 2, *running.options))) == 2


def test_filters_and_a_place_say_what_to_show(running):
    running.graph.put("web", "red")
    running.graph.put("web", "blue")
    running.graph.put("shop", "blue")
    running.graph.put("web", "red")

    found = rows(run("changes", "metadata.description=blue", "--since", 0, *running.options))

    assert [(row[0], row[2]) for row in found] == [("2", "update"), ("3", "create"), ("4", "left")]


def test_programs_get_json(running):
    running.graph.put("web")

    (change,) = run_json("changes", *running.options)

    assert change["entity"]["metadata"]["name"] == "web"


def test_a_place_that_makes_no_sense_is_told(running):
    result = run("changes", "--since", 7, *running.options)

    assert result.exit_code == 1
    assert result.stderr == "Error: There is no change 7 yet, the newest is 0\n"


def test_following_goes_on_until_it_is_interrupted(running, tmp_path):
    running.graph.put("old", "blue")
    arguments = ["changes", "metadata.description=blue", "--follow", "--since", "0", "--json"]
    with start(*arguments, *running.options, cwd=tmp_path) as process:
        first = json.loads(process.stdout.readline())
        running.graph.put("other", "red")
        running.graph.put("web", "blue")
        second = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()

    assert [first["seq"], second["seq"]] == [1, 3]
    assert process.returncode == 130
    assert errors == "Interrupted.\n"


def test_following_needs_a_server(tmp_path):
    result = run("changes", "--follow", "--server", "http://127.0.0.1:9", "--token", "x")

    assert result.exit_code == 1
    assert "is the server running?" in result.stderr


def test_events_are_read_in_whatever_pieces_they_come():
    text = b": hello\n\nid: 1\nevent: change\ndata: {\ndata: }\n\n: keep-alive\n\ndata:x\n\nid: 2"
    expected = [{"id": "1", "event": "change", "data": "{\n}"}, {"data": "x"}]

    for size in (1, 3, 1000):
        pieces = [text[n : n + size] for n in range(0, len(text), size)]
        assert list(read_events(pieces)) == expected


# Webhooks


def give_up(running, *seqs):
    with running.database.begin() as connection:
        store = WebhookStore(Statements.on(connection))
        store.begin(["ci"], 0)
        for seq in seqs:
            row = HookRow("ci", seq - 1, None, 3, None, "it answered 500 Internal Server Error")
            store.give_up(row, seq + 1, datetime.now(UTC))


def test_webhooks_are_shown(running):
    (before,) = rows(run("webhooks", *running.options))
    give_up(running, 1)
    (after,) = rows(run("webhooks", *running.options))

    assert before[:3] == ["ci", "https://ci.example.org/x", "not begun"]
    assert (after[2], after[5]) == ("0", "1")
    assert run_json("webhooks", *running.options)[0]["name"] == "ci"


def test_dead_letters_are_shown_tried_again_and_forgotten(running):
    give_up(running, 1, 5)

    first, second = rows(run("webhooks", "ci", *running.options))
    tried = run("webhooks", "ci", "--retry", first[0], *running.options)
    forgotten = run("webhooks", "ci", "--delete", second[0], *running.options)
    (left,) = rows(run("webhooks", "ci", *running.options))

    assert (first[1], second[1]) == ("1 to 2", "5 to 6")
    assert tried.stderr == "ci: 1 will be tried once more\n"
    assert forgotten.stderr == "ci: 2 is forgotten\n"
    assert left[4] == "it answered 500 Internal Server Error (will be tried)"
    assert len(run_json("webhooks", "ci", *running.options)) == 1


def test_what_is_not_there_is_told(running):
    assert run("webhooks", "x", *running.options).stderr == "Error: No webhook named 'x'\n"
    assert run("webhooks", "ci", "--retry", 9, *running.options).exit_code == 1
    assert run("webhooks", "--retry", 9, *running.options).exit_code == 2
