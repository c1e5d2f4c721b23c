"""The history of one entity: its changes, and what differs between two of its versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from app.catalog.change_store import ChangeRow, ChangeStore
from app.catalog.reading import storable
from app.catalog.snapshot import Snapshots
from app.db.documents import DocumentCodec
from app.db.instants import instant
from app.errors import InputError, NotFoundError
from app.graph.history.diffing import differences
from app.graph.history.versions import visible_versions
from app.graph.moments import read_moment, seq_of
from app.model.query import EVERYTHING, Expression
from app.model.ref import EntityRef

MOST_POINTERS = 100
LONGEST_CURSOR = 18
DELETED = "delete"


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """Some changes of an entity, the newest first; with pointers to what changed if asked for."""

    limit: int = 50
    cursor: str | None = None
    summary: bool = False


@dataclass(frozen=True, slots=True)
class _Known:
    """An entity that was ever served."""

    store: ChangeStore
    id: int
    ref: str
    # The change before which nothing is known any more, and the newest one.
    first: int
    newest: int


@dataclass(frozen=True, slots=True)
class History:
    """Answers what became of entities, also of those that are gone.

    Whoever may see an entity as it is now, or was last, is shown its history: those versions of it
    that they might have seen then.
    """

    snapshots: Snapshots
    codec: DocumentCodec

    def changes(
        self, ref: EntityRef, request: HistoryRequest, visible: Expression = EVERYTHING
    ) -> dict[str, Any]:
        """Answer changes of an entity. Raises `NotFoundError` and `InputError`."""
        before = _read_cursor(request.cursor)
        with self.snapshots.open() as snapshot:
            store = ChangeStore(snapshot.store.sql, self.codec)
            known = _known(store, str(ref), visible)
            until = known.newest if before is None else min(before - 1, known.newest)
            rows = [
                row
                for row in store.changes_of(known.id, until, request.limit + 1)
                if row.seq >= known.first
            ]
            page, older = rows[: request.limit], rows[1:]
            documents = dict[int, bytes]()
            if request.summary or visible != EVERYTHING:
                documents = store.documents(row.seq for row in rows)
        seen = visible_versions(known.id, documents, visible)
        items = list[dict[str, Any]]()
        for place, row in enumerate(page):
            previous = older[place].seq if place < len(older) else None
            shown = previous if row.operation == DELETED else row.seq
            if visible != EVERYTHING and shown not in seen:
                continue
            item = _json(row)
            if request.summary:
                had = documents.get(previous) if previous in seen else None
                item["changed"] = _pointers(had, documents.get(row.seq))
            items.append(item)
        info = {"nextCursor": str(page[-1].seq)} if len(rows) > len(page) else {}
        return {"entityRef": known.ref, "items": items, "pageInfo": info}

    def diff(
        self,
        ref: EntityRef,
        since: str | None = None,
        until: str | None = None,
        visible: Expression = EVERYTHING,
    ) -> dict[str, Any]:
        """Answer what differs between two states of an entity, by default of its last change."""
        old = None if since is None else read_moment(since, "from")
        new = None if until is None else read_moment(until, "to")
        with self.snapshots.open() as snapshot:
            store = ChangeStore(snapshot.store.sql, self.codec)
            known = _known(store, str(ref), visible)
            to = self._version(known, new, "to", known.newest)
            before = to.seq - 1 if to is not None else 0
            if old is None and before < store.span().oldest:
                raise InputError("What was before is not known any more; give a later from or to")
            frm = self._version(known, old, "from", before)
            wanted = [v.seq for v in (frm, to) if v is not None and v.operation != DELETED]
            documents = store.documents(wanted)
        if visible_versions(known.id, documents, visible) != documents.keys():
            raise _unknown(known.ref)
        parts = [
            orjson.loads(documents[v.seq]) if v is not None and v.seq in documents else None
            for v in (frm, to)
        ]
        return {
            "entityRef": known.ref,
            "from": None if frm is None else _json(frm),
            "to": None if to is None else _json(to),
            "changes": [difference.json() for difference in differences(*parts)],
        }

    @staticmethod
    def _version(
        known: _Known, moment: int | datetime | None, name: str, default: int
    ) -> ChangeRow | None:
        """Answer the change that made what an entity was at a moment, if it was ever anything."""
        seq = default if moment is None else seq_of(known.store, moment, name)
        found = known.store.changes_of(known.id, seq, 1)
        return found[0] if found else None


def _known(store: ChangeStore, ref: str, visible: Expression) -> _Known:
    """Find an entity whose newest version the caller may see; raises `NotFoundError`."""
    entity_id = store.known_id(ref) if storable(ref) else None
    span = store.span()
    rows = [] if entity_id is None else store.changes_of(entity_id, span.newest, 2)
    if entity_id is None or not rows:
        raise _unknown(ref)
    last = [row.seq for row in rows if row.operation != DELETED][:1]
    if visible != EVERYTHING and not visible_versions(entity_id, store.documents(last), visible):
        raise _unknown(ref)
    first = store.states([entity_id], span.oldest).get(entity_id, 0)
    return _Known(store, entity_id, ref, first, rows[0].seq)


def _unknown(ref: str) -> NotFoundError:
    return NotFoundError(f"No history of {ref} is known")


def _json(row: ChangeRow) -> dict[str, Any]:
    return {
        "seq": row.seq,
        "at": instant(row.at),
        "operation": row.operation,
        "etag": row.etag,
        "cause": orjson.loads(row.cause),
    }


def _pointers(before: bytes | None, after: bytes | None) -> list[str]:
    found = differences(_parsed(before), _parsed(after))
    return [difference.pointer for difference in found[:MOST_POINTERS]]


def _parsed(document: bytes | None) -> Mapping[str, Any] | None:
    return None if document is None else orjson.loads(document)


def _read_cursor(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > LONGEST_CURSOR:
        raise InputError("Malformed cursor: not one that a page of a history has")
    return int(cursor)
