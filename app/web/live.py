"""Runs streams of events and WebSockets on the event loop, until they end or the client leaves.

Neither holds a thread. A slow client slows its own stream down: nothing is taken from a source
before the client's connection has room for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from app.web.asgi import Receive, Send, WireHeaders
from app.web.streams import EventSource, OpenSocket, close_source

log = logging.getLogger(__name__)

COMMENT = b": keep-alive\n\n"
# A handler that leaves this many messages unread does not keep up with its client.
UNREAD = 64
POLICY_VIOLATION, HANDLER_FAILED, SERVICE_RESTART = 1008, 1011, 1012


class LiveStreams:
    """All open streams of one process; `close` ends them when it stops."""

    def __init__(self, comment_every: float) -> None:
        self._comment_every = comment_every
        self._events: set[asyncio.Task[Any]] = set()
        self._sockets: set[asyncio.Task[Any]] = set()

    @property
    def events(self) -> int:
        return len(self._events)

    @property
    def sockets(self) -> int:
        return len(self._sockets)

    def close(self) -> None:
        """End every stream as if its source had ended, and every socket's handler."""
        for task in (*self._events, *self._sockets):
            task.cancel()

    async def run_events(self, source: EventSource, receive: Receive, send: Send) -> None:
        """Send the body of a stream whose head has been sent."""
        pump = self._pump(source, send)
        left = await _until_gone(pump, self._events, receive, "http.disconnect")
        if not left:
            await send({"type": "http.response.body", "body": b""})

    async def run_socket(
        self, opened: OpenSocket, headers: WireHeaders, receive: Receive, send: Send
    ) -> None:
        """Accept a handshake and let the handler have the socket."""
        subprotocol = opened.subprotocol or None
        await send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": headers})
        socket = _Socket(send)
        work = _handle(opened, socket)
        left = await _until_gone(work, self._sockets, receive, "websocket.disconnect", socket)
        if not left:
            await socket.close(SERVICE_RESTART)

    async def _pump(self, source: EventSource, send: Send) -> None:
        events = aiter(source)
        quiet = _Quiet(send, self._comment_every)
        try:
            async for event in events:
                quiet.broken()
                await send(_more(event.encode()))
        finally:
            quiet.end()
            await close_source(events)


class _Quiet:
    """Sends a comment whenever a stream has sent nothing for a while.

    Its timer is set once in that while, not once for each event.
    """

    def __init__(self, send: Send, every: float) -> None:
        self._send = send
        self._every = every
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._timer = self._loop.call_later(every, self._look)
        self._comment: asyncio.Task[None] | None = None

    def broken(self) -> None:
        self._since = self._loop.time()

    def end(self) -> None:
        self._timer.cancel()
        if self._comment is not None:
            self._comment.cancel()

    def _look(self) -> None:
        left = self._since + self._every - self._loop.time()
        if left <= 0:
            left = self._every
            # A client that does not read has not taken the last one yet.
            if self._comment is None or self._comment.done():
                self._comment = self._loop.create_task(self._say())
        self._timer = self._loop.call_later(left, self._look)

    async def _say(self) -> None:
        await self._send(_more(COMMENT))


async def _until_gone(
    work: Coroutine[Any, Any, None],
    running: set[asyncio.Task[Any]],
    receive: Receive,
    goodbye: str,
    inbox: _Socket | None = None,
) -> bool:
    """Do `work` until it is done, cancelled or the client left; tell whether the client left.

    Raises what the work raised.
    """
    task = asyncio.ensure_future(work)
    listener = asyncio.ensure_future(_listen(receive, goodbye, inbox))
    running.add(task)
    try:
        await asyncio.wait({task, listener}, return_when=asyncio.FIRST_COMPLETED)
        left = listener.done()
    finally:
        running.discard(task)
        for part in (task, listener):
            part.cancel()
        await asyncio.wait({task, listener})
    if not task.cancelled():
        task.result()
    return left


async def _listen(receive: Receive, goodbye: str, inbox: _Socket | None) -> None:
    while True:
        message = await receive()
        if message["type"] == goodbye:
            return
        if inbox is not None and message["type"] == "websocket.receive":
            text = message.get("text")
            await inbox.put(message["bytes"] if text is None else text)


def _more(data: bytes) -> dict[str, object]:
    return {"type": "http.response.body", "body": data, "more_body": True}


async def _handle(opened: OpenSocket, socket: _Socket) -> None:
    try:
        await opened.handler(socket)
    except Exception:
        log.exception("the handler of a WebSocket failed")
        await socket.close(HANDLER_FAILED)
    else:
        await socket.close()


class _Socket:
    """`app.web.streams.WebSocket` over ASGI."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._unread: asyncio.Queue[str | bytes] = asyncio.Queue(UNREAD)
        self._closed = False

    async def put(self, message: str | bytes) -> None:
        if self._unread.full():
            await self.close(POLICY_VIOLATION, "messages come faster than they are handled")
        elif not self._closed:
            self._unread.put_nowait(message)

    async def receive(self) -> str | bytes:
        return await self._unread.get()

    async def send(self, message: str | bytes) -> None:
        if self._closed:
            return
        kind = "text" if isinstance(message, str) else "bytes"
        try:
            await self._send({"type": "websocket.send", kind: message})
        except OSError as error:
            # ASGI's way to say that the client is gone, when it is seen here first.
            self._closed = True
            raise asyncio.CancelledError from error

    async def close(self, code: int = 1000, reason: str = "") -> None:
        if not self._closed:
            self._closed = True
            with suppress(OSError):  # the client was quicker
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
