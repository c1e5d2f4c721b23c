"""Forgetting old history, and no more of it than states since the horizon can do without.

Of every entity the newest change at or before the horizon stays, so that its state there and ever
after can be told, and with it the change whose document it is written against. What was deleted
before the horizon goes entirely.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from app.catalog.change_store import ChangeStore
from app.db import sequence
from app.db.documents import DocumentCodec
from app.db.engine import Database
from app.db.statements import Statements

# How many changes one transaction looks at, and how many transactions there are before others
# get their turn.
BATCH = 1000
BATCHES = 100

_LATEST = "(SELECT max(n.seq) FROM change n WHERE n.entity_id = change.entity_id AND n.seq <= ?)"
_FORGET = (
    "DELETE FROM change WHERE seq > ? AND seq <= ? "
    f"AND (seq < {_LATEST} OR operation = 'delete') AND NOT EXISTS "
    "(SELECT 1 FROM change d WHERE d.entity_id = change.entity_id AND d.base = change.seq "
    f"AND d.seq >= {_LATEST})"
)


@dataclass(slots=True)
class Retention:
    """Removes changes that are too old, a bounded number at a time; one per process."""

    database: Database
    codec: DocumentCodec
    batch: int = BATCH
    batches: int = BATCHES
    _horizon: int = 0
    _done: int = 0
    forgotten: int = field(default=0)

    def forget(self, before: datetime) -> bool:
        """Forget some of what was replaced before a time; answer whether that was all."""
        if not self._horizon:
            self._begin(before)
        for _ in range(self.batches):
            if not self._forget_some():
                self._horizon = self._done = 0
                return True
        return False

    def _begin(self, before: datetime) -> None:
        with self.database.begin() as connection:
            sql = Statements.on(connection)
            # First of all nobody is told any more that these states can be asked for.
            self._horizon = ChangeStore(sql, self.codec).seq_at(before)
            sequence.forget_before(sql, self._horizon)
        self._done = 0

    def _forget_some(self) -> bool:
        horizon = self._horizon
        with self.database.begin() as connection:
            sql = Statements.on(connection)
            rows = sql.rows(
                "SELECT seq FROM change WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
                self._done,
                horizon,
                self.batch,
            )
            if not rows:
                return False
            until = rows[-1][0]
            self.forgotten += sql.execute(_FORGET, self._done, until, horizon, horizon)
        self._done = until
        return True
