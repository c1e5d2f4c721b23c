"""Who may say what an entity is: writing emissions, and the claims between them.

A ref is claimed by its first valid emission. Emissions from the same location share the claim, the
newest content wins; one from another location is a recorded conflict that waits. When the claimed
emission goes, another one from its location takes over, or else the oldest that waits. Relations
and stitching follow the claim.

A change here writes emissions, edges and marks for stitching in the caller's transaction; what is
served changes when `app.catalog.stitching` works the marks off.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from app.catalog.causes import NOTHING, Trigger
from app.catalog.emission import Counts, Emission, Flaw, Parent
from app.catalog.relating import RelationFinder
from app.catalog.rivals import Rivals
from app.catalog.store import ORPHAN, Edge, EmissionRow, GraphStore
from app.db.documents import DocumentCodec


def _own(rows: Sequence[EmissionRow], parent: Parent) -> EmissionRow | None:
    return next((r for r in rows if (r.parent, r.source) == (parent.ref_id, parent.source)), None)


def _yields(
    rivals: Rivals, parent: Parent, offer: tuple[int, Emission], rows: Sequence[EmissionRow]
) -> bool:
    """Tell whether another file of the same parent has the name."""
    ref_id, emission = offer
    mine = _own(rows, parent)
    if mine is None or mine.location == emission.location:
        yields = False
    elif mine.is_valid:
        yields = rivals.holds_off(ref_id, emission, mine.location)
    else:
        yields = rivals.is_no_better(ref_id, emission, mine.location)
    if not yields:
        rivals.note(ref_id, emission)
    return yields


def _heir(rows: Sequence[EmissionRow], loser: EmissionRow | None) -> EmissionRow | None:
    """Answer who takes over: one from the same place, which has the name still, or the oldest."""
    valid = [row for row in rows if row.is_valid]
    same = (row for row in valid if loser is not None and row.location == loser.location)
    return next(same, valid[0] if valid else None)


def _dump(value: object) -> str:
    return orjson.dumps(value).decode()


@dataclass(slots=True)
class _Plan:
    """What a batch will write, collected before anything is written."""

    inserts: list[tuple[int, Emission, bool]] = field(default_factory=list)
    updates: list[tuple[int, Emission, bool]] = field(default_factory=list)
    unclaim: list[int] = field(default_factory=list)
    adopted: list[int] = field(default_factory=list)
    edges: dict[int, tuple[Emission, bool]] = field(default_factory=dict)
    causes: dict[int, str] = field(default_factory=dict)
    locations: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Claims:
    """Writes emissions inside one transaction."""

    store: GraphStore
    codec: DocumentCodec
    relations_of: RelationFinder
    now: datetime
    keeps_orphans: bool = False
    trigger: Trigger = NOTHING
    # What lost to another place, and which place that is.
    lost: list[tuple[Emission, str]] = field(default_factory=list)
    # Refs that nobody claims any more.
    gone: list[int] = field(default_factory=list)

    # -- writing ----------------------------------------------------------------------------------

    def write(
        self,
        parent: Parent,
        batch: Sequence[Emission],
        counts: Counts,
        rivals: Rivals | None = None,
    ) -> dict[str, int]:
        """Write what `parent` emits, leaving alone what did not change; answer the refs' numbers.

        A ref that occurs twice in a batch is written as it occurs last, as in Backstage. What has
        to leave its name to another of the `rivals` is not written, and not in the answer.
        """
        latest = {emission.ref: emission for emission in batch}
        # Locations are visited in this order, and the first one to name something has it.
        ids = self.store.ref_ids(latest)
        known = self.store.emissions_of(ids.values())
        plan = _Plan()
        for emission in latest.values():
            ref_id = ids[emission.ref]
            rows = known.get(ref_id, [])
            if rivals is not None and _yields(rivals, parent, (ref_id, emission), rows):
                del ids[emission.ref]
                continue
            counts.add([self._decide(plan, parent, (ref_id, emission), rows)])
        self._carry_out(plan, parent)
        counts.read += len(batch)
        return ids

    def _decide(
        self,
        plan: _Plan,
        parent: Parent,
        offer: tuple[int, Emission],
        rows: Sequence[EmissionRow],
    ) -> Counts:
        ref_id, emission = offer
        mine = _own(rows, parent)
        if mine is not None and mine.hash == emission.hash:
            return Counts(unchanged=1)
        holder = next((row for row in rows if row.claimed), None)
        claims = self._claims(emission, mine, holder)
        if claims and holder is not None and holder is not mine:
            plan.unclaim.append(holder.id)
        plan.adopted += [r.id for r in rows if r.parent == ORPHAN and r is not mine and claims]
        if mine is None:
            plan.inserts.append((ref_id, emission, claims))
        else:
            plan.updates.append((mine.id, emission, claims))
        if claims and emission.document is not None:
            plan.edges[ref_id] = (emission, holder is not None)
        if claims:
            plan.causes[ref_id] = self.trigger.cause(
                source=parent.source, location=emission.location, line=emission.line
            )
        if claims and emission.is_location:
            plan.locations.append(ref_id)
        loses = not claims and emission.document is not None
        if loses and holder is not None and holder.location != emission.location:
            self.lost.append((emission, holder.location))
            return Counts(written=1, conflicts=1)
        return Counts(written=1, invalid=bool(emission.flaws))

    def _claims(
        self, emission: Emission, mine: EmissionRow | None, holder: EmissionRow | None
    ) -> bool:
        """Tell whether this emission is what will be served.

        One that is not valid claims nothing new, but keeps what it had: its last valid content
        stays, with the error shown on it. One that says the same in the same place as the one that
        is served lets that be: so a Location whose file names itself is not taken from its parent.
        """
        if emission.document is None:
            return mine is not None and mine.claimed
        if holder is None or holder is mine or holder.parent == ORPHAN:
            return True
        return holder.location == emission.location and holder.hash != emission.hash

    def _carry_out(self, plan: _Plan, parent: Parent) -> None:
        store, pack = self.store, self.pack
        with store.sql.together():
            store.set_claimed(plan.unclaim, claimed=False)
            store.update_emissions(plan.updates, pack)
            store.insert_emissions(parent, plan.inserts, pack, self.now)
            store.delete_emissions(plan.adopted)
            if plan.locations:
                # What it says decides what is read, so it is read whether or not that changed.
                store.forget_fingerprints(plan.locations)
            self._write_problems(plan, parent)
            self._write_edges(plan)
            store.mark_dirty(plan.causes)

    def pack(self, document: bytes | None) -> bytes | None:
        """Pack a document, if there is one."""
        return None if document is None else self.codec.pack(document)

    def _write_problems(self, plan: _Plan, parent: Parent) -> None:
        flaws: dict[int, Sequence[Flaw]] = {row_id: e.flaws for row_id, e, _ in plan.updates}
        flawed = {ref_id: e.flaws for ref_id, e, _ in plan.inserts if e.flaws}
        for ref_id, rows in self.store.emissions_of(flawed).items() if flawed else ():
            for row in rows:
                if (row.parent, row.source) == (parent.ref_id, parent.source):
                    flaws[row.id] = flawed[ref_id]
        if flaws:
            self.store.replace_problems(flaws, _dump, self.now)

    def note_flaws(self, emission_id: int, flaws: Sequence[Flaw]) -> None:
        """Make these the flaws of an emission: what reading a Location met."""
        self.store.replace_problems({emission_id: flaws}, _dump, self.now)

    # -- relations --------------------------------------------------------------------------------

    def _write_edges(self, plan: _Plan) -> None:
        targets = self.store.ref_ids(
            {target for emission, _ in plan.edges.values() for _, target in emission.relations}
        )
        wanted = {
            Edge(ref_id, kind, targets[target])
            for ref_id, (emission, _) in plan.edges.items()
            for kind, target in emission.relations
        }
        replaced = [ref_id for ref_id, (_, had_edges) in plan.edges.items() if had_edges]
        present = self.store.edges_from(replaced) if replaced else set[Edge]()
        by = {ref_id: emission.ref for ref_id, (emission, _) in plan.edges.items()}
        self._change_edges(wanted - present, present - wanted, by, plan.causes)

    def _change_edges(
        self, added: set[Edge], gone: set[Edge], by: dict[int, str], causes: dict[int, str]
    ) -> None:
        self.store.delete_edges(gone)
        self.store.insert_edges(added)
        written = {origin: self.trigger.peer_cause(ref) for origin, ref in by.items()}
        for edge in (*added, *gone):
            if edge.target not in causes:
                causes[edge.target] = written.get(edge.origin, "{}")

    # -- removing ---------------------------------------------------------------------------------

    def release(
        self, rows: Iterable[EmissionRow], counts: Counts, *, why: str, eager: bool = False
    ) -> None:
        """Remove emissions: their parent does not emit them any more.

        The next claimant takes over. Without one the entity is removed, and so is what it emitted
        in turn; or it is kept as an orphan if orphans are kept and the removal is not `eager`.
        """
        waiting = list(rows)
        causes = dict[int, str]()
        while waiting:
            waiting = self._release_once(waiting, causes, counts, why=why, eager=eager)
        self.store.mark_dirty(causes)

    def _release_once(
        self,
        rows: Sequence[EmissionRow],
        causes: dict[int, str],
        counts: Counts,
        *,
        why: str,
        eager: bool,
    ) -> list[EmissionRow]:
        """Remove emissions; answer those that have to go as well because of it."""
        going = {row.id for row in rows}
        followers = list[EmissionRow]()
        for ref_id, present in self.store.emissions_of({row.ref_id for row in rows}).items():
            causes[ref_id] = why
            left = [row for row in present if row.id not in going]
            rooted = self._rooted(ref_id, left)
            if not rooted:
                # What is left only held itself up through what goes.
                followers += left
            loser = next((r for r in present if r.claimed and r.id in going), None)
            heir = _heir(rooted, loser)
            self.store.delete_emissions(
                row.id for row in present if row.id in going and row is not loser
            )
            if loser is None:
                followers += [] if left else self.forget(ref_id, causes)
            elif heir is not None:
                self._inherit(loser, heir, causes)
            elif self.keeps_orphans and not eager:
                self._abandon(loser, left)
            else:
                self.store.delete_emissions([loser.id])
                counts.removed += 1
                followers += self.forget(ref_id, causes)
            going |= {row.id for row in followers}
        return followers

    def _inherit(self, row: EmissionRow, heir: EmissionRow, causes: dict[int, str]) -> None:
        self.store.delete_emissions([row.id])
        self.store.set_claimed([heir.id], claimed=True)
        self.store.forget_fingerprints([row.ref_id])
        packed = self.store.document_of(heir.id)
        if packed is not None:
            data = orjson.loads(self.codec.unpack(packed))
            self.replace_edges(row.ref_id, self.relations_of(data), causes)

    def _abandon(self, row: EmissionRow, others: Sequence[EmissionRow]) -> None:
        self.store.delete_emissions(r.id for r in others if r.parent == ORPHAN)
        self.store.orphan([row.id])

    def forget(self, ref_id: int, causes: dict[int, str]) -> list[EmissionRow]:
        """Remove what a ref that is served no longer leaves behind; answer what it emitted."""
        self.gone.append(ref_id)
        self.replace_edges(ref_id, (), causes)
        self.store.forget_readings([ref_id])
        return self.store.emissions_below(ref_id)

    def replace_edges(
        self, ref_id: int, relations: Iterable[tuple[str, str]], causes: dict[int, str]
    ) -> None:
        """Make these the edges that a ref's author wrote; add to `causes` whom that changes."""
        relations = tuple(relations)
        targets = self.store.ref_ids({target for _, target in relations})
        wanted = {Edge(ref_id, kind, targets[target]) for kind, target in relations}
        present = self.store.edges_from([ref_id])
        by = self.store.refs([ref_id])
        self._change_edges(wanted - present, present - wanted, by, causes)

    def _rooted(self, ref_id: int, rows: list[EmissionRow]) -> list[EmissionRow]:
        """Leave out emissions that only hold each other up: Locations that name one another."""
        return [
            row
            for row in rows
            if row.parent in (ORPHAN, 0) or self._reaches_root(row.parent, {ref_id})
        ]

    def _reaches_root(self, ref_id: int, seen: set[int]) -> bool:
        frontier = [ref_id]
        while frontier:
            ref_id = frontier.pop()
            if ref_id in seen:
                continue
            seen.add(ref_id)
            for row in self.store.emissions_of([ref_id])[ref_id]:
                if row.parent in (0, ORPHAN):
                    return True
                frontier.append(row.parent)
        return False
