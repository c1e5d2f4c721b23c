"""What claims come to, worked out the slow way: lists, loops and a walk from the roots."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any


@dataclass(eq=False)
class Said:
    """One emission: who says it, of what, where, and the last that was valid."""

    age: int
    ref: str
    parent: str  # the ref of a Location, or nothing for a source itself
    source: str
    place: str
    newest: Any
    valid: tuple[str, tuple[tuple[str, str], ...]] | None
    is_claimed: bool = False


@dataclass
class NaiveClaims:
    """The rules of claims without orphans."""

    said: list[Said] = field(default_factory=list)
    ages: Any = field(default_factory=count)

    def write(  # noqa: PLR0913, PLR0917 - what is said
        self,
        parent: str,
        source: str,
        ref: str,
        place: str,
        text: str,
        edges: tuple[tuple[str, str], ...],
        *,
        is_valid: bool,
    ) -> None:
        mine = self._find(parent, source, ref)
        newest = (place, text, edges, is_valid)
        if mine is not None and mine.newest == newest:
            return
        holder = self.holder(ref)
        if mine is None:
            mine = Said(next(self.ages), ref, parent, source, place, newest, None)
            self.said.append(mine)
        is_other = holder not in (None, mine)
        # One that says the same in the same place lets it be.
        if is_valid and not (is_other and (holder.place != place or holder.newest == newest)):
            for other in self.of(ref):
                other.is_claimed = other is mine
        mine.place, mine.newest = place, newest
        if is_valid:
            mine.valid = (text, edges)

    def release(self, parent: str, source: str, refs: Iterable[str]) -> None:
        places = {said.ref: said.place for said in self.said if said.is_claimed}
        self.said = [
            s for s in self.said if (s.parent, s.source) != (parent, source) or s.ref not in refs
        ]
        self._settle(places)

    def of(self, ref: str) -> list[Said]:
        return [said for said in self.said if said.ref == ref]

    def holder(self, ref: str) -> Said | None:
        return next((said for said in self.of(ref) if said.is_claimed), None)

    @property
    def served(self) -> dict[str, str]:
        return {s.ref: s.valid[0] for s in self.said if s.is_claimed and s.valid}

    @property
    def edges(self) -> set[tuple[str, str, str]]:
        claimed = [said for said in self.said if said.is_claimed and said.valid]
        return {(s.ref, kind, target) for s in claimed for kind, target in s.valid[1]}

    def _find(self, parent: str, source: str, ref: str) -> Said | None:
        found = (s for s in self.of(ref) if (s.parent, s.source) == (parent, source))
        return next(found, None)

    def _settle(self, places: dict[str, str]) -> None:
        """Drop what no root leads to, and let heirs take over, until nothing changes any more."""
        before = -1
        while before != len(self.said):
            before = len(self.said)
            reached = self._reached()
            self.said = [s for s in self.said if not s.parent or s.parent in reached]
            for ref in {said.ref for said in self.said}:
                # What only it leads to cannot speak for it.
                without = self._reached(but=ref)
                heirs = [
                    s for s in self.of(ref) if s.valid and (not s.parent or s.parent in without)
                ]
                if heirs and self.holder(ref) is None:
                    place = places.get(ref)
                    heir = min(heirs, key=lambda said: (said.place != place, said.age))
                    heir.is_claimed, places[ref] = True, heir.place
            # What is described by nothing valid leads nowhere.
            self.said = [s for s in self.said if not s.parent or self.holder(s.parent)]

    def _reached(self, but: str = "") -> set[str]:
        said = [said for said in self.said if said.ref != but]
        reached = {one.ref for one in said if not one.parent}
        for _ in said:
            reached |= {one.ref for one in said if one.parent in reached}
        return reached
