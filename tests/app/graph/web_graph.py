"""The graph's endpoints on a real database, called over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.serving import WSGIRequestHandler, make_server

from app.catalog.replies import Sight, everything
from app.catalog.snapshot import Snapshots
from app.graph.explain.known import Schedule
from app.graph.explain.routes import add_explain_routes
from app.graph.explain.service import Explainer
from app.graph.routes import graph_routes
from app.graph.walks.ground import Grounds
from app.graph.walks.routes import add_walk_routes
from app.graph.walks.service import GraphQueries
from app.graph.walks.walk import WalkLimits
from tests.app.catalog.platform import Platform
from tests.app.web.plugins import USER, application, barrier


class GraphApi:
    """A client whose requests carry credentials."""

    def __init__(self, platform: Platform, snapshots: Snapshots, **options) -> None:
        processor = platform.processor
        grounds = Grounds(snapshots, processor.kinds.reverse, options.pop("past", None))
        sight = Sight(options.pop("visible", everything))
        routes = graph_routes(barrier(is_open=options.pop("is_open", False)), lambda: b"{}")
        add_walk_routes(routes, GraphQueries(grounds, WalkLimits(**options)), sight)
        explainer = Explainer(
            snapshots, platform.writer.codec, processor.kinds, processor.readers, Schedule()
        )
        add_explain_routes(routes, explainer, sight)
        self.app = application(routes)
        self.client = self.app.test_client()

    def get(self, path: str):
        return self.client.get(f"/api/graph{path}", headers=USER)

    def post(self, path: str, body):
        return self.client.post(f"/api/graph{path}", json=body, headers=USER)


@contextmanager
def graph_api(platform: Platform, **options) -> Iterator[GraphApi]:
    snapshots = Snapshots(platform.database)
    try:
        yield GraphApi(platform, snapshots, **options)
    finally:
        snapshots.close()


@contextmanager
def graph_server(platform: Platform) -> Iterator[str]:
    """Serve the endpoints on a real port, to everybody; answer the server's URL."""
    snapshots = Snapshots(platform.database)
    app = GraphApi(platform, snapshots, is_open=True).app
    server = make_server("127.0.0.1", 0, app, threaded=False, request_handler=_Quiet)

    def run() -> None:
        server.serve_forever(0.01)
        snapshots.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        pass
