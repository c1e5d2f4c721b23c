"""What is answered before there is an app, and that an app takes its place."""

from __future__ import annotations

import pytest
from flask import Flask
from werkzeug.test import Client

from app.web.health import health_routes
from app.web.lifecycle import Lifecycle
from app.web.stand_in import StandIn, refusing_routes
from tests.app.web.plugins import application

READINESS = "/.backstage/health/v1/readiness"


@pytest.fixture
def lifecycle():
    lifecycle = Lifecycle()
    lifecycle.hinder("The database does not answer")
    return lifecycle


@pytest.fixture
def stand_in(lifecycle):
    return StandIn(application(health_routes(lifecycle, {}), refusing_routes(lifecycle)))


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"])
@pytest.mark.parametrize("path", ["/api/catalog/entities", "/api/graph/sources/a/entities"])
def test_every_plugin_is_unavailable_and_says_why(stand_in, method, path):
    response = Client(stand_in).open(path, method=method)

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    error = response.get_json()["error"]
    assert (error["name"], error["message"]) == (
        "ServiceUnavailableError",
        "The database does not answer",
    )


def test_it_lives_and_is_not_ready(stand_in):
    ask = Client(stand_in)

    assert ask.get("/.backstage/health/v1/liveness").status_code == 200
    assert ask.get(READINESS).status_code == 503
    assert ask.get(READINESS).get_json()["message"] == "The database does not answer"


def test_what_takes_its_place_answers_from_then_on(stand_in):
    app = Flask(__name__)
    app.add_url_rule("/api/catalog/entities", view_func=lambda: "entities")
    ask = Client(stand_in)
    assert ask.get("/api/catalog/entities").status_code == 503

    stand_in.give_way(app)

    assert ask.get("/api/catalog/entities").text == "entities"
