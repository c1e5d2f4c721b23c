"""The graph's tables as the write side sees them: SQL and only SQL.

Every method works inside the transaction of the `Statements` it is given; none begins or ends one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from app.catalog.emission import Emission, Flaw, Parent
from app.db import tables
from app.db.instants import read_instant
from app.db.statements import Statements

ORPHAN = -1
Packer: TypeAlias = Callable[[bytes | None], bytes | None]
Dumper: TypeAlias = Callable[[Any], str]


class EmissionRow(NamedTuple):
    """An emission as it is stored, without its documents."""

    id: int
    ref_id: int
    parent: int
    source: str
    location: str
    hash: bytes
    claimed: bool
    is_valid: bool


class PendingRow(NamedTuple):
    """An emission that is not served, with its documents (packed)."""

    id: int
    ref: str
    location: str
    discovered_at: datetime
    unprocessed: bytes | None
    document: bytes | None


class ProblemRow(NamedTuple):
    """What is wrong at a place, the error as JSON."""

    location: str
    line: int
    column: int
    pointer: str
    error: str
    is_notice: bool
    at: datetime | str


class Claimed(NamedTuple):
    """The content that is served for a ref."""

    emission_id: int
    ref_id: int
    parent: int
    location: str
    source: str
    line: int
    document: bytes
    is_newest: bool  # or the newest is not valid


class ReadingRow(NamedTuple):
    """How a Location was last read, and by which reading; one that ever was good stays so."""

    ref_id: int
    fingerprint: str
    good: bool
    reader: str = ""


class Edge(NamedTuple):
    """A relation as its origin's author wrote it."""

    origin: int
    type: str
    target: int


_EMISSION = "id, ref_id, parent, source, location, hash, claimed, document IS NOT NULL"


@dataclass(frozen=True, slots=True)
class GraphStore:
    """Reads and writes refs, emissions, relations, entities and changes in one transaction.

    `marked` are the refs that it was told to have stitched.
    """

    sql: Statements
    marked: set[int] = field(default_factory=set)

    # -- refs -------------------------------------------------------------------------------------

    def ref_ids(self, refs: Iterable[str]) -> dict[str, int]:
        """Answer the number of every ref, giving new ones to those never mentioned before.

        They are in the order that was asked for, as what is visited in their order is.
        """
        wanted = list(refs)
        found = self.known_refs(wanted)
        missing = [(ref,) for ref in wanted if ref not in found]
        if missing:
            self.sql.insert(tables.ref, ["ref"], missing, conflict="DO NOTHING")
            found |= self.known_refs([ref for (ref,) in missing])
        return {ref: found[ref] for ref in wanted}

    def known_refs(self, refs: Sequence[str]) -> dict[str, int]:
        """Answer the numbers of those refs that have one."""
        return dict(self.sql.rows("SELECT ref, id FROM ref WHERE ref = ANY(?)", list(refs)))

    def refs(self, ids: Iterable[int]) -> dict[int, str]:
        """Answer the refs behind numbers."""
        return dict(self.sql.rows("SELECT id, ref FROM ref WHERE id = ANY(?)", list(ids)))

    # -- emissions --------------------------------------------------------------------------------

    def emissions_of(self, ref_ids: Iterable[int]) -> dict[int, list[EmissionRow]]:
        """Answer every emission of these refs, whoever emitted it; the oldest first."""
        sql = f"SELECT {_EMISSION} FROM emission WHERE ref_id = ANY(?) ORDER BY id"
        found = defaultdict[int, list[EmissionRow]](list)
        for row in self.sql.rows(sql, list(ref_ids)):
            found[row[1]].append(EmissionRow(*row))
        return found

    def emissions_by(self, parent: Parent) -> list[EmissionRow]:
        """Answer everything that `parent` emits."""
        sql = f"SELECT {_EMISSION} FROM emission WHERE parent = ? AND source = ?"
        return [EmissionRow(*row) for row in self.sql.rows(sql, parent.ref_id, parent.source)]

    def emissions_below(self, ref_id: int) -> list[EmissionRow]:
        """Answer everything that the Location `ref_id` emits, for whatever source; oldest first."""
        sql = f"SELECT {_EMISSION} FROM emission WHERE parent = ? ORDER BY id"
        return [EmissionRow(*row) for row in self.sql.rows(sql, ref_id)]

    def sources(self) -> list[str]:
        """Answer every source that emits something itself."""
        sql = "SELECT DISTINCT source FROM emission WHERE parent = 0"
        return [row[0] for row in self.sql.rows(sql)]

    def forget_push(self, source: str) -> None:
        """Forget which version a source pushed last."""
        self.sql.execute("DELETE FROM push WHERE source = ?", source)

    def count_emissions(self, source: str) -> int:
        """Count what a source emits itself."""
        sql = "SELECT count(*) FROM emission WHERE parent = 0 AND source = ?"
        row = self.sql.row(sql, source)
        return int(row[0]) if row else 0

    def insert_emissions(
        self,
        parent: Parent,
        rows: Iterable[tuple[int, Emission, bool]],
        pack: Packer,
        now: datetime,
    ) -> None:
        """Add emissions: (ref number, what was emitted, is it the claimed one)."""
        self.sql.insert(
            tables.emission,
            ["ref_id", "parent", "source", "location", "line", "hash", "claimed", "document",
             "unprocessed", "discovered_at"],
            [
                (ref_id, parent.ref_id, parent.source, storable_text(e.location), e.line, e.hash,
                 claimed, pack(e.document), None if e.document else pack(e.unprocessed), now)
                for ref_id, e, claimed in rows
            ],
        )  # fmt: skip

    def update_emissions(self, rows: Iterable[tuple[int, Emission, bool]], pack: Packer) -> None:
        """Replace emissions by id; what is not valid keeps its last valid document."""
        valid, broken = list[tuple[object, ...]](), list[tuple[object, ...]]()
        for emission_id, e, claimed in rows:
            common = (storable_text(e.location), e.line, e.hash, claimed)
            if e.document is None:
                broken.append((*common, pack(e.unprocessed), emission_id))
            else:
                valid.append((*common, pack(e.document), None, emission_id))
        names = ["location", "line", "hash", "claimed"]
        self.sql.update(tables.emission, [*names, "document", "unprocessed"], valid)
        self.sql.update(tables.emission, [*names, "unprocessed"], broken)

    def withheld(self, ref_id: int) -> list[tuple[int, bytes]]:
        """Answer valid content (packed) that is not served because that was undone, by emission."""
        sql = (
            "SELECT e.id, e.unprocessed FROM emission e WHERE e.ref_id = ? AND e.document IS NULL "
            "AND e.unprocessed IS NOT NULL AND NOT EXISTS "
            "(SELECT 1 FROM problem p WHERE p.emission_id = e.id) ORDER BY e.id"
        )
        return [(row[0], row[1]) for row in self.sql.rows(sql, ref_id)]

    def withhold(self, emission_ids: Iterable[int]) -> None:
        """Serve emissions no more, as if their content was not valid, until it is another one."""
        self.sql.execute(
            "UPDATE emission SET unprocessed = coalesce(unprocessed, document), document = NULL, "
            "claimed = ? WHERE id = ANY(?)",
            False,  # noqa: FBT003 - a value of the row
            list(emission_ids),
        )

    def bring_back(self, emission_ids: Iterable[int]) -> None:
        """Take back `withhold`; the claim is given apart."""
        self.sql.execute(
            "UPDATE emission SET document = unprocessed, unprocessed = NULL WHERE id = ANY(?)",
            list(emission_ids),
        )

    def replace_document(self, emission_id: int, document: bytes) -> None:
        """Serve another content (packed) than was emitted, until something else is emitted."""
        self.sql.update(tables.emission, ["document"], [(document, emission_id)])

    def set_claimed(self, emission_ids: Iterable[int], *, claimed: bool) -> None:
        """Give or take the claim of emissions; take before giving, a ref has one."""
        rows = [(claimed, emission_id) for emission_id in emission_ids]
        self.sql.update(tables.emission, ["claimed"], rows)

    def orphan(self, emission_ids: Iterable[int]) -> None:
        """Keep emissions that nobody emits any more."""
        self.sql.update(tables.emission, ["parent"], [(ORPHAN, e) for e in emission_ids])

    def delete_emissions(self, emission_ids: Iterable[int]) -> None:
        """Remove emissions and their problems."""
        ids = list(emission_ids)
        self.sql.execute("DELETE FROM problem WHERE emission_id = ANY(?)", ids)
        self.sql.execute("DELETE FROM emission WHERE id = ANY(?)", ids)

    def claimed(self, ref_ids: Iterable[int]) -> list[Claimed]:
        """Answer the content that is served for these refs (packed)."""
        sql = (
            "SELECT id, ref_id, parent, location, source, line, document, unprocessed IS NULL "
            "FROM emission "
            "WHERE claimed AND ref_id = ANY(?)"
        )
        return [Claimed(*row) for row in self.sql.rows(sql, list(ref_ids))]

    def document_of(self, emission_id: int) -> bytes | None:
        """Answer the last valid document of an emission (packed)."""
        row = self.sql.row("SELECT document FROM emission WHERE id = ?", emission_id)
        return row[0] if row else None

    def emission(self, emission_id: int) -> EmissionRow | None:
        """Answer one emission."""
        row = self.sql.row(f"SELECT {_EMISSION} FROM emission WHERE id = ?", emission_id)
        return EmissionRow(*row) if row else None

    def unprocessed(self, *, served: bool) -> list[PendingRow]:
        """Answer emissions that are not what is served for their ref, with or without an entity."""
        flawed = "EXISTS (SELECT 1 FROM problem p WHERE p.emission_id = e.id AND NOT p.notice)"
        newest = f"(e.unprocessed IS NOT NULL OR {flawed})"
        test = f"{newest} AND n.id IS NOT NULL" if served else "n.id IS NULL"
        sql = (
            "SELECT e.id, r.ref, e.location, e.discovered_at, e.unprocessed, e.document "
            "FROM emission e JOIN ref r ON r.id = e.ref_id LEFT JOIN entity n ON n.id = e.ref_id "
            f"WHERE {test} ORDER BY e.id"
        )
        return [
            PendingRow._make((*row[:3], read_instant(row[3]), *row[4:]))
            for row in self.sql.rows(sql)
        ]

    # -- problems ---------------------------------------------------------------------------------

    def replace_problems(
        self, flaws: Mapping[int, Sequence[Flaw]], dump: Dumper, now: datetime
    ) -> None:
        """Make these the only problems of these emissions."""
        self.sql.execute("DELETE FROM problem WHERE emission_id = ANY(?)", list(flaws))
        self.sql.insert(
            tables.problem,
            ["emission_id", "location", "line", "column", "pointer", "error", "notice", "at"],
            [
                (emission_id, storable_text(p.location), p.line, p.column, storable_text(p.pointer),
                 dump(flaw.error), flaw.is_notice, now)
                for emission_id, found in flaws.items()
                for flaw in found
                for p in (flaw.problem,)
            ],
        )  # fmt: skip

    def errors_of(self, emission_ids: Iterable[int]) -> dict[int, list[str]]:
        """Answer the serialised errors of emissions, in the order they were found."""
        sql = (
            "SELECT emission_id, error FROM problem WHERE emission_id = ANY(?) AND NOT notice "
            "ORDER BY id"
        )
        found = defaultdict[int, list[str]](list)
        for emission_id, error in self.sql.rows(sql, list(emission_ids)):
            found[emission_id].append(error)
        return found

    def problems_of(self, emission_ids: Iterable[int]) -> dict[int, list[ProblemRow]]:
        """Answer all that is known to be wrong with emissions, in the order it was found."""
        sql = (
            'SELECT emission_id, location, line, "column", pointer, error, notice, at '
            "FROM problem WHERE emission_id = ANY(?) ORDER BY id"
        )
        found = defaultdict[int, list[ProblemRow]](list)
        for emission_id, *row in self.sql.rows(sql, list(emission_ids)):
            found[emission_id].append(ProblemRow(*row))
        return found

    # -- relations --------------------------------------------------------------------------------

    def edges_from(self, origins: Iterable[int]) -> set[Edge]:
        """Answer the edges that these refs' authors wrote."""
        sql = "SELECT origin, type, target FROM relation WHERE origin = ANY(?)"
        return {Edge(*row) for row in self.sql.rows(sql, list(origins))}

    def insert_edges(self, edges: Iterable[Edge]) -> None:
        """Add edges that are not there."""
        self.sql.insert(tables.relation, ["origin", "type", "target"], list(edges))

    def delete_edges(self, edges: Iterable[Edge]) -> None:
        """Remove edges."""
        for edge in edges:
            self.sql.execute(
                "DELETE FROM relation WHERE origin = ? AND type = ? AND target = ?", *edge
            )

    def relations_around(
        self, ids: Sequence[int]
    ) -> tuple[list[tuple[int, str, str]], list[tuple[int, str, str]]]:
        """Answer (outgoing, incoming) edges of refs: whose, the type as written, the peer's ref."""
        outgoing = self.sql.rows(
            "SELECT origin, type, target FROM relation WHERE origin = ANY(?)", ids
        )
        incoming = self.sql.rows(
            "SELECT target, type, origin FROM relation WHERE target = ANY(?)", ids
        )
        refs = self.refs({edge[2] for edge in (*outgoing, *incoming)})
        return (
            [(mine, kind, refs[peer]) for mine, kind, peer in outgoing],
            [(mine, kind, refs[peer]) for mine, kind, peer in incoming],
        )

    # -- stitching --------------------------------------------------------------------------------

    def mark_dirty(self, causes: Mapping[int, str]) -> None:
        """Ask for refs to be stitched; the first cause of a wait is the one that counts."""
        self.marked.update(causes)
        self.sql.insert(
            tables.stitch, ["ref_id", "cause"], list(causes.items()), conflict="DO NOTHING"
        )

    def dirty(self, limit: int) -> dict[int, str]:
        """Answer refs that wait to be stitched, with the cause."""
        return dict(
            self.sql.rows("SELECT ref_id, cause FROM stitch ORDER BY ref_id LIMIT ?", limit)
        )

    def dirty_among(self, ids: Sequence[int]) -> dict[int, str]:
        """Answer which of these refs wait to be stitched, with the cause."""
        sql = "SELECT ref_id, cause FROM stitch WHERE ref_id = ANY(?)"
        return dict(self.sql.rows(sql, list(ids)))

    def count_dirty(self) -> int:
        """Count the refs that wait to be stitched."""
        row = self.sql.row("SELECT count(*) FROM stitch")
        return int(row[0]) if row else 0

    def all_dirty(self) -> list[int]:
        """Answer every ref that waits to be stitched."""
        return [row[0] for row in self.sql.rows("SELECT ref_id FROM stitch")]

    def waiting_of(self, ids: Sequence[int]) -> list[int]:
        """Answer which of these refs wait to be stitched."""
        sql = "SELECT ref_id FROM stitch WHERE ref_id = ANY(?)"
        return [row[0] for row in self.sql.rows(sql, list(ids))]

    def clear_dirty(self, ids: Sequence[int]) -> None:
        """Take refs off the queue."""
        self.sql.execute("DELETE FROM stitch WHERE ref_id = ANY(?)", list(ids))

    def served(self, ids: Sequence[int]) -> dict[int, tuple[str, str]]:
        """Answer (uid, etag) of those refs that have an entity."""
        sql = (
            "SELECT e.id, s.uid, e.etag FROM entity e JOIN searchable s ON s.id = e.id "
            "WHERE e.id = ANY(?)"
        )
        rows = self.sql.rows(sql, list(ids))
        return {row[0]: (row[1], row[2]) for row in rows}

    def id_of_uid(self, uid: str) -> int | None:
        """Answer which ref the entity with this uid has."""
        row = self.sql.row("SELECT id FROM searchable WHERE uid = ?", uid)
        return int(row[0]) if row else None

    def served_document(self, ref_id: int) -> bytes | None:
        """Answer the ready JSON of an entity."""
        row = self.sql.row("SELECT document FROM entity WHERE id = ?", ref_id)
        return row[0] if row else None

    def insert_entities(
        self, rows: list[tuple[int, str, int, bytes]], searchable: list[tuple[int, str, bytes]]
    ) -> None:
        """Add entities: (id, etag, seq, document) and (id, uid, terms)."""
        self.sql.insert(tables.entity, ["id", "etag", "seq", "document"], rows)
        self.sql.insert(tables.searchable, ["id", "uid", "terms"], searchable)

    def update_entities(
        self, rows: list[tuple[str, int, bytes, int]], searchable: list[tuple[bytes, int]]
    ) -> None:
        """Replace entities: (etag, seq, document, id) and (terms, id)."""
        self.sql.update(tables.entity, ["etag", "seq", "document"], rows)
        self.sql.update(tables.searchable, ["terms"], searchable)

    def delete_entities(self, ids: Sequence[int]) -> None:
        """Remove entities; their history stays."""
        self.sql.execute("DELETE FROM searchable WHERE id = ANY(?)", list(ids))
        self.sql.execute("DELETE FROM entity WHERE id = ANY(?)", list(ids))

    def log(
        self, rows: list[tuple[int, int, str, str, bytes | None, int | None, str, datetime]]
    ) -> None:
        """Append changes: seq, entity, operation, etag, packed document, base, cause, time."""
        self.sql.insert(
            tables.change,
            ["seq", "entity_id", "operation", "etag", "document", "base", "cause", "at"],
            rows,
        )

    # -- locations that were read -----------------------------------------------------------------

    def readings(self, ref_ids: Iterable[int]) -> dict[int, ReadingRow]:
        """Answer how those Locations were read that were read before."""
        sql = "SELECT ref_id, fingerprint, good, reader FROM reading WHERE ref_id = ANY(?)"
        return {row[0]: ReadingRow(*row) for row in self.sql.rows(sql, list(ref_ids))}

    def all_readings(self) -> list[ReadingRow]:
        """Answer how every Location was last read."""
        sql = "SELECT ref_id, fingerprint, good, reader FROM reading ORDER BY ref_id"
        return [ReadingRow(*row) for row in self.sql.rows(sql)]

    def save_reading(self, reading: ReadingRow, now: datetime) -> None:
        """Remember what a Location held when it was read."""
        self.sql.insert(
            tables.reading,
            ["ref_id", "fingerprint", "good", "reader", "read_at"],
            [(*reading, now)],
            conflict="(ref_id) DO UPDATE SET fingerprint = excluded.fingerprint, "
            "good = excluded.good, reader = excluded.reader, read_at = excluded.read_at",
        )

    def ask_for(self, ref_ids: Iterable[int], request: str, now: datetime) -> None:
        """Ask the background worker to read Locations again."""
        self.sql.insert(
            tables.refresh,
            ["ref_id", "request", "asked_at"],
            [(ref_id, request, now) for ref_id in sorted(set(ref_ids))],
            conflict="(ref_id) DO UPDATE SET request = excluded.request",
        )

    def forget_fingerprints(self, ref_ids: Iterable[int]) -> None:
        """Make Locations be read again even if they look unchanged, or are just being read."""
        sql = "UPDATE reading SET fingerprint = '', reader = '' WHERE ref_id = ANY(?)"
        self.sql.execute(sql, list(ref_ids))

    def forget_readings(self, ref_ids: Iterable[int]) -> None:
        """Forget Locations that were removed."""
        self.sql.execute("DELETE FROM reading WHERE ref_id = ANY(?)", list(ref_ids))


def storable_text(text: str) -> str:
    """Make a text as it is stored: PostgreSQL knows no NUL characters. It is only shown."""
    return text.replace("\0", "\ufffd")
