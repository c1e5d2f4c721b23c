"""Sending bytes that may be no HTTP, and reading what comes back."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from dataclasses import dataclass

TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; status 0 if the connection was closed without an answer."""

    status: int
    body: bytes = b""

    @property
    def error(self) -> str:
        """The message of an error in the shape that all errors have; "" if it has another."""
        try:
            answer = json.loads(self.body)
            if isinstance(answer.get("errors"), list):  # the answer of validate-entity
                return "; ".join(f"{e['name']}: {e['message']}" for e in answer["errors"])
            error, status = answer["error"], answer["response"]["statusCode"]
            text = f"{error['name']}: {error['message']}"
        except (ValueError, KeyError, TypeError, AttributeError):
            return ""
        return text if status == self.status else ""


def send(port: int, raw: bytes, *, ends: bool = False) -> Reply:
    """Send bytes on a connection of their own; `ends` says that nothing else will follow."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
        with contextlib.suppress(OSError):
            # Refused before its end: there may be an answer all the same.
            connection.sendall(raw)
            if ends:
                connection.shutdown(socket.SHUT_WR)
        method = "HEAD" if raw.startswith(b"HEAD ") else "GET"
        answer = http.client.HTTPResponse(connection, method=method)
        try:
            answer.begin()
            return Reply(answer.status, answer.read())
        except (http.client.HTTPException, ConnectionError):
            return Reply(0)
        finally:
            answer.close()
