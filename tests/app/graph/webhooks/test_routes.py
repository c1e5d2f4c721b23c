"""`/api/graph/webhooks` over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.catalog.permissions import Permission
from app.db.statements import Statements
from app.graph.routes import graph_routes
from app.graph.webhooks.routes import add_webhook_routes
from app.graph.webhooks.service import WebhookService
from app.graph.webhooks.store import HookRow, WebhookStore
from app.graph.webhooks.webhook import Webhook
from tests.app.web.plugins import USER, application, barrier, error_of

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
LETTERS = "/webhooks/ci/dead-letters"


class Api:
    """The routes on a database where two deliveries were given up."""

    def __init__(self, database):
        self.denied = set[Permission]()
        hooks = [
            Webhook("ci", "https://u:p@ci.example.org/x?y=z", "secret"),
            Webhook("new", "http://n", ""),
        ]
        routes = graph_routes(barrier(), lambda: b"{}")
        service = WebhookService(database, {hook.name: hook for hook in hooks})
        add_webhook_routes(routes, service, lambda _, permission: permission not in self.denied)
        self.client = application(routes).test_client()
        with database.begin() as connection:
            store = WebhookStore(Statements.on(connection))
            store.begin(["ci"], 0)
            for seq in (1, 4):
                store.give_up(HookRow("ci", seq - 1, None, 3, None, "no answer"), seq + 1, NOW)

    def ask(self, path, method="GET"):
        return self.client.open(f"/api/graph{path}", method=method, headers=USER)

    def letters(self):
        return self.ask(LETTERS).json["items"]


@pytest.fixture
def api(database):
    return Api(database)


def test_every_configured_webhook_is_listed_without_its_secrets(api):
    ci, new = api.ask("/webhooks").json["items"]

    assert (ci["name"], ci["url"], ci["position"]) == ("ci", "https://ci.example.org/x", 0)
    assert ci["deadLetters"] == 2
    assert (new["name"], new["position"], new["lag"], new["deadLetters"]) == ("new", None, None, 0)


def test_dead_letters_say_what_they_hold_and_why(api):
    first, second = api.letters()

    assert first == {
        "id": first["id"],
        "firstSeq": 1,
        "lastSeq": 2,
        "attempts": 3,
        "error": "no answer",
        "at": "2026-11-25T12:00:00.000Z",
        "retryAskedAt": None,
    }
    page = api.ask(f"{LETTERS}?limit=1").json
    assert page == {"items": [first], "next": first["id"]}
    assert api.ask(f"{LETTERS}?limit=1&after={page['next']}").json == {"items": [second]}


def test_a_dead_letter_is_asked_for_once_more(api):
    first, _ = api.letters()

    answer = api.ask(f"{LETTERS}/{first['id']}/retry", "POST")

    assert answer.status_code == 202
    assert answer.json["retryAskedAt"] is not None
    assert api.ask(f"{LETTERS}/{first['id']}/retry", "POST").json == answer.json


def test_a_dead_letter_is_forgotten(api):
    first, second = api.letters()

    assert api.ask(f"{LETTERS}/{first['id']}", "DELETE").status_code == 204
    assert api.letters() == [second]
    assert error_of(api.ask(f"{LETTERS}/{first['id']}", "DELETE"))[0] == 404


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/webhooks/other/dead-letters", "GET"),
        ("/webhooks/%00/dead-letters", "GET"),
        (f"{LETTERS}/x/retry", "POST"),
        (f"{LETTERS}/99999/retry", "POST"),
        (f"{LETTERS}/{'9' * 40}", "DELETE"),
        ("/webhooks/%00/dead-letters/1", "DELETE"),
        ("/webhooks/new/dead-letters/1", "DELETE"),
    ],
)
def test_what_is_not_there_is_not_found(api, path, method):
    assert error_of(api.ask(path, method))[:2] == (404, "NotFoundError")


def test_callers_need_the_permission(api):
    (first, _) = api.letters()
    api.denied = {Permission.INGESTION_READ, Permission.INGESTION_MANAGE}

    for path, method in (
        ("/webhooks", "GET"),
        (LETTERS, "GET"),
        (f"{LETTERS}/{first['id']}/retry", "POST"),
        (f"{LETTERS}/{first['id']}", "DELETE"),
    ):
        assert error_of(api.ask(path, method))[:2] == (403, "NotAllowedError")
