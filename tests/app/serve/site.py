"""A small Flask app behind the edge, and processes that behave well or badly."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from pathlib import Path

from flask import Flask, Response, request, stream_with_context

from app.errors import ConfigError
from app.serve.web import WebSettings, run_web
from app.web.bodies import WINDOW
from app.web.edge import COUNTS
from app.web.streams import Event, event_stream, web_socket
from app.web.waiting import before_waiting

LARGE = b"y" * 5_000_000


class Site:
    """What the tests want to see and to hold back."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.entered = threading.Event()
        self.ended = threading.Event()
        self.pulled = 0
        self.caller = ""


def make_site(lifecycle, site: Site) -> Flask:
    app = Flask(__name__)

    @app.get("/readiness")
    def readiness():
        return {"status": lifecycle.state}, 200 if lifecycle.is_ready else 503

    @app.get("/hello/<name>")
    def hello(name):
        return {"hello": name, "pid": os.getpid(), "query": request.args.to_dict(flat=False)}

    @app.post("/length")
    def length():
        return {"length": len(request.get_data())}

    @app.get("/large")
    def large():
        return Response(LARGE)

    @app.get("/held")
    def held():
        site.entered.set()
        site.release.wait(10)
        return "held"

    @app.route("/thread", methods=["GET", "POST"])
    def thread():
        site.caller = threading.current_thread().name
        if "waits" in request.args:
            before_waiting()
        time.sleep(float(request.args.get("seconds", 0)))
        return site.caller + request.get_data(as_text=True)

    @app.get("/counts")
    def counts():
        found = request.environ[COUNTS]()
        return {"events": found.event_streams, "sockets": found.web_sockets, "busy": found.busy}

    @app.get("/fails")
    def fails():
        raise RuntimeError("a bug")

    add_bodies(app, site)
    add_streams(app, site)
    return app


def add_bodies(app: Flask, site: Site) -> None:
    def pieces(count):
        try:
            for _ in range(count):
                site.pulled += 1
                yield bytes(WINDOW // 8)
        finally:
            site.ended.set()

    @app.get("/pieces/<int:count>")
    def generated(count):
        return Response(pieces(count))

    @app.get("/in-context")
    def in_context():
        def body():
            for _ in range(40):
                yield request.args["a"].encode() * (WINDOW // 8)

        return Response(stream_with_context(body()))

    @app.get("/nothing")
    def nothing():
        return Response(iter(()))

    @app.get("/breaks")
    def breaks():
        def body():
            yield b"some"
            raise RuntimeError("half way")

        return Response(body())


def add_streams(app: Flask, site: Site) -> None:
    @app.get("/count/<int:number>")
    def count(number):
        async def source():
            try:
                for n in range(number):
                    yield Event(str(n))
                    await asyncio.sleep(0)
                await asyncio.sleep(3600 if "forever" in request_args else 0)
            finally:
                site.ended.set()

        request_args = request.args.to_dict()
        return event_stream(source())

    @app.get("/source-fails")
    def source_fails():
        async def source():
            yield Event("one")
            raise RuntimeError("the source broke")

        return event_stream(source())

    add_socket(app, site)


def add_socket(app: Flask, site: Site) -> None:
    @app.get("/echo")
    def echo():
        token = request.headers.get("Sec-WebSocket-Protocol", "")
        if token == "wrong":
            return {"error": {"name": "AuthenticationError"}}, 401

        async def handler(socket):
            try:
                while True:
                    message = await socket.receive()
                    if message == "fail":
                        raise OSError("no such thing")
                    if message == "bye":
                        return
                    if message == "sleep":
                        await asyncio.sleep(3600)
                    await socket.send(message)
            finally:
                site.ended.set()

        return web_socket(handler, subprotocol=token)


def quick(method: str, path: str) -> bool:
    return path == "/thread"


# Targets of supervised processes


def _ready_site(lifecycle):
    app = make_site(lifecycle, Site())
    lifecycle.ready()
    return app


def web(child, settings: WebSettings | None = None):
    run_web(child, _ready_site, settings)


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def background(child):
    child.ready()
    child.stopping.wait()
    say(f"{child.name} stopped")


def stubborn(child):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child.ready()
    while True:
        time.sleep(1)


def crashing(child):
    say(f"{child.name} began")
    raise RuntimeError("it cannot work")


def misconfigured(child):
    raise ConfigError("app.baseUrl: required (app-config.yaml:3)")


def leaving(child):
    say(f"{child.name} began")
    sys.exit(0)


def fragile(child, broken):
    if Path(broken).exists():
        raise RuntimeError("broken")
    child.ready()
    child.stopping.wait()


def hanging(child, once):
    child.ready()
    if not Path(once).exists():
        Path(once).touch()
        threading.Timer(0.1, child.abort).start()
        while True:
            time.sleep(1)
    child.stopping.wait()


def asking(child):
    say(f"FIGURES is {os.environ['FIGURES']}")
    child.stopping.wait()
