"""A receiver of webhooks on a real port, which takes, refuses, delays or redirects."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

SECRET = "a-secret-of-the-receiver"


@dataclass
class Received:
    """One request that came in, verified as the documentation says."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float
    status: int

    @property
    def delivery(self) -> str:
        return self.headers["callboard-delivery"]

    @property
    def changes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.body)["changes"]
        return found

    @property
    def seqs(self) -> list[int]:
        return [change["seq"] for change in self.changes]


def is_genuine(secret: str, signature: str, body: bytes, within: float = 300) -> bool:
    """Do what the documentation tells receivers to do."""
    parts = dict(part.split("=", 1) for part in signature.split(","))
    signed = parts["t"].encode() + b"." + body
    expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    is_recent = abs(time.time() - int(parts["t"])) < within
    return is_recent and hmac.compare_digest(expected, parts["v1"])


@dataclass
class Receiver:
    """What came in, and how to answer what comes next: `(status, headers, seconds to wait)`."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    script: list[tuple[int, dict[str, str], float]] = field(default_factory=list)
    always: tuple[int, dict[str, str], float] = (204, {}, 0.0)
    release: threading.Event = field(default_factory=threading.Event)

    def then(self, status: int, seconds: float = 0.0, **headers: str) -> Receiver:
        self.script.append((status, headers, seconds))
        return self

    def taken(self) -> list[Received]:
        return [one for one in self.received if one.status < 300]

    def seqs(self) -> list[int]:
        """Answer the changes that were taken, in the order in which they came."""
        return [seq for one in self.taken() for seq in one.seqs]

    def wait(self, condition: Callable[[], object], seconds: float = 10.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, [(one.status, one.seqs) for one in self.received]
            time.sleep(0.01)


@contextmanager
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            assert is_genuine(SECRET, headers["callboard-signature"], body)
            status, more, seconds = found.script.pop(0) if found.script else found.always
            found.received.append(Received(self.path, headers, body, time.monotonic(), status))
            if seconds:
                found.release.wait(seconds)
            try:
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("content-length", "0")
                self.end_headers()
            except OSError:
                pass  # the sender did not wait

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.release.set()
        server.shutdown()
        server.server_close()
        thread.join()
