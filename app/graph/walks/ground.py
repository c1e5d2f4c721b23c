"""What a walk stands on: the relations and documents of one state of the graph.

The present is read from the `relation` table, of which a walk needs a few rows per entity. Of a
past state only documents are left, and they have the same relations in them. Either way a relation
is seen as the entity shows it: an edge that another entity's author wrote has its reverse type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol, TypeAlias, TypeVar

import orjson

from app.catalog import reading
from app.catalog.snapshot import Snapshots
from app.errors import InputError
from app.graph.walks.store import Types, WalkStore
from app.index.index import EntityIndex
from app.model.ref import EntityRef

T = TypeVar("T")


Link: TypeAlias = tuple[int, str, int]
"""A relation as an entity shows it: that entity, the type, the other one. There are many."""


class Ground(Protocol):
    """One state of the graph."""

    def ask(self, question: Callable[[EntityIndex], T]) -> T:
        """Put a question to the index, before anything else is read."""

    def refs(self, ids: Sequence[int]) -> Mapping[int, str]:
        """Answer the refs of entities."""

    def edges_of(self, ids: Sequence[int], types: Types, most: int) -> list[Link]:
        """Answer the relations that entities show, at most `most` of them, in no order."""

    def documents(self, ids: Sequence[int]) -> list[bytes | None]:
        """Answer the ready JSON of entities, in the order asked for."""


class Moments(Protocol):
    """Past states of the graph."""

    def resolve(self, text: str, name: str = "asOf") -> int:
        """Answer the sequence number that a caller means; raises `InputError`."""

    def at(self, seq: int) -> reading.Snapshots:
        """Answer what opens snapshots of the state at `seq`."""


@dataclass(frozen=True, slots=True)
class Grounds:
    """Opens the present, and the past if it is kept."""

    live: Snapshots
    reverse: Mapping[str, str]
    past: Moments | None = None

    @contextmanager
    def open(self, as_of: str | None = None) -> Iterator[Ground]:
        """Open a state for this thread and this block; raises `InputError`."""
        if as_of is None:
            with self.live.open() as snapshot:
                yield LiveGround(snapshot, WalkStore(snapshot.store.sql), self.reverse)
            return
        if self.past is None:
            raise InputError("asOf cannot be answered: no past states are kept")
        with self.past.at(self.past.resolve(as_of)).open() as past:
            yield DocumentGround(past)


@dataclass(frozen=True, slots=True)
class LiveGround:
    """The present."""

    snapshot: reading.Snapshot
    store: WalkStore
    reverse: Mapping[str, str]

    def ask(self, question: Callable[[EntityIndex], T]) -> T:
        """Put a question to the index, before anything else is read."""
        return self.snapshot.ask(question)

    def refs(self, ids: Sequence[int]) -> Mapping[int, str]:
        """Answer the refs of entities."""
        return self.store.refs(ids)

    def edges_of(self, ids: Sequence[int], types: Types, most: int) -> list[Link]:
        """Answer the relations that entities show, at most `most` of them, in no order."""
        links: list[Link] = self.store.written_by(ids, types, most)
        reverse = self.reverse
        wanted = None
        if types is not None:
            wanted = frozenset(kind for kind, shown in reverse.items() if shown in types)
        for target, kind, origin in self.store.written_about(ids, wanted, most - len(links)):
            # A kind that is configured no more may have left edges that have no reverse any more.
            if kind in reverse:
                links.append((target, reverse[kind], origin))
        return links

    def documents(self, ids: Sequence[int]) -> list[bytes | None]:
        """Answer the ready JSON of entities, in the order asked for."""
        return self.snapshot.documents(ids)


@dataclass(frozen=True, slots=True)
class DocumentGround:
    """A state of which there are documents; each is read once."""

    snapshot: reading.Snapshot
    known: dict[int, tuple[str, list[tuple[str, str]]]] = field(default_factory=dict)

    def ask(self, question: Callable[[EntityIndex], T]) -> T:
        """Put a question to the index, before anything else is read."""
        return self.snapshot.ask(question)

    def refs(self, ids: Sequence[int]) -> Mapping[int, str]:
        """Answer the refs of entities."""
        self._read(ids)
        return {i: self.known[i][0] for i in ids if i in self.known}

    def edges_of(self, ids: Sequence[int], types: Types, most: int) -> list[Link]:
        """Answer the relations that entities show, at most `most` of them, in no order."""
        self._read(ids)
        shown = [
            (i, kind, ref)
            for i in ids
            if i in self.known
            for kind, ref in self.known[i][1]
            if types is None or kind in types
        ]
        targets = self._ids_of({ref for _, _, ref in shown})
        links = ((i, kind, targets[ref]) for i, kind, ref in shown if ref in targets)
        return list(islice(links, max(most, 0)))

    def documents(self, ids: Sequence[int]) -> list[bytes | None]:
        """Answer the ready JSON of entities, in the order asked for."""
        return self.snapshot.documents(ids)

    def _ids_of(self, refs: Iterable[str]) -> dict[str, int]:
        wanted = list(refs)
        found = self.snapshot.ask(lambda index: index.ids_of(wanted))
        return {ref: i for ref, i in zip(wanted, found, strict=True) if i is not None}

    def _read(self, ids: Sequence[int]) -> None:
        new = [i for i in ids if i not in self.known]
        for entity_id, document in zip(new, self.snapshot.documents(new), strict=True):
            if document is not None:
                self.known[entity_id] = _read(orjson.loads(document))


def _read(data: Mapping[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    metadata = data["metadata"]
    ref = EntityRef.of(data["kind"], metadata.get("namespace"), metadata["name"])
    relations = [(r["type"], r["targetRef"]) for r in data.get("relations", ())]
    return str(ref), relations
