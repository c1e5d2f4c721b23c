"""A catalog on a real port with Backstage's ways: sign-in, refs verbatim, cursors in base64."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

GUEST = "guest-token"


@dataclass
class CatalogServer:
    """What the server has, how it behaves, and what it was asked."""

    url: str = ""
    entities: list[dict[str, Any]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=lambda: {GUEST})
    lets_guests_in: bool = True
    is_open: bool = False
    cursors_hold_queries: bool = True
    page_size: int = 500
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)

    def add(self, kind: str, name: str, **spec: Any) -> None:
        metadata = {"name": name, "namespace": "default"}
        self.entities.append(
            {"apiVersion": "x", "kind": kind, "metadata": metadata, "spec": spec, "relations": []}
        )

    def find(self, ref: str) -> dict[str, Any] | None:
        for entity in self.entities:
            metadata = entity["metadata"]
            if f"{entity['kind']}:{metadata['namespace']}/{metadata['name']}".lower() == ref:
                return entity
        return None

    def answer(self, method: str, target: str, token: str, body: Any) -> tuple[int, Any]:
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        if path == "/api/auth/guest/refresh" and self.lets_guests_in:
            return 200, {"backstageIdentity": {"token": GUEST}}
        if not path.startswith("/api/auth/") and not self.is_open and token not in self.tokens:
            return 401, error("AuthenticationError", "Illegal token")
        asked = path.removeprefix("/api/catalog/entities/")
        if asked == "by-refs":
            return 200, {"items": [self.find(ref) for ref in body["entityRefs"]]}
        if asked == "by-query" and "bad" in query.get("filter", []):
            return 400, error("InputError", "a bad filter")
        if asked == "by-query":
            return 200, self.page(method, query, body or {})
        return self.by_name(*asked.split("/")[1:]) if "by-name" in asked else (404, None)

    def by_name(self, kind: str, namespace: str, name: str) -> tuple[int, Any]:
        found = self.find(f"{kind}:{namespace}/{name}")
        missing = error("NotFoundError", f"No entity named '{name}'")
        return (200, found) if found else (404, missing)

    def page(self, method: str, query: dict[str, list[str]], body: dict[str, Any]) -> Any:
        cursor = body.get("cursor") or query.get("cursor", [""])[0]
        limit = int(body.get("limit") or query["limit"][0])
        start = json.loads(base64.b64decode(cursor))["at"] if cursor else 0
        if cursor:
            assert ("query" in json.loads(base64.b64decode(cursor))) == (method == "POST")
        end = start + min(limit, self.page_size)
        following = {"at": end, **({"query": {}} if self.cursors_hold_queries else {})}
        info = {"nextCursor": base64.b64encode(json.dumps(following).encode()).decode()}
        return {
            "items": self.entities[start:end],
            "totalItems": len(self.entities),
            "pageInfo": info if end < len(self.entities) else {},
        }


def error(name: str, message: str) -> Any:
    return {"error": {"name": name, "message": message}, "response": {}}


@contextlib.contextmanager
def catalog_server() -> Iterator[CatalogServer]:
    catalog = CatalogServer()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.do("GET")

        def do_POST(self) -> None:
            self.do("POST")

        def do(self, method: str) -> None:
            length = int(self.headers.get("content-length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            token = self.headers.get("authorization", "").removeprefix("Bearer ")
            catalog.requests.append((method, self.path, body))
            status, data = catalog.answers.get(self.path, (0, b""))
            if not status:
                status, answer = catalog.answer(method, self.path, token, body)
                data = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("location", data.decode())
                data = b""
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    catalog.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield catalog
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
