"""Figures for Prometheus."""

from __future__ import annotations

import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry

from app.web.application import make_application
from app.web.metrics import RequestMetrics, metrics_routes

from .plugins import USER, plugin

COUNT = "callboard_http_request_duration_seconds_count"


@pytest.fixture
def ask():
    registry = CollectorRegistry()
    routes = plugin()
    routes.add_url_rule("/by-uid/<uid>", "get", lambda uid: [uid])
    blueprints = [routes, metrics_routes(registry)]
    app = make_application(blueprints, cors=None, metrics=RequestMetrics(registry))
    return app.test_client()


def counted(ask) -> dict[str, float]:
    lines = ask.get("/metrics").text.splitlines()
    found = (line.removeprefix(COUNT).rsplit(" ", 1) for line in lines if line.startswith(COUNT))
    return {labels: float(value) for labels, value in found if "/metrics" not in labels}


def test_requests_are_counted_by_route_not_by_path(ask):
    for uid in ("a", "b", "c"):
        ask.get(f"/api/catalog/by-uid/{uid}", headers=USER)
    ask.get("/api/catalog/by-uid/a")
    ask.get("/nope")

    route = "/api/catalog/by-uid/<uid>"
    assert counted(ask) == {
        f'{{method="GET",route="{route}",status="2xx"}}': 3,
        f'{{method="GET",route="{route}",status="4xx"}}': 1,
        '{method="GET",route="(none)",status="4xx"}': 1,
    }


def test_methods_that_clients_make_up_make_no_series(ask):
    for method in ("FOO", "BAR"):
        ask.open("/nope", method=method)

    assert counted(ask) == {'{method="other",route="(none)",status="4xx"}': 2}


def test_the_page_is_what_prometheus_expects(ask):
    response = ask.get("/metrics")

    assert response.content_type.startswith("text/plain; version=")


PROGRAM = """
import sys
from prometheus_client import CollectorRegistry
from app.web.metrics import RequestMetrics
RequestMetrics(CollectorRegistry()).observe("GET", "/x", 200, 0.01)
"""


def test_one_process_answers_for_all(tmp_path, request):
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            check=True,
            cwd=request.config.rootpath,
            env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        )
    app = make_application(
        [metrics_routes(CollectorRegistry(), tmp_path)],
        cors=None,
        metrics=RequestMetrics(CollectorRegistry()),
    )

    assert counted(app.test_client()) == {'{method="GET",route="/x",status="2xx"}': 2}
