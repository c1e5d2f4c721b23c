"""Locations that callers registered: SQL and only SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from app.db import tables
from app.db.statements import Statements

_COLUMNS = "id, type, target, entity_ref"


class RegisteredLocation(NamedTuple):
    """A location that was registered, and the ref of the Location entity that stands for it."""

    id: str
    type: str
    target: str
    entity_ref: str

    @property
    def location(self) -> str:
        """Answer the location ref."""
        return f"{self.type}:{self.target}"


@dataclass(frozen=True, slots=True)
class RegisteredStore:
    """Reads and writes registered locations inside one transaction."""

    sql: Statements

    def all(self) -> list[RegisteredLocation]:
        """Answer every location, ordered by id."""
        return self._rows(f"SELECT {_COLUMNS} FROM location ORDER BY id")

    def page(self, after: str, limit: int) -> list[RegisteredLocation]:
        """Answer locations whose ids follow `after`, which may be anything, ordered by id."""
        sql = f"SELECT {_COLUMNS} FROM location WHERE id > ? ORDER BY id LIMIT ?"
        return self._rows(sql, after, limit)

    def count(self) -> int:
        """Count the locations."""
        row = self.sql.row("SELECT count(*) FROM location")
        return int(row[0]) if row else 0

    def get(self, location_id: str) -> RegisteredLocation | None:
        """Answer the location with this id."""
        return self._row(f"SELECT {_COLUMNS} FROM location WHERE id = ?", location_id)

    def find(self, location_type: str, target: str) -> RegisteredLocation | None:
        """Answer the location of this type and target."""
        sql = f"SELECT {_COLUMNS} FROM location WHERE type = ? AND target = ?"
        return self._row(sql, location_type, target)

    def named(self, entity_ref: str) -> RegisteredLocation | None:
        """Answer the location that this Location entity stands for."""
        sql = f"SELECT {_COLUMNS} FROM location WHERE entity_ref = ?"
        return self._row(sql, entity_ref)

    def insert(self, location: RegisteredLocation) -> None:
        """Add a location."""
        self.sql.insert(tables.location, ["id", "type", "target", "entity_ref"], [location])

    def move(self, location: RegisteredLocation) -> None:
        """Give the location with this id another type and target."""
        values = (location.type, location.target, location.id)
        self.sql.update(tables.location, ["type", "target"], [values])

    def delete(self, location_id: str) -> None:
        """Remove a location."""
        self.sql.execute("DELETE FROM location WHERE id = ?", location_id)

    def _row(self, sql: str, *values: object) -> RegisteredLocation | None:
        return next(iter(self._rows(sql, *values)), None)

    def _rows(self, sql: str, *values: object) -> list[RegisteredLocation]:
        return [RegisteredLocation(*row) for row in self.sql.rows(sql, *values)]
