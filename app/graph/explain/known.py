"""What is known of a ref when it is explained, as it was read from one snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.catalog.store import ORPHAN
from app.graph.explain.relations import RelationNotes
from app.graph.explain.store import Change, Claim, Flawed, LocationReading, SourceRun


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often things are read: sources by name, and Locations in between (None: never)."""

    sources: Mapping[str, timedelta | None] = field(default_factory=dict)
    locations: timedelta | None = None
    files: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A Location on the way from a source to an entity."""

    ref: str
    claim: Claim
    reading: LocationReading | None
    asked_at: datetime | None
    flaws: Sequence[Flawed]

    def flaws_about(self, location: str) -> list[Flawed]:
        """Answer what may keep an entity in the file `location` from being read.

        That is what is wrong with the file, with the Location itself, and with targets that could
        not be read; other files of the same Location are none of the entity's business.
        """
        places = self.reading.places if self.reading else {}
        return [
            flaw
            for flaw in self.flaws
            if not flaw.is_notice
            and (
                flaw.location in {location, self.claim.location} or places.get(flaw.location) == ""
            )
        ]


@dataclass(slots=True)
class Known:
    """What one snapshot knows of a ref."""

    ref: str
    seq: int
    claims: Sequence[Claim] = ()
    changes: Sequence[Change] = ()
    flaws: Sequence[Flawed] = ()
    chains: Mapping[int, Sequence[Link]] = field(default_factory=dict)
    runs: Mapping[str, SourceRun] = field(default_factory=dict)
    served: Mapping[str, Any] | None = None
    emitted: Mapping[str, Any] = field(default_factory=dict)
    is_waiting: bool = False
    reading: LocationReading | None = None
    relations: RelationNotes = field(default_factory=RelationNotes)

    @property
    def holder(self) -> Claim | None:
        """Answer the emission whose content is, or would be, served."""
        return next((claim for claim in self.claims if claim.is_claimed), None)

    @property
    def is_orphan(self) -> bool:
        """Tell whether nobody emits it any more."""
        return self.holder is not None and self.holder.parent == ORPHAN
