"""A web process in a thread of the test, on a real port."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from app.serve.child import Child
from app.serve.listening import listen
from app.serve.web import WebSettings, run_web
from app.web.edge import EdgeSettings, never
from tests.app.serve.site import Site, make_site


@dataclass
class Running:
    """A web process, as a client and as a test sees it."""

    port: int
    child: Child
    thread: threading.Thread
    site: Site
    ready: threading.Event

    def connect(self, timeout: float = 5) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def client(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)

    def get(self, path: str, method: str = "GET", body=None, headers=None):
        client = self.client()
        try:
            client.request(method, path, body, headers or {})
            response = client.getresponse()
            return response, response.read()
        finally:
            client.close()

    def stop(self) -> None:
        self.child.stopping.set()
        self.thread.join(10)
        assert not self.thread.is_alive()


@dataclass
class Chosen:
    """What a test may want otherwise."""

    inline: Callable[[str, str], bool] = never
    ready: bool = True
    drain: float = 0.0
    grace: float = 5.0
    head_timeout: float = 30.0
    keep_alive: int = 75
    accepts_early: bool = False
    stalled_after: float = 120.0


def start_web(chosen: Chosen, edge: EdgeSettings) -> Running:
    """Start a web process; whoever does stops it."""
    site = Site()
    is_ready = threading.Event()
    sockets = tuple(listen("127.0.0.1", 0, chosen.stalled_after))
    child = Child("web", sockets, ready=is_ready.set)
    settings = WebSettings(
        edge,
        chosen.drain,
        chosen.grace,
        head_timeout=chosen.head_timeout,
        keep_alive=chosen.keep_alive,
        accepts_early=chosen.accepts_early,
        max_message=10_000,
    )

    def make(lifecycle):
        app = make_site(lifecycle, site)
        site.lifecycle = lifecycle
        if chosen.ready:
            lifecycle.ready()
        return app

    thread = threading.Thread(target=run_web, args=(child, make, settings, chosen.inline))
    running = Running(sockets[0].getsockname()[1], child, thread, site, is_ready)
    thread.start()
    if chosen.ready:
        assert is_ready.wait(10)
    return running


@pytest.fixture
def serve():
    """Start a web process with the given settings; it is stopped after the test."""
    running: list[Running] = []

    def start(**given) -> Running:
        mine = {key: given.pop(key) for key in tuple(given) if key in Chosen.__annotations__}
        running.append(start_web(Chosen(**mine), EdgeSettings(**given)))
        return running[-1]

    yield start
    for one in running:
        one.site.release.set()
        one.stop()


@pytest.fixture(scope="session")
def web():
    """A web process for tests that neither choose its settings nor look inside."""
    running = start_web(Chosen(), EdgeSettings())
    yield running
    running.stop()
