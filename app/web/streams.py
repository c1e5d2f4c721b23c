"""What a Flask view returns to answer with a stream of events or a WebSocket.

Flask routes and authenticates the request like any other and returns `event_stream(...)` or
`web_socket(...)`. Under the edge (`app.web.edge`) the response puts its stream into the slot that
the edge left in the WSGI environ, and the edge runs it on its event loop, where it holds no thread.
Under any other WSGI server events are served from the thread of the request, and a WebSocket is
refused.

The code of a stream runs on the event loop. It must not wait otherwise than with `await`: what
blocks belongs into `asyncio.to_thread`. When the client goes away, or the server stops, it is
cancelled at its `await`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import orjson
from flask import Response
from werkzeug.wsgi import ClosingIterator

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SLOT = "callboard.stream"
_BREAK = re.compile("\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event."""

    data: str
    event: str = ""
    id: str = ""

    def encode(self) -> bytes:
        """Write it as `text/event-stream` does: a line break in the data begins a further line."""
        lines = [f"data: {line}" for line in _BREAK.split(self.data)]
        if self.event:
            lines.insert(0, f"event: {_BREAK.sub(' ', self.event)}")
        if self.id:
            lines.insert(0, f"id: {_BREAK.sub(' ', self.id)}")
        return ("\n".join(lines) + "\n\n").encode()


EventSource: TypeAlias = AsyncIterable[Event]


class WebSocket(Protocol):
    """The server's end of one open WebSocket.

    When the other end closes it, the handler is cancelled, so neither method reports that.
    """

    async def receive(self) -> str | bytes:
        """Wait for the next message."""

    async def send(self, message: str | bytes) -> None:
        """Send a message, as soon as the client has taken enough of those before."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the socket; returning from the handler does the same."""


SocketHandler: TypeAlias = Callable[[WebSocket], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class OpenSocket:
    """What the edge needs to accept a handshake."""

    handler: SocketHandler
    subprotocol: str


class StreamSlot:
    """The place in the environ where a response leaves its stream for the edge."""

    __slots__ = ("stream",)

    def __init__(self) -> None:
        self.stream: EventSource | OpenSocket | None = None


def event_stream(source: EventSource) -> Response:
    """Answer with the events of `source` (an async generator, usually) until it ends."""
    return _EventStream(source)


def web_socket(handler: SocketHandler, subprotocol: str = "") -> Response:
    """Accept a WebSocket, echoing the `subprotocol` the client offered, and let `handler` have it.

    A request that is not a handshake is answered 426.
    """
    return _SocketResponse(OpenSocket(handler, subprotocol))


def _slot(environ: WSGIEnvironment) -> StreamSlot | None:
    slot = environ.get(SLOT)
    return slot if isinstance(slot, StreamSlot) else None


class _EventStream(Response):
    def __init__(self, source: EventSource) -> None:
        super().__init__(_Blocking(source), content_type="text/event-stream")
        self.headers["Cache-Control"] = "no-cache"
        self.headers["X-Accel-Buffering"] = "no"  # or nginx would collect events
        self._source = source

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        slot = _slot(environ)
        if slot is not None and environ["REQUEST_METHOD"] != "HEAD":
            slot.stream = self._source
            start_response(self.status, self.get_wsgi_headers(environ).to_wsgi_list())
            return ClosingIterator((), self.close)
        return super().__call__(environ, start_response)


class _SocketResponse(Response):
    def __init__(self, opened: OpenSocket) -> None:
        error = {"name": "UpgradeRequiredError", "message": "This is a WebSocket"}
        body = {"error": error, "response": {"statusCode": 426}}
        super().__init__(
            orjson.dumps(body),
            status=426,
            content_type="application/json; charset=utf-8",
            headers={"Upgrade": "websocket"},
        )
        self._opened = opened

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        slot = _slot(environ)
        if slot is not None:
            slot.stream = self._opened
        return super().__call__(environ, start_response)


class _Blocking:
    """The events of a source for a server that has no event loop: a thread waits for each."""

    def __init__(self, source: EventSource) -> None:
        self._source = source

    def __iter__(self) -> Iterator[bytes]:
        loop = asyncio.new_event_loop()
        events = aiter(self._source)
        try:
            while True:
                event = loop.run_until_complete(_next(events))
                if event is None:
                    return
                yield event.encode()
        finally:
            loop.run_until_complete(close_source(events))
            loop.close()


async def _next(events: AsyncIterator[Event]) -> Event | None:
    return await anext(events, None)


async def close_source(events: AsyncIterator[Event]) -> None:
    """Let a source that is a generator run its `finally`."""
    aclose: Callable[[], Awaitable[Any]] | None = getattr(events, "aclose", None)
    if aclose is not None:
        await aclose()
