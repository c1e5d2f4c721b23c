"""Serving earlier content again: what undoing a change writes.

Sources are declarative, so what is undone has to outlive their being read once more. An emission
keeps the hash of what its source said; only another content replaces what was restored here. What
was created is withheld in the same way, and what nobody emits any more comes back as an orphan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.catalog.claims import Claims
from app.catalog.emission import PROCESSING_STATUS, Counts, Emission, Parent
from app.catalog.processing import LOCATION
from app.catalog.stitching import ORPHAN_ANNOTATION, content_hash
from app.catalog.store import ORPHAN, ReadingRow
from app.model.uid import new_uid


@dataclass(frozen=True, slots=True)
class Restoring:
    """Writes earlier content inside one transaction; `finish` marks what has to be stitched."""

    claims: Claims
    causes: dict[int, str] = field(default_factory=dict)
    _asked: list[int] = field(default_factory=list)

    def put(self, ref_id: int, ref: str, content: Mapping[str, Any], source: str, why: str) -> None:
        """Serve this content for a ref, whatever is served or was said last."""
        store, pack = self.claims.store, self.claims.codec.pack
        document = orjson.dumps(content)
        holder = next((r for r in store.emissions_of([ref_id])[ref_id] if r.claimed), None)
        chosen = holder.id if holder is not None else self._bring_back(ref_id, document)
        if chosen is None:
            place = content["metadata"].get("annotations", {}).get(LOCATION, "")
            orphan = Emission(ref, str(place), 0, document, document)
            parent = Parent(source, ORPHAN)
            store.insert_emissions(
                parent, [(ref_id, orphan, True)], self.claims.pack, self.claims.now
            )
        else:
            store.replace_document(chosen, pack(document))
            store.set_claimed([chosen], claimed=True)
        self.causes[ref_id] = why
        self.claims.replace_edges(ref_id, self.claims.relations_of(content), self.causes)
        if ref.startswith("location:"):
            if not store.readings([ref_id]):
                # It was shown before, and what it leads to is read soon.
                store.save_reading(ReadingRow(ref_id, "", good=True), self.claims.now)
            store.forget_fingerprints([ref_id])
            self._asked.append(ref_id)

    def _bring_back(self, ref_id: int, document: bytes) -> int | None:
        """Bring back what was withheld; answer the emission to be served, if there is one."""
        store = self.claims.store
        withheld = store.withheld(ref_id)
        store.bring_back(emission_id for emission_id, _ in withheld)
        alike = (e for e, packed in withheld if self.claims.codec.unpack(packed) == document)
        return next(alike, withheld[0][0] if withheld else None)

    def take(self, ref_id: int, why: str) -> None:
        """Serve a ref no more, and nothing that it leads to."""
        store = self.claims.store
        rows = store.emissions_of([ref_id])[ref_id]
        store.delete_emissions(row.id for row in rows if row.parent == ORPHAN)
        store.withhold(row.id for row in rows if row.parent != ORPHAN and row.is_valid)
        self.causes[ref_id] = why
        below = self.claims.forget(ref_id, self.causes)
        self.claims.release(below, Counts(), why=why, eager=True)

    def finish(self) -> None:
        """Have all that changed stitched, and Locations that say something else now read."""
        self.claims.store.mark_dirty(self.causes)
        self.claims.store.ask_for(self._asked, new_uid(), self.claims.now)


def authored(document: bytes) -> dict[str, Any]:
    """Take out of what was served all that stitching had added (`app.catalog.stitching`)."""
    data: dict[str, Any] = orjson.loads(document)
    metadata = data["metadata"]
    metadata.pop("uid", None)
    etag = metadata.pop("etag", None)
    if etag is not None and etag != content_hash(data):
        metadata["etag"] = etag  # its author's own
    data.pop("relations", None)
    status = data.get("status")
    if isinstance(status, dict) and isinstance(status.get("items"), list):
        own = [item for item in status["items"] if not _is_processing_error(item)]
        if len(own) < len(status["items"]):
            data["status"] = {"items": own}
            if not own:
                del data["status"]
    annotations = metadata.get("annotations")
    if isinstance(annotations, dict):
        annotations.pop(ORPHAN_ANNOTATION, None)
    return data


def _is_processing_error(item: Any) -> bool:
    return isinstance(item, dict) and item.get("type") == PROCESSING_STATUS
