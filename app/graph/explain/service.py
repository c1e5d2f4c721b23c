"""Explaining an entity: who claims it, what is wrong, where its parts come from, and what is next.

What the tables know is read in one snapshot (`_look`), the author's file after it, and both become
structured parts and plain sentences (`app.graph.explain.sentences`). A ref that has no entity is
explained as well: what is known of it may be the answer that somebody looks for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.catalog.snapshot import Snapshots
from app.catalog.store import ORPHAN
from app.db.documents import DocumentCodec
from app.errors import CallboardError, NotFoundError
from app.graph.explain.explanation import Explanation
from app.graph.explain.known import Known, Link, Schedule
from app.graph.explain.origins import AuthorsText, field_origins
from app.graph.explain.relations import RelationNotes
from app.graph.explain.store import Claim, ExplainStore, Flawed
from app.graph.walks.walk import Sight
from app.index.index import EntityIndex
from app.model.kinds import KindRegistry
from app.model.query import EVERYTHING, Expression
from app.scm.globs import has_magic
from app.scm.readers import Readers

MOST_CHANGES = 1000
MOST_PROBLEMS = 1000
MOST_LEVELS = 32
# Larger files are not read once more to tell the lines of fields.
MOST_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Explainer:
    """Explains entities."""

    snapshots: Snapshots
    codec: DocumentCodec
    kinds: KindRegistry
    readers: Readers
    schedule: Schedule = field(default_factory=Schedule)

    def explain(self, ref: str, visible: Expression = EVERYTHING) -> dict[str, Any]:
        """Explain a canonical ref.

        Raises `NotFoundError` for callers who may not see everything, and not this: to them what
        does not exist and what is hidden look the same.
        """
        known = self._look(ref, visible)
        served = known.served
        fields = () if served is None else field_origins(served, known.emitted, self._text(known))
        return Explanation(known, self.schedule).parts(list(fields))

    def _look(self, ref: str, visible: Expression) -> Known:
        def ask(index: EntityIndex) -> tuple[int, int | None, Sight]:
            return index.seq, index.id_of(ref), index.match(visible)

        with self.snapshots.open() as snapshot:
            seq, entity_id, seen = snapshot.ask(ask)
            sees_all = visible == EVERYTHING
            if not sees_all and (entity_id is None or entity_id not in seen):
                raise NotFoundError(f"No such entity {ref}")
            store = ExplainStore(snapshot.store.sql)
            known = Known(ref, seq)
            ref_id = store.id_of(ref)
            if ref_id is not None:
                document = snapshot.documents([ref_id])[0]
                known.served = None if document is None else orjson.loads(document)
                self._look_up(known, store, ref_id, None if sees_all else seen)
            return known

    def _look_up(self, known: Known, store: ExplainStore, ref_id: int, seen: Sight | None) -> None:
        known.claims = store.claims([ref_id])
        known.changes = store.changes(ref_id, MOST_CHANGES)
        known.flaws = store.flaws([ref_id], MOST_PROBLEMS)
        known.is_waiting = store.is_waiting(ref_id)
        known.reading = store.readings([ref_id]).get(ref_id)
        known.chains = self._chains(store, known.claims, seen)
        known.runs = store.runs(dict.fromkeys(claim.source for claim in known.claims))
        holder = next((claim for claim in known.claims if claim.is_claimed), None)
        if holder is not None:
            known.emitted = self._emitted(store, holder)
        known.relations = RelationNotes.read(store, self.kinds, ref_id, known.served)

    def _emitted(self, store: ExplainStore, claim: Claim) -> Mapping[str, Any]:
        packed = store.document_of(claim.id)
        data: Mapping[str, Any] = orjson.loads(self.codec.unpack(packed)) if packed else {}
        return data

    def _chains(
        self, store: ExplainStore, claims: Sequence[Claim], seen: Sight | None
    ) -> dict[int, Sequence[Link]]:
        """Follow every claim up to its source, Location by Location; answer by claim.

        What is above a Location that may not be seen is not shown either.
        """
        held = dict[int, Claim]()
        level = {claim.parent for claim in claims if claim.parent > 0}
        for _ in range(MOST_LEVELS):
            level -= set(held)
            if not level:
                break
            found = [
                claim
                for claim in store.claims(level)
                if claim.is_claimed and (seen is None or claim.ref_id in seen)
            ]
            held |= {claim.ref_id: claim for claim in found}
            level = {claim.parent for claim in found if claim.parent > 0}
        above = list(held)
        refs, readings, asked = store.refs(above), store.readings(above), store.asked(above)
        flaws = dict[int, list[Flawed]]()
        for flaw in store.flaws(above, MOST_PROBLEMS):
            flaws.setdefault(flaw.ref_id, []).append(flaw)
        links = {
            ref_id: Link(refs[ref_id], claim, readings.get(ref_id), asked.get(ref_id),
                         flaws.get(ref_id, ()))
            for ref_id, claim in held.items()
        }  # fmt: skip
        return {claim.id: _chain(claim, links) for claim in claims}

    def _text(self, known: Known) -> AuthorsText | None:
        """Read the author's file if that is cheap: a small one on this machine."""
        holder = next((claim for claim in known.claims if claim.is_claimed), None)
        if holder is None or not holder.line or holder.parent == ORPHAN:
            return None
        kind, _, path = holder.location.partition(":")
        if kind != "file" or has_magic(path):
            return None
        try:
            reading = self.readers.of(kind).read(path)
        except CallboardError:
            return None
        if reading is None or sum(len(content.data) for content in reading.contents) > MOST_BYTES:
            return None
        return AuthorsText.find(reading.contents[0].data, holder.line, known.ref)


def _chain(claim: Claim, links: Mapping[int, Link]) -> list[Link]:
    """List the Locations above a claim, the nearest first; each once, whatever names whom."""
    chain, met = list[Link](), set[int]()
    while (parent := claim.parent) > 0 and parent in links and parent not in met:
        met.add(parent)
        chain.append(links[parent])
        claim = links[parent].claim
    return chain
