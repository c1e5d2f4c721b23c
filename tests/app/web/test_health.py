"""The probes."""

from __future__ import annotations

from app.web.health import health_routes
from app.web.lifecycle import Lifecycle

from .plugins import client

LIVENESS = "/.backstage/health/v1/liveness"
READINESS = "/.backstage/health/v1/readiness"


def test_a_process_is_ready_between_its_start_and_its_stop():
    lifecycle = Lifecycle()
    ask = client(health_routes(lifecycle, {}))

    starting = ask.get(READINESS)
    lifecycle.ready()
    ready = ask.get(READINESS)
    lifecycle.stop()
    stopping = ask.get(READINESS)

    assert (starting.status_code, starting.data) == (
        503,
        b'{"message":"Backend has not started yet","status":"error"}',
    )
    assert (ready.status_code, ready.data) == (200, b'{"status":"ok"}')
    assert (stopping.status_code, stopping.data) == (
        503,
        b'{"message":"Backend is shutting down","status":"error"}',
    )


def test_a_process_lives_from_the_first_moment_on():
    response = client(health_routes(Lifecycle(), {})).get(LIVENESS)

    assert (response.status_code, response.get_json()) == (200, {"status": "ok"})
    assert response.content_type == "application/json; charset=utf-8"


def test_headers_of_the_configuration_are_on_every_probe():
    ask = client(health_routes(Lifecycle(), {"X-Served-By": "callboard"}))

    for path in (LIVENESS, READINESS):
        assert ask.get(path).headers["X-Served-By"] == "callboard"


def test_a_process_that_is_hindered_is_not_ready_until_that_is_over():
    lifecycle = Lifecycle()
    ask = client(health_routes(lifecycle, {}))
    lifecycle.ready()

    lifecycle.hinder("The database does not answer")
    hindered = ask.get(READINESS)
    alive = ask.get(LIVENESS)
    lifecycle.hinder("")

    assert hindered.status_code == 503
    assert hindered.get_json()["message"] == "The database does not answer"
    assert alive.status_code == 200
    assert ask.get(READINESS).status_code == 200
