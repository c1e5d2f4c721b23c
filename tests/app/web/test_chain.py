"""The outermost part of a request: ids, security headers, the access log."""

from __future__ import annotations

import logging

import pytest
from flask import Response

from app.logs import REQUEST_ID
from app.web.health import health_routes
from app.web.lifecycle import Lifecycle
from app.web.responses import json_stream
from app.web.streams import Event, event_stream

from .plugins import USER, client, plugin

SECURITY = {
    "Content-Security-Policy",
    "Referrer-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-DNS-Prefetch-Control",
    "X-Download-Options",
    "X-Frame-Options",
    "X-Permitted-Cross-Domain-Policies",
    "X-XSS-Protection",
}


@pytest.fixture
def ask():
    routes = plugin()
    routes.add_url_rule("/id", "id", lambda: [REQUEST_ID.get()])
    routes.add_url_rule("/stream", "stream", lambda: json_stream(iter([b"[1,", b"2]"])))

    @routes.get("/frame")
    def frame() -> Response:
        return Response("", headers={"X-Frame-Options": "sameorigin"})

    @routes.get("/fail")
    def fail() -> Response:
        raise ZeroDivisionError

    @routes.get("/events")
    def events() -> Response:
        return event_stream(source())

    async def source():
        yield Event("hello", event="log")

    return client(routes, health_routes(Lifecycle(), {}))


@pytest.fixture
def logged(caplog):
    caplog.set_level(logging.INFO, "app.web.access")

    def fields() -> list[dict]:
        return [r.fields for r in caplog.records if r.name == "app.web.access"]

    return fields


@pytest.mark.parametrize("path", ["/api/catalog/id", "/api/catalog/fail", "/nope", "/api/catalog"])
def test_every_response_carries_the_security_headers_once(ask, path):
    names = [name for name, _ in ask.get(path, headers=USER).headers]

    assert {name for name in names if name in SECURITY} == SECURITY
    assert len(names) == len(set(names))


def test_a_view_may_have_a_policy_of_its_own(ask):
    response = ask.get("/api/catalog/frame", headers=USER)

    assert response.headers.getlist("X-Frame-Options") == ["sameorigin"]


def test_a_request_has_an_id_that_views_log_lines_and_the_client_see(ask, logged):
    response = ask.get("/api/catalog/id", headers=USER)

    assert response.get_json() == [response.headers["X-Request-Id"]]
    assert ask.get("/api/catalog/id", headers=USER).get_json() != response.get_json()


def test_a_sane_id_of_the_client_is_kept(ask):
    headers = {"X-Request-Id": "edge-7:abc.def", **USER}

    assert ask.get("/api/catalog/id", headers=headers).get_json() == ["edge-7:abc.def"]


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, 'a"b', "ü"])
def test_an_odd_id_is_replaced(ask, given):
    headers = {"X-Request-Id": given, **USER}

    assert ask.get("/api/catalog/id", headers=headers).get_json() != [given]


def test_every_request_is_one_line_with_what_matters(ask, logged):
    ask.get("/api/catalog/id?a=b", headers=USER)
    ask.get("/nope")

    [known, unknown] = logged()
    assert known["ms"] >= 0
    assert {**known, "ms": 0, "caller": str(known["caller"])} == {
        "method": "GET",
        "url": "/api/catalog/id?a=b",
        "status": 200,
        "ms": 0,
        "bytes": known["bytes"],
        "caller": "user:default/ada",
        "client": "127.0.0.1",
        "request": known["request"],
    }
    assert known["bytes"] > 2
    assert (unknown["status"], unknown["caller"], unknown["bytes"]) == (404, "", 0)


def test_a_stream_is_logged_when_it_has_ended(ask, logged):
    response = ask.get("/api/catalog/stream", headers=USER, buffered=False)
    assert logged() == []

    assert b"".join(response.response) == b"[1,2]"
    response.close()
    response.close()

    [line] = logged()
    assert line["bytes"] == 5


def test_probes_do_not_fill_the_log(ask, logged):
    ask.get("/.backstage/health/v1/liveness")

    assert logged() == []


def test_a_bug_is_logged_once_and_the_request_too(ask, logged, caplog):
    ask.get("/api/catalog/fail", headers=USER)

    assert logged()[0]["status"] == 500
    assert len([r for r in caplog.records if r.levelno >= logging.ERROR]) == 1


def test_an_event_stream_passes_as_it_is(ask):
    response = ask.get("/api/catalog/events", headers={"Accept-Encoding": "gzip", **USER})

    assert response.data == b"event: log\ndata: hello\n\n"
    assert response.headers["Vary"] == "Accept-Encoding"
    assert "Content-Encoding" not in response.headers
