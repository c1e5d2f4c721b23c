"""Transactions that change the graph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from app.catalog.causes import NOTHING, Trigger
from app.catalog.claims import Claims
from app.catalog.relating import RelationFinder
from app.catalog.store import GraphStore
from app.db import sequence
from app.db.documents import DocumentCodec
from app.db.shared import Transactions
from app.db.statements import Statements


@dataclass(frozen=True, slots=True)
class GraphWriter:
    """Opens transactions on the graph, one writer at a time."""

    database: Transactions
    codec: DocumentCodec
    relations_of: RelationFinder
    keeps_orphans: bool = False

    @contextmanager
    def begin(self, trigger: Trigger = NOTHING) -> Iterator[Claims]:
        """Open a writing transaction that `trigger` set off; a clean exit commits."""
        with self.database.begin() as connection:
            sql = Statements.on(connection)
            sequence.lock_graph(sql)
            yield Claims(
                GraphStore(sql),
                self.codec,
                self.relations_of,
                datetime.now(UTC),
                self.keeps_orphans,
                trigger,
            )

    @contextmanager
    def look(self) -> Iterator[GraphStore]:
        """Open a reading transaction on the same tables."""
        with self.database.snapshot() as connection:
            yield GraphStore(Statements.on(connection))
