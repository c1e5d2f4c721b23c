"""A graph to follow, and a plain way to say what a reader should be told of it."""

from __future__ import annotations

from typing import Any

import orjson

from app.catalog.emission import Parent
from app.db.statements import Statements
from app.graph.changes.change import Lens
from app.graph.changes.feed import Bounds, Feed
from app.index.build import IndexRow
from app.index.index import EntityIndex
from app.index.terms import encode_terms
from app.model.query import Expression
from tests.app.catalog.write_side import Graph, emission

SOURCE = Parent("git", 0)


class FeedGraph:
    """Entities that come, change and go."""

    def __init__(self, database) -> None:
        self.graph = Graph(database)
        self.feed = Feed(database, self.graph.writer.codec, batch=3)

    def put(self, name: str, text: str = "v1", *edges: tuple[str, str]) -> None:
        self.graph.write(SOURCE, emission(f"component:default/{name}", *edges, text=text))

    def drop(self, name: str) -> None:
        self.graph.drop(SOURCE, f"component:default/{name}")

    @property
    def newest(self) -> int:
        return self.feed.span().newest

    def items(self, since: int = 0, lens: Lens | None = None, **bounds: Any) -> list[dict]:
        """Read the whole feed, page by page."""
        found = []
        while True:
            page = self.feed.page(since, lens or Lens(), Bounds(**bounds))
            assert page.next > since or page.span.newest == since
            items = [orjson.loads(item) for _, item in page.items]
            assert [seq for seq, _ in page.items] == [item["seq"] for item in items]
            found += items
            since = page.next
            if since == page.span.newest:
                return found

    def told(self, since: int = 0, lens: Lens | None = None, **bounds: Any) -> list[tuple]:
        """Say the same in short: operation, name, text, and whether it left."""
        return [short(item) for item in self.items(since, lens, **bounds)]


def short(item: dict[str, Any]) -> tuple[str, str, str, bool]:
    metadata = item["entity"]["metadata"]
    return item["operation"], metadata["name"], metadata["description"], item.get("left", False)


def copied(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Do with the items what the documentation tells readers to do."""
    copy = dict[str, Any]()
    for item in items:
        if item.get("left"):
            copy.pop(item["entityRef"], None)
        else:
            copy[item["entityRef"]] = item["entity"]
    return copy


def served(database, expression: Expression) -> dict[str, Any]:
    """Answer what is served now and matches, as the read index finds it."""
    with database.snapshot() as connection:
        rows = Statements.on(connection).rows(
            "SELECT e.id, r.ref, s.uid, e.document FROM entity e JOIN ref r ON r.id = e.id "
            "JOIN searchable s ON s.id = e.id"
        )
    documents = {row[0]: (row[1], row[2], orjson.loads(row[3])) for row in rows}
    index = EntityIndex(lambda ids: ((i, documents[i][2]) for i in ids))
    index.load(
        [IndexRow(i, ref, uid, encode_terms(d)) for i, (ref, uid, d) in documents.items()], 1
    )
    return {documents[i][0]: documents[i][2] for i in index.match(expression)}
