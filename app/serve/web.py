"""One web process: the Flask app behind the edge, on uvicorn, until it is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from socket import socket
from threading import Thread, current_thread, main_thread
from typing import TYPE_CHECKING, cast

import uvicorn

from app.serve.child import Child
from app.serve.listening import close_all
from app.serve.protocol import HEAD_TIMEOUT, BoundedProtocol, SocketProtocol
from app.serve.spares import SpareListener
from app.serve.tuning import prepare_process, settle_process
from app.web.edge import Edge, EdgeSettings, never
from app.web.lifecycle import Lifecycle

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

POLL = 0.05
TICK = 1.0


@dataclass(frozen=True, slots=True)
class WebSettings:
    """How one web process serves and stops; times are seconds, sizes bytes.

    Stopping has two parts. For `drain` the process serves on while its readiness says no, so that
    load balancers can turn away. Then it accepts nothing more, closes its streams and gives
    running requests `grace` to finish.
    """

    edge: EdgeSettings = field(default_factory=EdgeSettings)
    drain: float = 0.0
    grace: float = 20.0
    keep_alive: int = 75
    head_timeout: float = HEAD_TIMEOUT
    max_message: int = 1024 * 1024
    accepts_early: bool = False


class _Server(uvicorn.Server):
    """uvicorn with a second kind of listening socket, and without its own handling of signals."""

    def __init__(self, config: uvicorn.Config, spares: Sequence[socket]) -> None:
        super().__init__(config)
        self._spares = spares
        self._spare_listener: SpareListener | None = None
        self._exit = asyncio.Event()

    def leave(self) -> None:
        """Stop to accept, and end when the last connection is closed."""
        self.should_exit = True
        self._exit.set()

    async def main_loop(self) -> None:
        # uvicorn looks ten times a second whether it should exit.
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._exit.wait(), TICK)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        make = cast("Callable[..., asyncio.Protocol]", self.config.http_protocol_class)
        protocol = partial(make, config=self.config, server_state=self.server_state, app_state={})
        listener = SpareListener(self._spares, protocol, asyncio.get_running_loop())
        listener.open()
        self._spare_listener = listener

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        if self._spare_listener is not None:
            self._spare_listener.close()
        await super().shutdown(sockets)


def run_web(
    child: Child,
    make_app: Callable[[Lifecycle], WSGIApplication],
    settings: WebSettings | None = None,
    inline: Callable[[str, str], bool] = never,
) -> None:
    """Serve the app on the sockets of `child` until it is to stop and everything is finished.

    Connections are accepted once the app says through its `Lifecycle` that it is ready (or as soon
    as it is made, if the settings say so); until then they wait in the queue of the socket or go to
    another process.
    """
    settings = settings or WebSettings()
    if _owns_process():
        prepare_process()
    lifecycle = Lifecycle()
    try:
        app = make_app(lifecycle)
        if not child.stopping.is_set():
            _serve(child, app, lifecycle, settings, inline)
    finally:
        close_all((*child.sockets, *child.spares))


def _serve(
    child: Child,
    app: WSGIApplication,
    lifecycle: Lifecycle,
    settings: WebSettings,
    inline: Callable[[str, str], bool],
) -> None:
    def is_inline(method: str, path: str) -> bool:
        # Until then a request may wait for the start, and must not keep the loop from it.
        return lifecycle.is_ready and inline(method, path)

    edge = Edge(app, settings.edge, is_inline)
    protocol = partial(
        BoundedProtocol,
        head_timeout=settings.head_timeout,
        is_leaving=lambda: lifecycle.is_stopping,
    )
    config = uvicorn.Config(
        edge,
        http=cast("type[asyncio.Protocol]", protocol),
        loop="uvloop",
        ws=SocketProtocol,
        ws_max_size=settings.max_message,
        ws_per_message_deflate=False,
        lifespan="off",
        interface="asgi3",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        log_level="warning",
        timeout_keep_alive=settings.keep_alive,
        timeout_graceful_shutdown=round(settings.grace),
    )
    process = _WebProcess(_Server(config, child.spares), edge, lifecycle, settings, child)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(process.serve(list(child.sockets)))
    edge.close()


def _owns_process() -> bool:
    return current_thread() is main_thread()


@dataclass(frozen=True, slots=True)
class _WebProcess:
    server: _Server
    edge: Edge
    lifecycle: Lifecycle
    settings: WebSettings
    child: Child

    async def serve(self, sockets: list[socket]) -> None:
        asked = asyncio.Event()
        Thread(target=self._pass_on, args=(asyncio.get_running_loop(), asked), daemon=True).start()
        stop = asyncio.ensure_future(self._stop(asked))
        if not self.settings.accepts_early:
            await self._until(lambda: self.lifecycle.is_ready)
        announce = asyncio.ensure_future(self._announce())
        await self.server.serve(sockets=sockets)
        announce.cancel()
        stop.cancel()

    def _pass_on(self, loop: asyncio.AbstractEventLoop, asked: asyncio.Event) -> None:
        self.child.stopping.wait()
        with suppress(RuntimeError):  # the loop ended by itself, with an error
            loop.call_soon_threadsafe(asked.set)

    async def _announce(self) -> None:
        await self._until(lambda: self.server.started and self.lifecycle.is_ready)
        if self.child.stopping.is_set():
            return
        if _owns_process():
            settle_process()
        self.child.ready()

    async def _stop(self, asked: asyncio.Event) -> None:
        await asked.wait()
        self.lifecycle.stop()
        await asyncio.sleep(self.settings.drain)
        self.server.leave()
        while True:
            # A stream may still begin, on a connection that was there before.
            self.edge.close_streams()
            await asyncio.sleep(POLL)

    async def _until(self, condition: Callable[[], bool]) -> None:
        # Both are set by other threads, which know nothing of this loop.
        while not condition() and not self.child.stopping.is_set():  # noqa: ASYNC110
            await asyncio.sleep(POLL)
