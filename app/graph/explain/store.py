"""What the tables know about one ref, for explaining it: SQL and only SQL.

Everything happens in the one snapshot whose `Statements` are given. Times are aware, whatever the
database makes of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from app.db.instants import read_instant
from app.db.statements import Statements


class Claim(NamedTuple):
    """Who emitted a ref, and whether it is what counts."""

    id: int
    ref_id: int
    parent: int
    source: str
    location: str
    line: int
    is_claimed: bool
    was_valid: bool
    is_newest: bool  # or what was read last is not valid
    discovered_at: datetime


class LocationReading(NamedTuple):
    """How a Location was last read: what every place in it held, and when that was written down."""

    places: Mapping[str, str]
    good: bool
    read_at: datetime


class SourceRun(NamedTuple):
    """The newest run of a source."""

    state: str
    started_at: datetime
    finished_at: datetime | None
    error: str | None


class Change(NamedTuple):
    """A change of an entity, without its document."""

    seq: int
    at: datetime
    operation: str
    etag: str
    cause: Mapping[str, Any]


class Flawed(NamedTuple):
    """Something wrong, and with whom it is kept."""

    ref_id: int
    location: str
    line: int
    column: int
    pointer: str
    error: Mapping[str, Any]
    is_notice: bool
    at: datetime


class Presence(NamedTuple):
    """What is known of a ref: is it served, does anybody emit it, what happened to it last."""

    is_served: bool
    is_emitted: bool
    last: str | None


@dataclass(frozen=True, slots=True)
class ExplainStore:
    """Reads inside one snapshot."""

    sql: Statements

    def id_of(self, ref: str) -> int | None:
        """Answer the number of a ref that was ever mentioned."""
        row = self.sql.row("SELECT id FROM ref WHERE ref = ?", ref)
        return int(row[0]) if row else None

    def refs(self, ids: Iterable[int]) -> dict[int, str]:
        """Answer the refs behind numbers."""
        return dict(self.sql.rows("SELECT id, ref FROM ref WHERE id = ANY(?)", list(ids)))

    def claims(self, ref_ids: Iterable[int]) -> list[Claim]:
        """Answer every emission of these refs, the oldest first."""
        sql = (
            "SELECT id, ref_id, parent, source, location, line, claimed, document IS NOT NULL, "
            "unprocessed IS NULL, discovered_at FROM emission WHERE ref_id = ANY(?) ORDER BY id"
        )
        found = list[Claim]()
        for i, ref_id, parent, source, place, line, *flags, at in self.sql.rows(sql, list(ref_ids)):
            claimed, was_valid, is_newest = map(bool, flags)
            found.append(
                Claim(
                    i, ref_id, parent, source, place, line, claimed, was_valid, is_newest,
                    read_instant(at),
                )
            )  # fmt: skip
        return found

    def flaws(self, ref_ids: Iterable[int], limit: int) -> list[Flawed]:
        """Answer what is wrong with these refs, in the order it was found."""
        sql = (
            'SELECT e.ref_id, p.location, p.line, p."column", p.pointer, p.error, p.notice, p.at '
            "FROM problem p JOIN emission e ON e.id = p.emission_id WHERE e.ref_id = ANY(?) "
            "ORDER BY p.id LIMIT ?"
        )
        found = list[Flawed]()
        for row in self.sql.rows(sql, list(ref_ids), limit):
            holder, place, line, column, pointer, error, is_notice, at = row
            found.append(
                Flawed(
                    holder, place, line, column, pointer, orjson.loads(error), bool(is_notice),
                    read_instant(at),
                )
            )  # fmt: skip
        return found

    def readings(self, ref_ids: Iterable[int]) -> dict[int, LocationReading]:
        """Answer how Locations were last read."""
        sql = "SELECT ref_id, fingerprint, good, read_at FROM reading WHERE ref_id = ANY(?)"
        return {
            ref_id: LocationReading(
                orjson.loads(fingerprint) if fingerprint else {}, bool(good), read_instant(read_at)
            )
            for ref_id, fingerprint, good, read_at in self.sql.rows(sql, list(ref_ids))
        }

    def asked(self, ref_ids: Iterable[int]) -> dict[int, datetime]:
        """Answer since when Locations wait to be read again because a caller asked for it."""
        sql = "SELECT ref_id, asked_at FROM refresh WHERE ref_id = ANY(?)"
        return {ref_id: read_instant(at) for ref_id, at in self.sql.rows(sql, list(ref_ids))}

    def runs(self, sources: Iterable[str]) -> dict[str, SourceRun]:
        """Answer the newest run of each source."""
        sql = (
            "SELECT state, started_at, finished_at, error FROM run WHERE source = ? "
            "ORDER BY started_at DESC LIMIT 1"
        )
        found = dict[str, SourceRun]()
        for source in sources:
            row = self.sql.row(sql, source)
            if row:
                ended = None if row[2] is None else read_instant(row[2])
                found[source] = SourceRun(row[0], read_instant(row[1]), ended, row[3])
        return found

    def changes(self, ref_id: int, limit: int) -> list[Change]:
        """Answer the changes of an entity, the newest first."""
        sql = (
            "SELECT seq, at, operation, etag, cause FROM change WHERE entity_id = ? "
            "ORDER BY seq DESC LIMIT ?"
        )
        return [
            Change(seq, read_instant(at), operation, etag, orjson.loads(why))
            for seq, at, operation, etag, why in self.sql.rows(sql, ref_id, limit)
        ]

    def is_waiting(self, ref_id: int) -> bool:
        """Tell whether what is served of a ref is about to be made anew."""
        return self.sql.row("SELECT 1 FROM stitch WHERE ref_id = ?", ref_id) is not None

    def written_by(self, ref_id: int, limit: int) -> list[tuple[str, int]]:
        """Answer the edges that a ref's author wrote: type and target."""
        sql = "SELECT type, target FROM relation WHERE origin = ? ORDER BY type, target LIMIT ?"
        return [(kind, peer) for kind, peer in self.sql.rows(sql, ref_id, limit)]

    def written_about(self, ref_id: int, limit: int) -> list[tuple[str, int]]:
        """Answer the edges that others' authors wrote to a ref: type and origin."""
        sql = "SELECT type, origin FROM relation WHERE target = ? ORDER BY type, origin LIMIT ?"
        return [(kind, peer) for kind, peer in self.sql.rows(sql, ref_id, limit)]

    def document_of(self, emission_id: int) -> bytes | None:
        """Answer the last valid content of an emission (packed)."""
        row = self.sql.row("SELECT document FROM emission WHERE id = ?", emission_id)
        return row[0] if row else None

    def documents(self, ref_ids: Sequence[int]) -> dict[int, bytes]:
        """Answer what is served of these refs."""
        sql = "SELECT id, document FROM entity WHERE id = ANY(?)"
        return dict(self.sql.rows(sql, list(ref_ids)))

    def presence(self, ref_ids: Sequence[int]) -> dict[int, Presence]:
        """Answer what is known of refs."""
        ids = list(ref_ids)
        served = {row[0] for row in self.sql.rows("SELECT id FROM entity WHERE id = ANY(?)", ids)}
        absent = [ref_id for ref_id in ids if ref_id not in served]
        emitted = {
            row[0]
            for row in self.sql.rows("SELECT ref_id FROM emission WHERE ref_id = ANY(?)", absent)
        }
        last: dict[int, str] = dict(
            self.sql.rows(
                "SELECT entity_id, operation FROM change WHERE seq IN "
                "(SELECT max(seq) FROM change WHERE entity_id = ANY(?) GROUP BY entity_id)",
                absent,
            )
        )
        return {i: Presence(i in served, i in emitted, last.get(i)) for i in ids}
