"""uvicorn's protocols, with the limits they lack.

A client has a bounded time and size for the head of a request, also on a connection it has only
opened, and a bounded time to finish a request that was refused before its end.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MAX_HEAD = 64 * 1024
# The framing of a chunked body may take this many bytes for each byte of it.
FRAMING = 16
HEAD_TIMEOUT = 30.0
LINGER = 5.0


class BoundedProtocol(HttpToolsProtocol):
    """Counts what a client sends beside bodies, and watches the time."""

    head_timeout = HEAD_TIMEOUT

    _deadline: asyncio.TimerHandle | None = None
    _in_message = False
    _in_head = False
    _received = 0
    _body_received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._allow(self.head_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._disarm()

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        super().data_received(data)
        if self._in_message and self._received > MAX_HEAD + (1 + FRAMING) * self._body_received:
            self._refuse_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_message = self._in_head = True
        self._received = self._body_received = 0
        self._allow(self.head_timeout)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._disarm()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_received += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_message = False
        if self.cycle is not None and self.cycle.response_complete:
            self._allow(float(self.timeout_keep_alive))
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_message and not self._in_head:
            # Closing at once would reset the connection under an answer the client has not read.
            self._allow(LINGER)

    def _allow(self, seconds: float) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, self._expire)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    def _refuse_head(self) -> None:
        if self.transport.is_closing():
            return
        if self._in_head:
            answer = b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
            self.transport.write(answer + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()

    def handle_websocket_upgrade(self) -> None:
        self._disarm()
        super().handle_websocket_upgrade()


class SocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol; it would log every refused handshake as a mistake of ours."""

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True


def bounded_protocol(head_timeout: float) -> type[BoundedProtocol]:
    """Make the protocol with its limits chosen; uvicorn makes the instances."""
    attributes: dict[str, Any] = {"head_timeout": head_timeout}
    return type("ChosenProtocol", (BoundedProtocol,), attributes)
