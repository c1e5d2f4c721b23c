"""What callers may change in the graph: refresh, delete, and the unprocessed entities."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from app.catalog.causes import called_by
from app.catalog.emission import Counts
from app.catalog.stitching import Stitcher
from app.catalog.store import ORPHAN, GraphStore, PendingRow, ProblemRow
from app.catalog.writing import GraphWriter
from app.db.instants import instant
from app.errors import NotFoundError
from app.model.uid import new_uid

_ID = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class CatalogCommands:
    """Carries out what was asked for, and brings what is served up to date before it returns."""

    writer: GraphWriter
    stitcher: Stitcher

    def refresh(self, ref: str) -> None:
        """Ask for an entity's Locations to be read again, up to the root; does not wait.

        Raises `NotFoundError` for a ref that nobody emits.
        """
        with self.writer.begin() as claims:
            store = claims.store
            ref_id = store.known_refs([ref]).get(ref)
            rows = [] if ref_id is None else store.emissions_of([ref_id])[ref_id]
            # An orphan has nowhere to be read from, and is not found either (as in Backstage).
            if ref_id is None or all(row.parent == ORPHAN for row in rows):
                raise NotFoundError(f"Entity {ref} not found")
            store.ask_for(_locations_above(store, ref_id), new_uid(), claims.now)

    def delete(self, uid: str, actor: str = "") -> None:
        """Delete an entity; what still emits it emits it again when it is next read."""
        trigger = called_by(actor)
        with self.writer.begin(trigger) as claims:
            store = claims.store
            ref_id = store.id_of_uid(uid)
            if ref_id is None:
                return
            rows = store.emissions_of([ref_id])[ref_id]
            parents = [row.parent for row in rows if row.parent > 0]
            claims.release(rows, Counts(), why=trigger.cause(), eager=True)
            self.stitcher.stitch_in(store, claims.gone)
            store.forget_fingerprints(parents)
            store.ask_for(parents, new_uid(), claims.now)
        self.stitcher.stitch_all()

    # -- unprocessed entities ---------------------------------------------------------------------

    def pending(self, owner: str | None = None) -> list[dict[str, Any]]:
        """List what was read but is not served: it never was valid, or waits for its name."""
        return self._unprocessed(served=False, owner=owner)

    def failed(self, owner: str | None = None) -> list[dict[str, Any]]:
        """List what is served although its newest content is not valid."""
        return self._unprocessed(served=True, owner=owner)

    def forget(self, entity_id: str, actor: str = "") -> None:
        """Remove an unprocessed entity by the id that the lists show."""
        if not _ID.fullmatch(entity_id):
            return
        trigger = called_by(actor)
        with self.writer.begin(trigger) as claims:
            row = claims.store.emission(int(entity_id))
            if row is not None:
                claims.release([row], Counts(), why=trigger.cause(), eager=True)
                self.stitcher.stitch_in(claims.store, claims.gone)
        self.stitcher.stitch_all()

    def _unprocessed(self, *, served: bool, owner: str | None) -> list[dict[str, Any]]:
        with self.writer.look() as store:
            rows = store.unprocessed(served=served)
            problems = store.problems_of(row.id for row in rows)
        found = [self._describe(row, problems.get(row.id, [])) for row in rows]
        if owner is None:
            return found
        return [item for item in found if _owner(item["unprocessed_entity"]) == owner]

    def _describe(self, row: PendingRow, problems: Sequence[ProblemRow]) -> dict[str, Any]:
        packed = row.unprocessed or row.document
        content = orjson.loads(self.writer.codec.unpack(packed)) if packed else {}
        return {
            "entity_id": str(row.id),
            "entity_ref": row.ref,
            "unprocessed_entity": content,
            "location_key": row.location,
            "last_discovery_at": instant(row.discovered_at),
            "next_update_at": None,
            "errors": [_error(problem) for problem in problems if not problem.is_notice],
        }


def _locations_above(store: GraphStore, ref_id: int) -> list[int]:
    """Walk up from an entity to the roots; answer every Location met, itself included."""
    found, frontier = set[int](), {ref_id}
    while frontier:
        found |= frontier
        rows = store.emissions_of(frontier)
        frontier = {row.parent for some in rows.values() for row in some if row.parent > 0} - found
    refs = store.refs(found)
    return sorted(i for i in found if refs[i].startswith("location:"))


def _error(problem: ProblemRow) -> dict[str, Any]:
    """Say of an error, besides what Backstage says, where it is; a line of 0 is not known."""
    place = {"location": problem.location, "line": problem.line, "column": problem.column}
    return {**orjson.loads(problem.error), **place, "pointer": problem.pointer}


def _owner(content: dict[str, Any]) -> object:
    spec = content.get("spec")
    return spec.get("owner") if isinstance(spec, dict) else None
