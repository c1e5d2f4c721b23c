"""What operators ask about webhooks, and what they decide about deliveries that were given up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.db import sequence
from app.db.engine import Database
from app.db.instants import instant
from app.db.statements import Statements
from app.errors import ConflictError, NotFoundError
from app.graph.webhooks.store import HookRow, LetterRow, WebhookStore
from app.graph.webhooks.webhook import Webhook


@dataclass(frozen=True, slots=True)
class WebhookService:
    """Reads and writes what the deliveries stored; delivers nothing itself."""

    database: Database
    webhooks: Mapping[str, Webhook]

    def all(self) -> list[dict[str, Any]]:
        """Answer every configured webhook and how far it is, by name."""
        with self.database.snapshot() as connection:
            sql = Statements.on(connection)
            newest, store = sequence.newest(sql), WebhookStore(sql)
            rows, counts = store.all(), store.counts()
        return [
            _state(webhook, rows.get(name), newest, counts.get(name, 0))
            for name, webhook in sorted(self.webhooks.items())
        ]

    def letters(self, name: str, after: int, limit: int) -> tuple[list[dict[str, Any]], int | None]:
        """Answer deliveries that were given up, the oldest first, and after which to go on."""
        with self.database.snapshot() as connection:
            found = WebhookStore(Statements.on(connection)).letters(name, after, limit + 1)
        if not found and name not in self.webhooks:
            raise NotFoundError(f"No webhook named '{name}'")
        page = found[:limit]
        return list(_letters(page)), page[-1].id if len(found) > limit else None

    def retry(self, name: str, letter_id: int) -> dict[str, Any]:
        """Have a delivery tried once more; raises `NotFoundError`, `ConflictError`."""
        if name not in self.webhooks:
            raise ConflictError(f"No webhook named '{name}' is configured any more")
        with self.database.begin() as connection:
            store = WebhookStore(Statements.on(connection))
            letter = store.ask(name, letter_id, datetime.now(UTC))
        if letter is None:
            raise _no_letter(name, letter_id)
        return next(_letters([letter]))

    def forget(self, name: str, letter_id: int) -> None:
        """Forget a delivery; raises `NotFoundError`."""
        with self.database.begin() as connection:
            if not WebhookStore(Statements.on(connection)).remove(name, letter_id):
                raise _no_letter(name, letter_id)


def _state(webhook: Webhook, row: HookRow | None, newest: int, letters: int) -> dict[str, Any]:
    return {
        "name": webhook.name,
        "url": webhook.shown_url,
        "filter": list(webhook.filters),
        "position": None if row is None else row.seq,
        "lag": None if row is None else max(0, newest - row.seq),
        "attempts": 0 if row is None else row.attempts,
        "nextAttemptAt": None if row is None or row.next_at is None else instant(row.next_at),
        "lastError": None if row is None else row.error,
        "deadLetters": letters,
    }


def _letters(rows: Sequence[LetterRow]) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield {
            "id": row.id,
            "firstSeq": row.first_seq,
            "lastSeq": row.last_seq,
            "attempts": row.attempts,
            "error": row.error,
            "at": instant(row.at),
            "retryAskedAt": None if row.asked_at is None else instant(row.asked_at),
        }


def _no_letter(name: str, letter_id: int) -> NotFoundError:
    return NotFoundError(f"Webhook '{name}' has no dead letter {letter_id}")
