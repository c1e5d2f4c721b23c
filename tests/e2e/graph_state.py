"""What must hold of the graph's tables whatever happened to the processes that wrote them.

The rules are looked at with plain SQL and by composing anew what is served; nothing of the code
that writes the graph is asked, except how documents are packed and which relations have reverses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import zstandard

from app.catalog.change_store import ChangeStore
from app.db.documents import DocumentCodec
from app.db.engine import Database
from app.db.statements import Statements
from app.index.terms import encode_terms
from app.model.kinds import KindRegistry

# Each finds what must not be there. `stitch` holds the refs whose served state is still to follow.
RULES = {
    "a ref with two claimed emissions": (
        "SELECT ref_id, count(*) FROM emission WHERE claimed GROUP BY ref_id HAVING count(*) > 1"
    ),
    "a claimed emission without content": (
        "SELECT id FROM emission WHERE claimed AND document IS NULL"
    ),
    "a valid emission of a ref that nobody claims": (
        "SELECT e.id FROM emission e WHERE e.document IS NOT NULL AND NOT EXISTS "
        "(SELECT 1 FROM emission c WHERE c.ref_id = e.ref_id AND c.claimed)"
    ),
    "an emission without its parent": (
        "SELECT e.id FROM emission e WHERE e.parent > 0 AND NOT EXISTS "
        "(SELECT 1 FROM emission p WHERE p.ref_id = e.parent)"
    ),
    "an emission of an unknown ref": (
        "SELECT e.id FROM emission e WHERE e.ref_id NOT IN (SELECT id FROM ref)"
    ),
    "a relation whose origin is not claimed": (
        "SELECT r.origin, r.type FROM relation r WHERE NOT EXISTS "
        "(SELECT 1 FROM emission e WHERE e.ref_id = r.origin AND e.claimed)"
    ),
    "a relation to an unknown ref": (
        "SELECT r.origin FROM relation r WHERE r.target NOT IN (SELECT id FROM ref)"
    ),
    "an entity that is not searchable, or the other way round": (
        "SELECT e.id, s.id FROM entity e FULL JOIN searchable s ON s.id = e.id "
        "WHERE e.id IS NULL OR s.id IS NULL"
    ),
    "an entity that nobody claims, and that nobody is going to remove": (
        "SELECT n.id FROM entity n WHERE n.id NOT IN (SELECT ref_id FROM stitch) AND NOT EXISTS "
        "(SELECT 1 FROM emission e WHERE e.ref_id = n.id AND e.claimed)"
    ),
    "claimed content that is not served, and that nobody is going to serve": (
        "SELECT e.id FROM emission e JOIN ref r ON r.id = e.ref_id "
        "LEFT JOIN reading g ON g.ref_id = e.ref_id WHERE e.claimed "
        "AND e.ref_id NOT IN (SELECT id FROM entity) AND e.ref_id NOT IN (SELECT ref_id FROM stitch) "
        "AND (r.ref NOT LIKE 'location:%' OR g.good)"
    ),
    "an entity without the change that made it": (
        "SELECT n.id FROM entity n LEFT JOIN change c ON c.seq = n.seq WHERE c.seq IS NULL "
        "OR c.entity_id <> n.id OR c.operation = 'delete' OR c.etag <> n.etag"
    ),
    "an entity that changed after what is served": (
        "SELECT n.id FROM entity n WHERE n.seq <> "
        "(SELECT max(c.seq) FROM change c WHERE c.entity_id = n.id)"
    ),
    "something that is gone although its last change says otherwise": (
        "SELECT c.entity_id FROM change c WHERE c.operation <> 'delete' "
        "AND c.entity_id NOT IN (SELECT id FROM entity) AND c.seq = "
        "(SELECT max(o.seq) FROM change o WHERE o.entity_id = c.entity_id)"
    ),
    "a gap in the history, or a number that was not taken": (
        "SELECT seq, n, newest FROM sequence, (SELECT count(*) AS n, coalesce(max(seq), 0) AS newest,"
        " coalesce(min(seq), 1) AS first FROM change) c WHERE seq <> n OR seq <> newest "
        "OR first <> 1"
    ),
    "a problem of an emission that is gone": (
        "SELECT id FROM problem WHERE emission_id NOT IN (SELECT id FROM emission)"
    ),
    "how a Location was read that nobody emits": (
        "SELECT ref_id FROM reading WHERE ref_id NOT IN (SELECT ref_id FROM emission)"
    ),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What was committed at some moment: it has to be there ever after."""

    seq: int
    changes: tuple[tuple[Any, ...], ...]
    emissions: frozenset[tuple[Any, ...]]
    entities: frozenset[tuple[Any, ...]]
    waiting: int

    @property
    def stage(self) -> str:
        """Say how far an ingest was."""
        stage = "stitching" if self.seq else "reading" if self.emissions else "nothing yet"
        return f"{stage}: {len(self.emissions)} emissions, {len(self.entities)} entities"


def look(database: Database) -> Seen:
    """Look at what is committed now, in one snapshot."""
    with database.snapshot() as connection:
        sql = Statements.on(connection)
        (seq,) = sql.row("SELECT seq FROM sequence") or (0,)
        (waiting,) = sql.row("SELECT count(*) FROM stitch") or (0,)
        return Seen(
            seq,
            tuple(sql.rows("SELECT seq, entity_id, operation, etag FROM change ORDER BY seq")),
            frozenset(sql.rows("SELECT ref_id, parent, source FROM emission")),
            frozenset(sql.rows("SELECT s.id, s.uid FROM searchable s")),
            waiting,
        )


def losses(before: Seen, after: Seen, *, may_remove: bool) -> Iterator[str]:
    """Say what was committed and is there no longer."""
    if after.changes[: len(before.changes)] != before.changes:
        yield "changes are lost"
    if not may_remove and not before.emissions <= after.emissions:
        yield f"{len(before.emissions - after.emissions)} emissions are lost"
    if not may_remove and not before.entities <= after.entities:
        yield f"{len(before.entities - after.entities)} entities are lost, or have another uid"


def faults(database: Database) -> Iterator[str]:
    """Say what is wrong with the graph as it is committed now."""
    with database.snapshot() as connection:
        sql = Statements.on(connection)
        if database.is_sqlite:
            for check in ("integrity_check", "foreign_key_check"):
                found = [row for row in sql.rows(f"PRAGMA {check}") if row != ("ok",)]
                if found:
                    yield f"{check}: {found[:5]}"
        for name, text in RULES.items():
            if found := sql.rows(text):
                yield f"{len(found)} times {name}: {found[:5]}"
        yield from _stale(sql, ChangeStore(sql, DocumentCodec(database)))


def _stale(sql: Statements, changes: ChangeStore) -> Iterator[str]:
    """Compose anew what does not wait for it, and say what is served otherwise."""
    unpack = _unpacker(sql)
    reverse = KindRegistry().reverse
    edges = defaultdict[int, set[tuple[str, str]]](set)
    refs = dict(sql.rows("SELECT id, ref FROM ref"))
    for origin, kind, target in sql.rows("SELECT origin, type, target FROM relation"):
        edges[origin].add((kind, refs[target]))
        edges[target].add((reverse[kind], refs[origin]))
    waiting = {row[0] for row in sql.rows("SELECT ref_id FROM stitch")}
    contents = dict(sql.rows("SELECT ref_id, document FROM emission WHERE claimed"))
    newest = dict[int, int](sql.rows("SELECT id, seq FROM entity"))
    history = changes.documents(newest.values())
    rows = sql.rows(
        "SELECT n.id, n.document, s.uid, s.terms FROM entity n JOIN searchable s ON s.id = n.id"
    )
    for ref_id, document, uid, terms in rows:
        ref, served = refs[ref_id], orjson.loads(document)
        if history.get(newest[ref_id]) != bytes(document):
            yield f"{ref} is served otherwise than its newest change says"
        if served["metadata"]["uid"] != uid or encode_terms(served) != bytes(terms):
            yield f"{ref} is searchable otherwise than it is served"
        if ref_id in waiting:
            continue
        drawn = [{"type": kind, "targetRef": peer} for kind, peer in sorted(edges[ref_id])]
        if served["relations"] != drawn:
            yield f"{ref} is served with relations that are not in the graph"
        if served.get("spec") != orjson.loads(unpack(contents[ref_id])).get("spec"):
            yield f"{ref} is served otherwise than it was emitted"


def _unpacker(sql: Statements) -> Any:
    known = {0: zstandard.ZstdDecompressor()}
    for name, content in sql.rows("SELECT id, content FROM dictionary"):
        known[name] = zstandard.ZstdDecompressor(zstandard.ZstdCompressionDict(bytes(content)))

    def unpack(frame: bytes) -> bytes:
        name = zstandard.get_frame_parameters(frame).dict_id
        return known[name].decompress(frame, max_output_size=1 << 26)

    return unpack


def content(database: Database) -> dict[str, Any]:
    """Answer all that the graph says, without what differs from one database to another."""
    with database.snapshot() as connection:
        sql = Statements.on(connection)
        refs = {0: "", -1: "nobody", **dict(sql.rows("SELECT id, ref FROM ref"))}
        return {
            "entities": dict(_entities(sql)),
            "relations": {
                (refs[o], kind, refs[t])
                for o, kind, t in sql.rows("SELECT origin, type, target FROM relation")
            },
            "emissions": {
                (refs[ref], refs[parent], *rest, bytes(digest))
                for ref, parent, *rest, digest in sql.rows(
                    "SELECT ref_id, parent, source, location, line, claimed, document IS NULL, "
                    "unprocessed IS NULL, hash FROM emission"
                )
            },
            "problems": {
                (refs[ref], *rest)
                for ref, *rest in sql.rows(
                    'SELECT e.ref_id, p.location, p.line, p."column", p.pointer, p.error '
                    "FROM problem p JOIN emission e ON e.id = p.emission_id"
                )
            },
            "readings": {
                (refs[ref], bool(good))
                for ref, good in sql.rows("SELECT ref_id, good FROM reading")
            },
            "waiting": sql.rows("SELECT ref_id FROM stitch"),
        }


def _entities(sql: Statements) -> Iterator[tuple[str, Any]]:
    for ref, document in sql.rows(
        "SELECT r.ref, n.document FROM entity n JOIN ref r ON r.id = n.id"
    ):
        entity = orjson.loads(document)
        entity["metadata"].pop("uid")
        yield ref, entity


def differences(one: dict[str, Any], other: dict[str, Any]) -> Iterator[str]:
    """Say how two answers of `content` differ."""
    for name, left in one.items():
        right = other[name]
        if left == right:
            continue
        if isinstance(left, dict):
            changed = [key for key in left.keys() | right.keys() if left.get(key) != right.get(key)]
            for key in sorted(changed)[:3]:
                yield f"{name} {key}: {left.get(key)} is {right.get(key)}"
            yield f"{name}: {len(changed)} differ"
        else:
            missing, more = list(set(left) - set(right)), list(set(right) - set(left))
            yield f"{name}: {len(missing)} are missing {missing[:3]}, {len(more)} more {more[:3]}"
