"""The Flask app that `bench/edge.py` measures, alone and behind the edge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from random import random

from flask import Flask, Response

from app.serve.child import Child
from app.serve.listening import listen_shares
from app.serve.process import ChildSpec
from app.serve.supervisor import Supervisor
from app.serve.web import run_web
from app.web.edge import never
from app.web.lifecycle import Lifecycle
from app.web.streams import Event, WebSocket, event_stream, web_socket

PAGE = b'{"items":[' + b"x" * 46_000 + b"]}"
LARGE = b"y" * 5_000_000
CHUNK = b"z" * 65_536
CHUNKS = 1923  # 126 MB


def make_flask() -> Flask:
    app = Flask(__name__)

    @app.get("/tiny")
    def tiny() -> Response:
        return Response(b'{"ok":true}', mimetype="application/json")

    @app.get("/page")
    def page() -> Response:
        return Response(PAGE, mimetype="application/json")

    @app.get("/large")
    def large() -> Response:
        return Response(LARGE, mimetype="application/json")

    @app.get("/huge")
    def huge() -> Response:
        def chunks() -> Iterator[bytes]:
            for _ in range(CHUNKS):
                yield CHUNK

        return Response(chunks(), mimetype="application/json")

    add_streams(app)
    return app


def add_streams(app: Flask) -> None:
    @app.get("/events")
    def events() -> Response:
        async def ticks() -> AsyncIterator[Event]:
            yield Event('{"n":0}', event="log")
            await asyncio.sleep(random())  # noqa: S311 - streams do not send all at once
            while True:
                yield Event('{"n":1}', event="log")
                await asyncio.sleep(1)

        return event_stream(ticks())

    @app.get("/socket")
    def socket() -> Response:
        async def handler(opened: WebSocket) -> None:
            await opened.send('{"channel":"none"}')
            await asyncio.sleep(random())  # noqa: S311
            while True:
                await opened.send('{"channel":"bench"}')
                await asyncio.sleep(1)

        return web_socket(handler)


def make_app(lifecycle: Lifecycle) -> Flask:
    app = make_flask()
    lifecycle.ready()
    return app


def quick(method: str, path: str) -> bool:
    return method == "GET" and path in {"/tiny", "/page"}


def web(child: Child, *, inline: bool) -> None:
    run_web(child, make_app, inline=quick if inline else never)


def serve(port: int, *, inline: bool) -> int:
    """Run two web processes behind the edge under the supervisor."""
    target = partial(web, inline=inline)
    specs = [
        ChildSpec(f"web-{number}", target, sockets=share.sockets, spares=share.spares)
        for number, share in enumerate(listen_shares("127.0.0.1", port, 2), 1)
    ]
    return Supervisor(specs).run()
