"""What processing makes of one entity, ready to be written to the graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import xxhash

from app.model.problem import Problem

PROCESSING_STATUS = "backstage.io/catalog-processing"


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why an emission is not valid: the error in its served form, and the place it points to.

    A notice is told wherever problems are listed, but is no failure: no status shows it.
    """

    error: Mapping[str, Any]
    problem: Problem
    is_notice: bool = False

    @property
    def status_item(self) -> dict[str, Any]:
        """The item that an entity with this flaw shows in its `status` (CONTRACT 1.5)."""
        return status_item(self.error)


def status_item(error: Mapping[str, Any]) -> dict[str, Any]:
    """Make the `status` item of a serialised processing error."""
    return {
        "type": PROCESSING_STATUS,
        "level": "error",
        "message": f"{error['name']}: {error['message']}",
        "error": error,
    }


@dataclass(frozen=True, slots=True)
class Emission:
    """One entity as its parent emitted it.

    `document` is the processed JSON, or None if the entity is not valid; then `unprocessed` is what
    is shown instead. `relations` are the edges its author wrote: (type, target ref).
    """

    ref: str
    location: str
    line: int
    document: bytes | None
    unprocessed: bytes
    relations: tuple[tuple[str, str], ...] = ()
    flaws: tuple[Flaw, ...] = ()

    @property
    def hash(self) -> bytes:
        """Tell this emission from any other content of the same ref, flaws included."""
        digest = xxhash.xxh3_128(self.location.encode())
        digest.update(self.unprocessed)
        digest.update(self.document or b"")
        for flaw in self.flaws:
            digest.update(orjson.dumps(flaw.error))
        return digest.digest()

    @property
    def is_location(self) -> bool:
        """Tell whether this entity may emit others."""
        return self.ref.startswith("location:")


@dataclass(frozen=True, slots=True)
class Parent:
    """Who emits: a source itself (`ref_id` 0) or a Location that belongs to it."""

    source: str
    ref_id: int = 0


@dataclass(slots=True)
class Counts:
    """What a run did to the graph."""

    read: int = 0
    unchanged: int = 0
    written: int = 0
    invalid: int = 0
    conflicts: int = 0
    removed: int = 0

    def add(self, others: Iterable[Counts]) -> None:
        """Add up what several steps did."""
        for other in others:
            for name in self.__slots__:
                setattr(self, name, getattr(self, name) + getattr(other, name))

    def as_dict(self) -> dict[str, int]:
        """Answer the counts by name, for a run row or a log line."""
        return {name: getattr(self, name) for name in self.__slots__}
