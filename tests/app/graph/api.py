"""The graph's routes on a real database, with a client and whatever a test lets it see."""

from __future__ import annotations

from app.catalog.replies import Sight
from app.catalog.snapshot import Snapshots
from app.graph.history.routes import HistoryServices, add_history_routes
from app.graph.history.service import History
from app.graph.history.undo import Undo
from app.graph.past.routes import add_past_routes
from app.graph.past.snapshots import Past
from app.graph.routes import graph_routes
from app.model.query import EVERYTHING
from tests.app.web.plugins import USER, application, barrier


class Api:
    """A client whose requests carry credentials."""

    def __init__(self, graph):
        self.seen, self.allowed = EVERYTHING, {"create", "delete"}
        self.snapshots = Snapshots(graph.database)
        codec = graph.writer.codec
        sight = Sight(lambda _: self.seen, "here")
        routes = graph_routes(barrier(), lambda: b"{}")
        services = HistoryServices(
            History(self.snapshots, codec),
            Undo(graph.writer, graph.stitcher),
            lambda _, permission: permission.action in self.allowed,
        )
        add_history_routes(routes, services, sight)
        add_past_routes(routes, Past(self.snapshots, codec), sight)
        self.app = application(routes)
        self.client = self.app.test_client()

    def get(self, path, **headers):
        return self.client.get(f"/api/graph{path}", headers={**USER, **headers})

    def post(self, path, body=None):
        return self.client.post(f"/api/graph{path}", json=body, headers=USER)
