"""The graph as it was: snapshots of past states, with an index for each that is asked for.

An index of the past is a fork of the live one, told how every entity was that changed since
(`app.index.fork`). A few are remembered. Documents come from the history.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson

from app.catalog.change_store import ChangeStore
from app.catalog.snapshot import Snapshot, Snapshots
from app.db.documents import DocumentCodec
from app.errors import InputError
from app.graph.moments import read_moment, seq_of
from app.index.build import IndexRow
from app.index.index import EntityIndex
from app.index.terms import encode_terms
from app.model.batching import batches

T = TypeVar("T")
BATCH = 500
# With the terms of all of them in memory at once, more than this is too much for a web process.
MOST_CHANGED = 300_000
REMEMBERED = 4
ROOM = 256_000_000


@dataclass(slots=True)
class Past:
    """Past states; one per process. At most `room` bytes of indexes are remembered, or one."""

    live: Snapshots
    codec: DocumentCodec
    remembered: int = REMEMBERED
    room: int = ROOM
    most_changed: int = MOST_CHANGED
    _indexes: OrderedDict[int, EntityIndex] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    # One is made at a time: it takes memory and a processor.
    _making: threading.RLock = field(default_factory=threading.RLock)

    def resolve(self, text: str, name: str = "asOf") -> int:
        """Answer the sequence number that a parameter means; raises `InputError`."""
        moment = read_moment(text, name)
        with self.live.open() as present:
            return seq_of(ChangeStore(present.store.sql, self.codec), moment, name)

    def at(self, seq: int) -> PastSnapshots:
        """Answer what opens snapshots of the state at `seq`."""
        return PastSnapshots(self, seq)

    def index_at(self, seq: int, present: Snapshot) -> EntityIndex:
        """Answer the index of a state, making it if it is not remembered."""
        known = self._remembered(seq)
        if known is not None:
            return known
        with self._making:
            known = self._remembered(seq)
            return known or self._remember(seq, self._make(seq, present))

    def _remembered(self, seq: int) -> EntityIndex | None:
        with self._lock:
            index = self._indexes.get(seq)
            if index is not None:
                self._indexes.move_to_end(seq)
            return index

    def _remember(self, seq: int, index: EntityIndex) -> EntityIndex:
        with self._lock:
            self._indexes[seq] = index
            while len(self._indexes) > 1 and (
                len(self._indexes) > self.remembered or self._bytes() > self.room
            ):
                self._indexes.popitem(last=False)
        return index

    def _bytes(self) -> int:
        return sum(index.own_bytes(self.live.index) for index in self._indexes.values())

    def _make(self, seq: int, present: Snapshot) -> EntityIndex:
        fork = present.ask(lambda index: index.fork())
        store = ChangeStore(present.store.sql, self.codec)
        changed = store.changed_after(seq, self.most_changed + 1)
        if len(changed) > self.most_changed:
            raise InputError(
                f"More than {self.most_changed} entities changed since asOf {seq}, "
                "too many to look back; ask for a later moment"
            )

        def load(ids: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
            with self.at(seq).open() as past:
                for start in range(0, len(ids), BATCH):
                    some = ids[start : start + BATCH]
                    for entity_id, document in zip(some, past.documents(some), strict=True):
                        if document is not None:
                            yield entity_id, orjson.loads(document)

        return EntityIndex.of(fork, _rows_at(store, changed, seq), seq, load)


def _rows_at(
    store: ChangeStore, ids: Sequence[int], seq: int
) -> Iterator[tuple[int, IndexRow | None]]:
    """Yield what an index needs to know of entities as they were; None of those that were not."""
    for start in range(0, len(ids), BATCH):
        some = ids[start : start + BATCH]
        refs, documents = store.refs(some), store.documents_at(some, seq)
        for entity_id in some:
            document = documents.get(entity_id)
            if document is None:
                yield entity_id, None
                continue
            data = orjson.loads(document)
            terms = encode_terms(data)
            yield entity_id, IndexRow(entity_id, refs[entity_id], data["metadata"]["uid"], terms)


@dataclass(frozen=True, slots=True)
class PastSnapshots:
    """Opens snapshots of one past state (`app.catalog.reading.Snapshots`)."""

    past: Past
    seq: int

    def open(self) -> AbstractContextManager[PastSnapshot]:
        """Open a snapshot for this thread and this block; raises `InputError`."""
        return self._on(self.past.live.open())

    def open_apart(self) -> AbstractContextManager[PastSnapshot]:
        """Open a snapshot that other threads may go on with; raises `InputError`."""
        return self._on(self.past.live.open_apart())

    @contextmanager
    def _on(self, opening: AbstractContextManager[Snapshot]) -> Iterator[PastSnapshot]:
        with opening as present:
            store = ChangeStore(present.store.sql, self.past.codec)
            # What was there when the caller's moment was looked up may have been forgotten since.
            seq_of(store, self.seq, "asOf")
            yield PastSnapshot(self.past, present, store, self.seq)


@dataclass(frozen=True, slots=True)
class PastSnapshot:
    """The graph at one sequence number (`app.catalog.reading.Snapshot`)."""

    past: Past
    present: Snapshot
    store: ChangeStore
    seq: int

    def ask(self, question: Callable[[EntityIndex], T]) -> T:
        """Put a question to the index of that state."""
        return question(self.past.index_at(self.seq, self.present))

    def documents(self, ids: Sequence[int]) -> list[bytes | None]:
        """Answer the ready JSON of entities, in the order asked for; None if there was none."""
        found = self.store.documents_at(ids, self.seq)
        return [found.get(entity_id) for entity_id in ids]

    def stream(self, ids: Iterable[int]) -> Iterator[list[bytes]]:
        """Answer the ready JSON of many entities in batches."""
        for batch in batches(ids, BATCH):
            yield [document for document in self.documents(batch) if document is not None]

    def ids_of(self, refs: Sequence[str]) -> dict[str, int]:
        """Answer the numbers of refs that were ever mentioned."""
        sql = "SELECT ref, id FROM ref WHERE ref = ANY(?)"
        return dict(self.store.sql.rows(sql, list(dict.fromkeys(refs))))

    def find(self, refs: Sequence[str]) -> list[bytes | None]:
        """Answer the ready JSON of entities by canonical ref."""
        ids = self.ids_of(refs)
        found = self.store.documents_at(list(ids.values()), self.seq)
        return [found.get(ids[ref]) if ref in ids else None for ref in refs]

    def find_by_uid(self, uid: str) -> bytes | None:
        """Answer the ready JSON of an entity by the uid it had."""
        entity_id = self.ask(lambda index: index.id_of_uid(uid))
        return None if entity_id is None else self.documents([entity_id])[0]

    def relations(self, ids: Sequence[int]) -> dict[int, list[tuple[str, str]]]:
        """Answer the relations, (type, target ref), that entities had, in both directions."""
        found = self.store.documents_at(ids, self.seq)
        return {
            entity_id: [
                (relation["type"], relation["targetRef"])
                for relation in orjson.loads(document).get("relations", ())
            ]
            for entity_id, document in found.items()
        }

    def parents(self, _ids: Sequence[int]) -> dict[int, list[int]]:
        """Refuse: who emitted an entity is known for the present only."""
        raise InputError("What led to an entity is known for the present only, not with asOf")
