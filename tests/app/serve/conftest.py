"""A web process in a thread of the test, on a real port."""

from __future__ import annotations

import http.client
import socket
import threading
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


@pytest.fixture
def serve():
    """Start a web process with the given settings; it is stopped after the test."""
    running: list[Running] = []

    def start(
        *, inline=never, ready=True, drain=0.0, grace=5.0, head_timeout=30.0,
        accepts_early=False, stalled_after=120.0, **edge,
    ) -> Running:  # fmt: skip
        site = Site()
        is_ready = threading.Event()
        sockets = tuple(listen("127.0.0.1", 0, stalled_after))
        child = Child("web", sockets, ready=is_ready.set)
        settings = WebSettings(
            EdgeSettings(**edge), drain, grace, head_timeout=head_timeout,
            accepts_early=accepts_early, max_message=10_000,
        )  # fmt: skip

        def make(lifecycle):
            app = make_site(lifecycle, site)
            site.lifecycle = lifecycle
            if ready:
                lifecycle.ready()
            return app

        thread = threading.Thread(target=run_web, args=(child, make, settings, inline))
        found = Running(sockets[0].getsockname()[1], child, thread, site, is_ready)
        running.append(found)
        thread.start()
        if ready:
            assert is_ready.wait(10)
        return found

    yield start
    for one in running:
        one.site.release.set()
        one.stop()
