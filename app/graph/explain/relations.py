"""The relations of an entity, explained: who wrote each, in which field, and which lead nowhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from app.graph.explain.origins import relation_pointers
from app.graph.explain.store import ExplainStore, Presence
from app.model.kinds import KindRegistry

# A group may have ten thousand members; who asks about one of them asks the graph, not for reasons.
MOST_RELATIONS = 500
MOST_MENTIONS = 20


@dataclass(frozen=True, slots=True)
class Writer:
    """An entity whose author drew a relation: in which field, and where that stands."""

    ref: str
    pointer: str = ""
    location: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class RelationNote:
    """A relation as it is served, and the one or two who wrote it."""

    type: str
    target: str
    written_by: tuple[Writer, ...]
    presence: Presence


@dataclass(frozen=True, slots=True)
class RelationNotes:
    """The relations of an entity; `mentions` are the refs that name one that does not exist."""

    notes: Sequence[RelationNote] = ()
    is_complete: bool = True
    mentions: Sequence[Writer] = ()

    @classmethod
    def read(
        cls,
        store: ExplainStore,
        kinds: KindRegistry,
        ref_id: int,
        served: Mapping[str, Any] | None,
    ) -> RelationNotes:
        """Read what is known of the relations of a ref."""
        if served is None:
            edges = store.written_about(ref_id, MOST_MENTIONS + 1)
            writers = _Writers.read(store, kinds, [ref_id, *(peer for _, peer in edges)])
            ref = writers.refs[ref_id]
            named = [writers.of(peer, (kind, ref)) for kind, peer in edges[:MOST_MENTIONS]]
            return cls(mentions=named, is_complete=len(edges) <= MOST_MENTIONS)
        return cls._of_served(store, kinds, ref_id)

    @classmethod
    def _of_served(cls, store: ExplainStore, kinds: KindRegistry, ref_id: int) -> RelationNotes:
        own = store.written_by(ref_id, MOST_RELATIONS + 1)
        others = store.written_about(ref_id, MOST_RELATIONS + 1)
        is_complete = len(own) + len(others) <= MOST_RELATIONS
        edges = [(kind, peer, True) for kind, peer in own]
        edges += [(kinds.reverse[k], peer, False) for k, peer in others if k in kinds.reverse]
        edges = edges[:MOST_RELATIONS]
        peers = list(dict.fromkeys(peer for _, peer, _ in edges))
        writers = _Writers.read(store, kinds, [ref_id, *peers])
        presence = store.presence(peers)
        found = dict[tuple[str, int], list[Writer]]()
        for kind, peer, is_own in edges:
            by, at = (ref_id, peer) if is_own else (peer, ref_id)
            written = kind if is_own else kinds.reverse[kind]
            found.setdefault((kind, peer), []).append(writers.of(by, (written, writers.refs[at])))
        notes = [
            RelationNote(kind, writers.refs[peer], tuple(by), presence[peer])
            for (kind, peer), by in found.items()
        ]
        return cls(sorted(notes, key=lambda note: (note.type, note.target)), is_complete)

    @property
    def dangling(self) -> list[RelationNote]:
        """Answer those that lead to nothing."""
        return [note for note in self.notes if not note.presence.is_served]


@dataclass(frozen=True, slots=True)
class _Writers:
    """Entities as writers of relations."""

    refs: Mapping[int, str]
    places: Mapping[int, tuple[str, int]]
    pointers: Mapping[int, Mapping[tuple[str, str], str]]

    @classmethod
    def read(cls, store: ExplainStore, kinds: KindRegistry, ids: Sequence[int]) -> _Writers:
        places = {c.ref_id: (c.location, c.line) for c in store.claims(ids) if c.is_claimed}
        pointers = dict[int, Mapping[tuple[str, str], str]]()
        for entity_id, document in store.documents(ids).items():
            pointers[entity_id] = relation_pointers(kinds, orjson.loads(document))
        return cls(store.refs(ids), places, pointers)

    def of(self, entity_id: int, relation: tuple[str, str]) -> Writer:
        """Describe an entity as the writer of a relation: of this type, to this ref."""
        pointer = self.pointers.get(entity_id, {}).get(relation, "")
        return Writer(self.refs[entity_id], pointer, *self.places.get(entity_id, ("", 0)))
