"""The HTTP edge: an ASGI application around the Flask app.

Flask stays the one place for routing and authentication. It is called in a bounded pool of threads,
or, for requests that are known to be quick, at once on the event loop, which saves two changes of
thread. Event streams and WebSockets that Flask answers (`app.web.streams`) run on the event loop.
Request bodies are bounded and read whole; responses that a view generates are sent with
backpressure (`app.web.bodies`). Nothing is compressed here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from app.web.answers import Answer, Rest, call_wsgi, refuse, unsized
from app.web.asgi import Environ, Message, Receive, Scope, Send, content_length, environ_of
from app.web.bodies import BodyPump
from app.web.live import LiveStreams
from app.web.pool import Pool
from app.web.streams import SLOT, OpenSocket, StreamSlot
from app.web.waiting import HoldsUpError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger(__name__)

COUNTS = "callboard.edge.counts"
UPGRADE = frozenset({b"connection", b"upgrade"})
# Headers of a refused or accepted handshake that the WebSocket layer writes itself.
HANDSHAKE = frozenset({b"content-type", b"content-length", b"connection", b"upgrade"})


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """Bounds of one web process; times are seconds, sizes bytes."""

    threads: int = 32
    queue: int = 256
    max_body: int = 20 * 1024 * 1024
    body_timeout: float = 30.0
    retry_after: int = 1
    comment_every: float = 15.0
    slow_inline: float = 0.25
    inline_bytes: int = 16 * 1024
    inline_pause: float = 30.0


@dataclass(frozen=True, slots=True)
class EdgeCounts:
    """What one web process is doing now, and what it refused so far."""

    threads: int
    busy: int
    waiting: int
    event_streams: int
    web_sockets: int
    overloaded: int
    inline: int
    pooled: int


class _BodyTooLargeError(Exception):
    pass


def never(method: str, path: str) -> bool:  # noqa: ARG001
    """Call nothing on the event loop."""
    return False


class Edge:
    """Serves `wsgi` over ASGI.

    `inline` names, by method and path, the requests to call on the event loop. They must be quick
    and must not wait for anything: while one runs, nothing else moves in this process. One that
    says it has to wait (`before_waiting`) is called anew in a thread. One that takes longer than
    `slow_inline` all the same sends everything to the pool for `inline_pause`. What takes more than
    `inline_bytes` to ask is never quick to answer.
    """

    def __init__(
        self,
        wsgi: WSGIApplication,
        settings: EdgeSettings | None = None,
        inline: Callable[[str, str], bool] = never,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wsgi = wsgi
        self._settings = settings or EdgeSettings()
        self._inline = inline
        self._clock = clock
        self._inline_from = 0.0
        self._pool = Pool(self._settings.threads)
        self._live = LiveStreams(self._settings.comment_every)
        self._overloaded = self._inlined = self._pooled = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or run one socket."""
        if scope["type"] == "http":
            await self._serve_http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._serve_socket(scope, receive, send)

    def counts(self) -> EdgeCounts:
        """Count what goes on now. A view finds this method in its environ, under `COUNTS`."""
        pool, live = self._pool, self._live
        return EdgeCounts(
            threads=pool.threads,
            busy=pool.busy,
            waiting=pool.waiting,
            event_streams=live.events,
            web_sockets=live.sockets,
            overloaded=self._overloaded,
            inline=self._inlined,
            pooled=self._pooled,
        )

    def close_streams(self) -> None:
        """End all event streams and sockets, so that their connections can be closed."""
        self._live.close()

    def close(self) -> None:
        """Let idle threads end."""
        self._pool.close()

    async def _serve_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await self._read_body(scope, receive)
        except _BodyTooLargeError:
            refusal = refuse(scope, 413, "PayloadTooLargeError", "request entity too large")
            await _send_whole(refusal, send)
            return
        except TimeoutError:
            message = "The body of the request did not arrive in time"
            await _send_whole(refuse(scope, 408, "RequestTimeoutError", message), send)
            return
        if body is None:
            return
        slot = StreamSlot()
        try:
            answer = await self._answer(scope, body, slot)
        except asyncio.CancelledError:
            # The process stops, and the call took longer than it may. Nobody else cancels this.
            answer = refuse(scope, 503, "ServiceUnavailableError", "Service is shutting down")
        if slot.stream is not None and not isinstance(slot.stream, OpenSocket):
            answer.headers = [*unsized(answer.headers), (b"connection", b"keep-alive")]
            await send(_start(answer))
            await self._live.run_events(slot.stream, receive, send)
        elif answer.rest is not None:
            await send(_start(answer))
            await self._send_rest(answer.body, answer.rest, receive, send)
        else:
            await _send_whole(answer, send)

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        # Werkzeug matches no ordinary route for a request that asks for an upgrade.
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] not in UPGRADE]
        slot = StreamSlot()
        answer = await self._answer(scope, b"", slot)
        if isinstance(slot.stream, OpenSocket):
            headers = [header for header in answer.headers if header[0].lower() not in HANDSHAKE]
            await self._live.run_socket(slot.stream, headers, receive, send)
            return
        if answer.rest is not None:
            # A page that is not a socket, and nobody waits for all of it.
            self._pump(answer.rest).abandon()
            answer = refuse(scope, 426, "UpgradeRequiredError", "This is not a WebSocket")
        if answer.status < 400:  # noqa: PLR2004 - a handshake cannot be answered with a success
            answer = refuse(scope, 400, "InputError", "This is not a WebSocket")
        answer.headers.append((b"connection", b"close"))
        await _send_whole(answer, send, "websocket.http.response")

    async def _read_body(self, scope: Scope, receive: Receive) -> bytes | None:
        """Read the whole body; None if the client left before its end."""
        length = content_length(scope["headers"])
        if length is None and not any(name == b"transfer-encoding" for name, _ in scope["headers"]):
            return b""
        limit = self._settings.max_body
        if length is not None and length > limit:
            raise _BodyTooLargeError
        parts: list[bytes] = []
        size = 0
        while True:
            async with asyncio.timeout(self._settings.body_timeout):
                message = await receive()
            if message["type"] != "http.request":
                return None
            parts.append(message["body"])
            size += len(message["body"])
            if size > limit:
                raise _BodyTooLargeError
            if not message.get("more_body", False):
                return b"".join(parts)

    async def _answer(self, scope: Scope, body: bytes, slot: StreamSlot) -> Answer:
        environ = self._environ(scope, body, slot)
        size = len(body) + len(scope["query_string"])
        if size <= self._settings.inline_bytes and self._is_inline(environ):
            try:
                return self._call_inline(scope, environ)
            except HoldsUpError:
                environ = self._environ(scope, body, slot)
        if self._pool.waiting >= self._settings.queue:
            self._overloaded += 1
            message = "The server is overloaded, try again later"
            answer = refuse(scope, 503, "ServiceUnavailableError", message)
            answer.headers.append((b"retry-after", str(self._settings.retry_after).encode()))
            return answer
        self._pooled += 1
        return await self._pool.run(lambda: self._call(scope, environ))

    def _environ(self, scope: Scope, body: bytes, slot: StreamSlot) -> Environ:
        environ = environ_of(scope, body)
        environ[SLOT] = slot
        environ[COUNTS] = self.counts
        return environ

    def _is_inline(self, environ: Environ) -> bool:
        wanted = self._inline(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        return wanted and self._clock() >= self._inline_from

    def _call_inline(self, scope: Scope, environ: Environ) -> Answer:
        self._inlined += 1
        began = self._clock()
        answer = self._call(scope, environ)
        ended = self._clock()
        if ended - began > self._settings.slow_inline:
            self._inline_from = ended + self._settings.inline_pause
            log.warning(
                "%s %s held up the process for %.0f ms; calling everything in threads for %.0f s",
                environ["REQUEST_METHOD"],
                environ["PATH_INFO"],
                (ended - began) * 1000,
                self._settings.inline_pause,
            )
        return answer

    def _call(self, scope: Scope, environ: Environ) -> Answer:
        # All code of one request runs in one context, whichever threads it runs on.
        context = copy_context()
        try:
            return context.run(call_wsgi, self._wsgi, environ, context)
        except Exception:
            log.exception("%s %s failed", environ["REQUEST_METHOD"], environ["PATH_INFO"])
            return refuse(scope, 500, "Error", "An internal error occurred")

    def _pump(self, rest: Rest) -> BodyPump:
        loop = asyncio.get_running_loop()
        return BodyPump(rest.chunks, rest.close, rest.context, self._pool, loop)

    async def _send_rest(self, first: bytes, rest: Rest, receive: Receive, send: Send) -> None:
        pump = self._pump(rest)
        gone = asyncio.ensure_future(_disconnect(receive))
        try:
            pump.start()
            data = first
            while data and not gone.done():
                await send(_body(data, more=True))
                data = await pump.take()
            if not gone.done():
                await send(_body(b""))
        finally:
            gone.cancel()
            pump.abandon()


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _start(
    answer: Answer, prefix: Literal["http.response", "websocket.http.response"] = "http.response"
) -> Message:
    return {"type": f"{prefix}.start", "status": answer.status, "headers": answer.headers}


def _body(data: bytes, *, more: bool = False, prefix: str = "http.response") -> Message:
    return {"type": f"{prefix}.body", "body": data, "more_body": more}


async def _send_whole(
    answer: Answer,
    send: Send,
    prefix: Literal["http.response", "websocket.http.response"] = "http.response",
) -> None:
    await send(_start(answer, prefix))
    await send(_body(answer.body, prefix=prefix))
