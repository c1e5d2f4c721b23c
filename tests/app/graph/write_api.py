"""The routes of previews and pushes on a real write side; `ci` may push to its one source."""

from __future__ import annotations

from app.catalog.rules import Rules
from app.catalog.runs import Guard
from app.graph.preview.routes import PreviewAccess, add_preview_routes
from app.graph.preview.service import PreviewService
from app.graph.push.pushed import PushedSource
from app.graph.push.routes import SourceServices, add_source_routes
from app.graph.push.service import PushService
from app.graph.routes import graph_routes
from app.graph.sources import Sources
from app.model.query import EVERYTHING
from tests.app.graph.preview.repository import ALLOWED, RepositoryPlatform
from tests.app.web.plugins import USER, application, barrier

SOURCE_URL = "https://callboard.example.org/api/graph/sources/cmdb"


class WriteApi:
    """A client, and what it is let see and do."""

    def __init__(self, database, folder, **options):
        self.platform = RepositoryPlatform(database, folder, **options)
        self.seen, self.may = EVERYTHING, True
        rules: Rules = ALLOWED
        source = PushedSource(
            "cmdb", SOURCE_URL, frozenset({"ci"}), rules, Guard(0.5, 3), 100, 100_000
        )
        platform = self.platform
        pushes = PushService(
            platform.writer, platform.stitcher, platform.processor, {"cmdb": source}
        )
        routes = graph_routes(barrier(), lambda: b"{}")
        may = lambda *_: self.may  # noqa: E731 - as short as it is
        access = PreviewAccess(may, lambda _: self.seen, "1.2.3")
        add_preview_routes(routes, PreviewService(platform.rehearsals, platform.snapshots), access)
        sources = Sources(platform.writer, frozenset({"push:cmdb"}))
        add_source_routes(routes, SourceServices(pushes, sources, may))
        self.app = application(routes)
        self.client = self.app.test_client()

    def preview(self, *files, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        body = {"files": list(files)}
        return self.client.post("/api/graph/preview", json=body, headers={**USER, **headers})

    def close(self):
        self.platform.snapshots.close()
