"""Plain Flask with constants for answers, on the same server: what `catalog.py` compares with."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from flask import Flask, Response

from app.serve.child import Child
from app.serve.listening import listen_shares
from app.serve.process import ChildSpec
from app.serve.supervisor import Supervisor
from app.serve.web import run_web
from app.web.lifecycle import Lifecycle


def serve(port: int, size: int) -> int:
    shares = listen_shares("127.0.0.1", port, 2)
    return Supervisor(
        [
            ChildSpec(f"plain-{n}", process, (size,), share.sockets, share.spares)
            for n, share in enumerate(shares, 1)
        ]
    ).run()


def process(child: Child, size: int) -> None:
    page, one = b"x" * size, b"y" * 2000

    def make(lifecycle: Lifecycle) -> Flask:
        app = Flask(__name__)

        @app.get("/page")
        def answer_page() -> Response:
            return Response(page, mimetype="application/json")

        @app.get("/one")
        def answer_one() -> Response:
            return Response(one, mimetype="application/json")

        lifecycle.ready()
        return app

    run_web(child, make, inline=lambda *_: True)


if __name__ == "__main__":
    # By its name, so that the processes can import what they are to run.
    import plain_flask

    sys.exit(plain_flask.serve(int(sys.argv[1]), int(sys.argv[2])))
