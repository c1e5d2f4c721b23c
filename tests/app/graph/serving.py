"""The graph's routes in a web process on a real port, and readers of event streams."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from app.serve.child import Child
from app.serve.listening import listen
from app.serve.web import WebSettings, run_web
from app.web.edge import EdgeSettings


@dataclass
class Serving:
    """A web process in a thread of the test."""

    port: int
    child: Child
    thread: threading.Thread

    def open(self, path: str, **headers: str) -> Reader:
        return Reader(self.port, path, headers)

    def stop(self) -> None:
        self.child.stopping.set()
        self.thread.join(10)
        assert not self.thread.is_alive()


@contextmanager
def serving(app: Any, **edge: Any) -> Iterator[Serving]:
    ready = threading.Event()
    sockets = tuple(listen("127.0.0.1", 0))
    child = Child("web", sockets, ready=ready.set)

    def make(lifecycle: Any) -> Any:
        lifecycle.ready()
        return app

    settings = WebSettings(EdgeSettings(**edge), grace=5)
    thread = threading.Thread(target=run_web, args=(child, make, settings))
    thread.start()
    assert ready.wait(10)
    running = Serving(sockets[0].getsockname()[1], child, thread)
    try:
        yield running
    finally:
        running.stop()


class Reader:
    """A client that has asked for events and reads them when it likes."""

    def __init__(self, port: int, path: str, headers: dict[str, str]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        lines = [f"GET {path} HTTP/1.1", "Host: x", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.data = b""
        self.head = self._until(b"\r\n\r\n").decode().lower()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def changes(self, count: int) -> list[dict[str, Any]]:
        """Read so many changes; each comes with the id of its event."""
        found = []
        while len(found) < count:
            event = self.event()
            if event.get("event") == "change":
                found.append({**json.loads(event["data"]), "id": int(event["id"])})
        return found

    def event(self) -> dict[str, str]:
        text = self._until(b"\n\n").decode()
        # What parts the chunks of the body has no colon in it.
        lines = (line.strip().partition(": ") for line in text.split("\n"))
        return {name: value for name, colon, value in lines if colon and name}

    def rest(self) -> bytes:
        """Read until the server ends it."""
        while more := self.socket.recv(65536):
            self.data += more
        return self.data

    def _until(self, mark: bytes) -> bytes:
        while mark not in self.data:
            more = self.socket.recv(65536)
            assert more, self.data
            self.data += more
        found, _, self.data = self.data.partition(mark)
        return found
