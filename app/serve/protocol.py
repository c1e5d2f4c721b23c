"""uvicorn's protocols, with the limits they lack.

A client has a bounded time and size for the head of a request, also on a connection it has only
opened, and a bounded time to finish a request that was refused before its end. A process that stops
says so in its answers, and does not hang up on a client before it has sent its first request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

# A client that has just connected to a process that stops may still send its request.
FIRST_REQUEST = 1.0
MAX_HEAD = 64 * 1024
# The framing of a chunked body may take this many bytes for each byte of it.
FRAMING = 16
HEAD_TIMEOUT = 30.0
LINGER = 5.0


class BoundedProtocol(HttpToolsProtocol):
    """Counts what a client sends beside bodies, and watches the time.

    uvicorn makes one for each connection, with arguments of its own; give it a `partial`.
    """

    def __init__(
        self, *args: Any, head_timeout: float, is_leaving: Callable[[], bool], **named: Any
    ) -> None:
        super().__init__(*args, **named)
        self._head_timeout = head_timeout
        self._is_leaving = is_leaving

    _deadline: asyncio.TimerHandle | None = None
    _is_handed_over = False
    _in_message = False
    _in_head = False
    _received = 0
    _body_received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._allow(FIRST_REQUEST if self._is_leaving() else self._head_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._disarm()

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        super().data_received(data)
        if self._in_message and self._received > MAX_HEAD + (1 + FRAMING) * self._body_received:
            self._refuse_head()
        elif self._in_head and self._deadline is None:
            # Most heads come in one piece, and need no timer.
            self._allow(self._head_timeout)
        elif self._is_idle and self._deadline is None:
            # An empty line: uvicorn has stopped its own timer, and nothing will start it again.
            self._allow(float(self.timeout_keep_alive))

    @property
    def _is_idle(self) -> bool:
        answered = self.cycle is None or self.cycle.response_complete
        return answered and not self._in_message and not self._is_handed_over

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_message = self._in_head = True
        self._received = self._body_received = 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._disarm()
        super().on_headers_complete()
        if self.cycle is not None and self._is_leaving():
            self.cycle.keep_alive = False

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

    def shutdown(self) -> None:
        if self.cycle is None or self._in_head:
            self._allow(FIRST_REQUEST)
        else:
            super().shutdown()

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
        self._is_handed_over = True
        self._disarm()
        super().handle_websocket_upgrade()


class SocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol; it would log every refused handshake as a mistake of ours."""

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True
