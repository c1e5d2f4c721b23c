"""Where webhooks stand, and deliveries that were given up: SQL and only SQL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from app.db import tables
from app.db.instants import read_instant
from app.db.statements import Statements

_HOOK = "name, seq, until, attempts, next_at, error"
_LETTER = "id, hook, first_seq, last_seq, attempts, error, at, asked_at"


class HookRow(NamedTuple):
    """How far a webhook is.

    `until` is where the delivery under way ends, `attempts` how often that failed.
    """

    name: str
    seq: int
    until: int | None = None
    attempts: int = 0
    next_at: datetime | None = None
    error: str | None = None


class LetterRow(NamedTuple):
    """A delivery that was given up, and when somebody asked for it to be tried once more."""

    id: int
    hook: str
    first_seq: int
    last_seq: int
    attempts: int
    error: str
    at: datetime
    asked_at: datetime | None


@dataclass(frozen=True, slots=True)
class WebhookStore:
    """Reads and writes inside one transaction."""

    sql: Statements

    def begin(self, names: Iterable[str], newest: int) -> list[str]:
        """Let new webhooks begin with what comes next; answer which those are."""
        known = {row[0] for row in self.sql.rows("SELECT name FROM hook")}
        new = [name for name in names if name not in known]
        self.sql.insert(
            tables.hook,
            ["name", "seq", "attempts"],
            [(name, newest, 0) for name in new],
            conflict="DO NOTHING",
        )
        return new

    def all(self) -> dict[str, HookRow]:
        """Answer how far each webhook is."""
        rows = self.sql.rows(f"SELECT {_HOOK} FROM hook")
        return {
            row[0]: HookRow._make((*row[:4], row[4] and read_instant(row[4]), row[5]))
            for row in rows
        }

    def save(self, row: HookRow) -> None:
        """Store how far a webhook is."""
        self.sql.update(
            tables.hook,
            ["seq", "until", "attempts", "next_at", "error"],
            [(*row[1:], row.name)],
        )

    def give_up(self, row: HookRow, last: int, now: datetime) -> None:
        """Lay aside what is between the webhook's place and `last`."""
        self.sql.insert(
            tables.dead_letter,
            ["hook", "first_seq", "last_seq", "attempts", "error", "at"],
            [(row.name, row.seq + 1, last, row.attempts, row.error or "", now)],
        )

    def letters(self, hook: str, after: int, limit: int) -> list[LetterRow]:
        """Answer what was given up, the oldest first."""
        sql = f"SELECT {_LETTER} FROM dead_letter WHERE hook = ? AND id > ? ORDER BY id LIMIT ?"
        return [_letter(row) for row in self.sql.rows(sql, hook, after, limit)]

    def counts(self) -> dict[str, int]:
        """Count what was given up, by webhook."""
        return dict(self.sql.rows("SELECT hook, count(*) FROM dead_letter GROUP BY hook"))

    def asked(self, limit: int) -> list[LetterRow]:
        """Answer what was asked for once more, the longest waiting first."""
        sql = (
            f"SELECT {_LETTER} FROM dead_letter WHERE asked_at IS NOT NULL "
            "ORDER BY asked_at, id LIMIT ?"
        )
        return [_letter(row) for row in self.sql.rows(sql, limit)]

    def ask(self, hook: str, letter_id: int, now: datetime) -> LetterRow | None:
        """Have something tried once more; None if it is not there."""
        row = self.sql.row(
            "UPDATE dead_letter SET asked_at = coalesce(asked_at, ?) WHERE hook = ? AND id = ? "
            f"RETURNING {_LETTER}",
            now, hook, letter_id,
        )  # fmt: skip
        return _letter(row) if row else None

    def keep(self, letter: LetterRow) -> None:
        """Store what became of another try that failed."""
        self.sql.execute(
            "UPDATE dead_letter SET first_seq = ?, attempts = ?, error = ?, asked_at = NULL "
            "WHERE id = ?",
            letter.first_seq, letter.attempts, letter.error, letter.id,
        )  # fmt: skip

    def remove(self, hook: str, letter_id: int) -> bool:
        """Forget something that was given up; tell whether it was there."""
        sql = "DELETE FROM dead_letter WHERE hook = ? AND id = ?"
        return self.sql.execute(sql, hook, letter_id) > 0


def _letter(row: tuple[object, ...]) -> LetterRow:
    return LetterRow._make((*row[:6], read_instant(row[6]), row[7] and read_instant(row[7])))
