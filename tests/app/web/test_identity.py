"""The barrier in front of a plugin."""

from __future__ import annotations

import threading
import time

import pytest
from flask import request

from app.web.identity import (
    AuthPolicy,
    caller,
    known_caller,
    service_caller,
    user_caller,
)
from app.web.lifecycle import Lifecycle

from .plugins import SERVICE, USER, application, client, error_of, plugin

MISSING = (401, "AuthenticationError", "Missing credentials")


def who(*policies, **options):
    """A client of a plugin that says who calls it."""
    routes = plugin(*policies, **options)
    for name, ask in {
        "anybody": caller,
        "user": user_caller,
        "service": service_caller,
        "somebody": known_caller,
    }.items():
        routes.add_url_rule(
            f"/{name}", name, lambda ask=ask: {"type": ask(request).type, "who": str(ask(request))}
        )
        routes.add_url_rule(
            f"/open/{name}", f"open-{name}", lambda ask=ask: {"type": ask(request).type}
        )
    return client(routes)


def test_nobody_passes_without_credentials():
    assert error_of(who().get("/api/catalog/anybody")) == MISSING


def test_the_answer_to_nobody_shows_the_request_relative_to_the_mount():
    response = who().get("/api/catalog/anybody?a=%2Fb&c=d%20e")

    assert response.get_json()["request"] == {"method": "GET", "url": "/anybody?a=%2Fb&c=d%20e"}


@pytest.mark.parametrize("header", ["Basic abc", "Bearer", "Bearer a b", "bearer\tada", " Bearer "])
def test_what_is_no_bearer_token_is_no_credentials(header):
    response = who().get("/api/catalog/anybody", headers={"Authorization": header})

    assert error_of(response) == MISSING


@pytest.mark.parametrize("header", ["Bearer ada", "bEaReR ada", "Bearer   ada"])
def test_the_case_of_the_scheme_and_the_spaces_behind_it_do_not_matter(header):
    response = who().get("/api/catalog/anybody", headers={"Authorization": header})

    assert response.get_json() == {"type": "user", "who": "user:default/ada"}


def test_a_wrong_token_is_refused_before_any_view_runs():
    response = who().get("/api/catalog/user", headers={"Authorization": "Bearer nope"})

    assert error_of(response) == (401, "AuthenticationError", "Illegal token")


def test_a_view_may_want_a_user_or_a_service():
    ask = who()

    assert ask.get("/api/catalog/service", headers=SERVICE).get_json()["who"] == "ci"
    assert error_of(ask.get("/api/catalog/user", headers=SERVICE)) == (
        403,
        "NotAllowedError",
        "This endpoint does not allow 'service' credentials",
    )
    assert error_of(ask.get("/api/catalog/service", headers=USER)) == (
        403,
        "NotAllowedError",
        "This endpoint does not allow 'user' credentials",
    )


@pytest.mark.parametrize("path", ["/open", "/open/", "/OPEN/anybody"])
def test_a_policy_opens_a_path_and_what_is_below_it(path):
    ask = who(AuthPolicy("/open", "unauthenticated"))

    assert ask.get(f"/api/catalog{path}").status_code in {200, 404}
    assert error_of(ask.get("/api/catalog/opened")) == MISSING
    assert error_of(ask.get("/api/catalog/x/open")) == MISSING


def test_a_policy_may_leave_a_segment_open():
    ask = who(AuthPolicy("/:any/anybody", "unauthenticated"))

    assert ask.get("/api/catalog/open/anybody").get_json() == {"type": "none"}
    assert error_of(ask.get("/api/catalog/open/user")) == MISSING


def test_everything_can_be_opened():
    assert who(AuthPolicy("/", "unauthenticated")).get("/api/catalog").status_code == 404


def test_on_an_open_path_credentials_are_looked_at_when_they_are_asked_for():
    ask = who(AuthPolicy("/open", "unauthenticated"))

    assert ask.get("/api/catalog/open/anybody").get_json() == {"type": "none"}
    assert ask.get("/api/catalog/open/user", headers=USER).get_json() == {"type": "user"}
    assert error_of(ask.get("/api/catalog/open/somebody")) == MISSING
    wrong = {"Authorization": "Bearer nope"}
    assert error_of(ask.get("/api/catalog/open/anybody", headers=wrong))[2] == "Illegal token"


def test_the_cookie_counts_only_where_a_policy_says_so():
    ask = who(AuthPolicy("/open", "user-cookie"))
    ask.set_cookie("backstage-auth", "limited")

    assert ask.get("/api/catalog/open/user").get_json() == {"type": "user"}
    assert error_of(ask.get("/api/catalog/user")) == MISSING


def test_a_limited_token_counts_as_bearer_only_where_the_cookie_does():
    ask = who(AuthPolicy("/open", "user-cookie"))
    limited = {"Authorization": "Bearer limited"}

    assert ask.get("/api/catalog/open/user", headers=limited).status_code == 200
    assert error_of(ask.get("/api/catalog/user", headers=limited)) == (
        401,
        "AuthenticationError",
        "Illegal limited user token",
    )


def test_a_restricted_token_is_refused_by_another_plugin():
    response = who(name="scaffolder").get(
        "/api/scaffolder/nothing", headers={"Authorization": "Bearer restricted"}
    )

    assert error_of(response) == (
        403,
        "NotAllowedError",
        "This token's access is restricted to plugin(s) 'catalog'",
    )


def test_an_open_barrier_lets_everybody_pass_but_makes_nobody_a_user():
    ask = who(is_open=True)

    assert ask.get("/api/catalog/anybody").get_json() == {"type": "none", "who": ""}
    assert ask.get("/api/catalog/anybody", headers=USER).get_json()["type"] == "user"
    assert error_of(ask.get("/api/catalog/user")) == MISSING
    assert ask.get("/api/catalog/unknown").status_code == 404


def test_a_process_that_does_not_start_answers_503_after_a_pause():
    response = who(lifecycle=Lifecycle(), pause=0.01).get("/api/catalog/anybody", headers=USER)

    assert error_of(response) == (
        503,
        "ServiceUnavailableError",
        "Service has not started up yet",
    )


def test_while_the_database_is_away_nobody_waits_for_it():
    lifecycle = Lifecycle()
    lifecycle.ready()
    ask = who(lifecycle=lifecycle)

    lifecycle.hinder("The database does not answer")
    refused = ask.get("/api/catalog/anybody", headers=USER)
    lifecycle.hinder("")

    assert error_of(refused) == (503, "ServiceUnavailableError", "The database does not answer")
    assert ask.get("/api/catalog/anybody", headers=USER).status_code == 200


def test_a_request_waits_for_the_start():
    lifecycle = Lifecycle()
    ask = who(lifecycle=lifecycle)
    threading.Timer(0.05, lifecycle.ready).start()

    assert ask.get("/api/catalog/anybody", headers=USER).status_code == 200


def test_few_requests_wait_for_the_start_and_the_others_are_told_at_once():
    lifecycle = Lifecycle()
    routes = plugin(lifecycle=lifecycle, pause=0.4)
    app = application(routes)
    durations = []

    def call():
        began = time.monotonic()
        app.test_client().get("/api/catalog/x")
        durations.append(time.monotonic() - began)

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(duration < 0.3 for duration in durations) == 4


def test_a_process_that_stops_serves_what_still_reaches_it():
    lifecycle = Lifecycle()
    lifecycle.ready()
    lifecycle.stop()

    assert who(lifecycle=lifecycle).get("/api/catalog/anybody", headers=USER).status_code == 200


def test_a_process_that_is_stopped_before_it_started_says_so():
    lifecycle = Lifecycle()
    lifecycle.stop()

    response = who(lifecycle=lifecycle).get("/api/catalog/anybody", headers=USER)

    assert error_of(response) == (503, "ServiceUnavailableError", "Service is shutting down")
