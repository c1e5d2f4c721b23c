"""A small web server on a real port whose answers a test decides."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Answer = Callable[["Handler"], None]


@dataclass
class WebServer:
    url: str
    port: int
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def answer(self, path: str, body: bytes = b"", status: int = 200, **headers: str) -> str:
        """Answer `path` with this; returns its URL."""

        def send(handler: Handler) -> None:
            handler.send(body, status, {k.replace("_", "-"): v for k, v in headers.items()})

        return self.answer_with(path, send)

    def answer_with(self, path: str, answer: Answer) -> str:
        self.answers[path] = answer
        return self.url + path

    def redirect(self, path: str, to: str, status: int = 302) -> str:
        return self.answer(path, b"elsewhere", status, location=to)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    site: WebServer

    def do_GET(self) -> None:
        self.site.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        answer = self.site.answers.get(self.path)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if answer is None:
                self.send(b"not found", 404)
            else:
                answer(self)

    def send(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that hang up are what the tests are about."""


@contextlib.contextmanager
def web_server() -> Iterator[WebServer]:
    server = _Server(("127.0.0.1", 0), Handler)
    site = WebServer(f"http://127.0.0.1:{server.server_port}", server.server_port)
    server.RequestHandlerClass = type("SiteHandler", (Handler,), {"site": site})
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
