"""What the graph holds of a source after it was ingested: SQL and only SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from app.db.statements import Statements


@dataclass(frozen=True, slots=True)
class StandingProblem:
    """What is wrong at a place, now: also if the place was not read again by the last run."""

    location: str
    line: int
    column: int
    ref: str
    message: str

    @property
    def place(self) -> str:
        """`line:column`, as far as it is known."""
        return ":".join(str(number) for number in (self.line, self.column) if number)


@dataclass(frozen=True, slots=True)
class SourceStore:
    """Reads inside one transaction."""

    sql: Statements

    def kinds(self, source: str) -> Mapping[str, int]:
        """Count the served entities of a source by kind."""
        rows = self.sql.rows(
            "SELECT r.ref FROM emission e JOIN ref r ON r.id = e.ref_id "
            "WHERE e.source = ? AND e.claimed",
            source,
        )
        return Counter(str(ref).partition(":")[0] for (ref,) in rows)

    def conflicts(self, source: str) -> list[StandingProblem]:
        """Answer valid entities that are not served, because another place had them first."""
        rows = self.sql.rows(
            "SELECT r.ref, e.location, e.line, c.location FROM emission e "
            "JOIN emission c ON c.ref_id = e.ref_id AND c.claimed AND c.location <> e.location "
            "JOIN ref r ON r.id = e.ref_id "
            "WHERE e.source = ? AND NOT e.claimed AND e.unprocessed IS NULL AND e.parent >= 0 "
            "ORDER BY e.location, e.line",
            source,
        )
        return [
            StandingProblem(str(location), line or 0, 0, str(ref), f"{holder} has it already")
            for ref, location, line, holder in rows
        ]

    def problems(self, source: str) -> list[StandingProblem]:
        """Answer what is wrong with what a source holds, in the order of places."""
        rows = self.sql.rows(
            'SELECT p.location, p.line, p."column", r.ref, p.error FROM problem p '
            "JOIN emission e ON e.id = p.emission_id JOIN ref r ON r.id = e.ref_id "
            "WHERE e.source = ? ORDER BY p.location, p.line, p.id",
            source,
        )
        return [
            _standing(str(location), line or 0, column or 0, str(ref), orjson.loads(error))
            for location, line, column, ref, error in rows
        ]


def _standing(
    location: str, line: int, column: int, ref: str, error: Mapping[str, str]
) -> StandingProblem:
    words = f"{error.get('name', 'Error')}: {error.get('message', '')}"
    return StandingProblem(location, line, column, error.get("ref", ref), words)
