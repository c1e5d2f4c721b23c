"""Reading: one committed state of the database, and the index brought to the very same state.

Freshness is part of every read (`docs/architecture.md`): a snapshot asks the database for the
newest sequence number and applies to the index what it lacks, so a read sees every write committed
before it, whichever process wrote it. Reads use a connection held per thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson

from app.catalog.view_store import ViewStore
from app.db.engine import Database
from app.index.index import EntityIndex

T = TypeVar("T")
# Beyond this many changes it is quicker to load the index anew than to apply them.
RELOAD_CHANGES = 50_000
STREAM_BATCH = 400


@dataclass(slots=True)
class Snapshot:
    """One committed state. `ask` first, if the index is needed at all; then read rows."""

    store: ViewStore
    index: EntityIndex
    lock: threading.RLock
    seq: int = -1

    def ask(self, question: Callable[[EntityIndex], T]) -> T:
        """Put a question to the index as of this snapshot; call it before anything else is read.

        The lock keeps other readers from moving the index on before the question is answered.
        """
        with self.lock:
            self.seq = self.store.newest()
            catch_up(self.index, self.store, self.seq)
            return question(self.index)

    def documents(self, ids: Sequence[int]) -> list[bytes | None]:
        """Answer the ready JSON of entities in the order asked for; None if there is none."""
        found = self.store.documents(ids)
        return [found.get(entity_id) for entity_id in ids]

    def stream(self, ids: Iterable[int]) -> Iterator[list[bytes]]:
        """Answer the ready JSON of many entities in batches, holding one batch at a time."""
        batch = list[int]()
        for entity_id in ids:
            batch.append(entity_id)
            if len(batch) == STREAM_BATCH:
                yield self._present(batch)
                batch.clear()
        if batch:
            yield self._present(batch)

    def _present(self, ids: Sequence[int]) -> list[bytes]:
        return [document for document in self.documents(ids) if document is not None]

    def find(self, refs: Sequence[str]) -> list[bytes | None]:
        """Answer the ready JSON of entities by canonical ref, in the order asked for."""
        if len(refs) == 1:
            return [self.store.document_by_ref(refs[0])]
        found = self.store.documents_by_ref(refs)
        return [found.get(ref) for ref in refs]

    def find_by_uid(self, uid: str) -> bytes | None:
        """Answer the ready JSON of the entity with this uid."""
        return self.store.document_by_uid(uid)

    def parents(self, ids: Iterable[int]) -> dict[int, list[int]]:
        """Answer which entities emit these."""
        return self.store.parents(ids)

    def id_of(self, ref: str) -> int | None:
        """Answer the number of a ref that has an entity."""
        return self.store.id_of(ref)


def catch_up(index: EntityIndex, store: ViewStore, seq: int) -> None:
    """Apply to the index what was committed since it was last brought up to date."""
    if index.seq >= seq:
        return
    changed = None if index.seq == 0 else store.changed_since(index.seq, RELOAD_CHANGES)
    if changed is None:
        index.load(store.all_rows(), seq)
        return
    rows = {row.id: row for row in store.index_rows(changed)}
    index.apply([(entity_id, rows.get(entity_id)) for entity_id in changed], seq)


@dataclass(slots=True)
class Snapshots:
    """Opens snapshots; one per process."""

    database: Database
    index: EntityIndex = field(init=False)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _held: threading.local = field(default_factory=threading.local)

    def __post_init__(self) -> None:
        """Make the index, which loads the documents it needs through the database."""
        self.index = EntityIndex(self._load_documents)

    @contextmanager
    def open(self) -> Iterator[Snapshot]:
        """Open a snapshot; it ends with the block, and must be used by this thread only."""
        held = self._held
        if getattr(held, "busy", False):
            # Asked for in the middle of another snapshot: the answer must agree with that one.
            yield Snapshot(ViewStore(held.sql), self.index, self._lock)
            return
        if getattr(held, "sql", None) is not None and held.sql.is_cut:
            # The database was started again since: there is no need to fail for that.
            self.close()
        if getattr(held, "sql", None) is None:
            held.sql = self.database.hold()
        held.busy = True
        try:
            with held.sql.reading():
                yield Snapshot(ViewStore(held.sql), self.index, self._lock)
        except Exception:
            # Whatever it was, a connection in doubt is not kept.
            held.sql.close()
            held.sql = None
            raise
        finally:
            held.busy = False

    @contextmanager
    def open_apart(self) -> Iterator[Snapshot]:
        """Open a snapshot on a connection of its own, for an answer that is sent by and by."""
        sql = self.database.hold()
        try:
            with sql.reading():
                yield Snapshot(ViewStore(sql), self.index, self._lock)
        finally:
            sql.close()

    def close(self) -> None:
        """Close this thread's connection; other threads' go with them."""
        if getattr(self._held, "sql", None) is not None:
            self._held.sql.close()
            self._held.sql = None

    def refresh(self) -> int:
        """Bring the index up to date, so that the next reader need not; answer its state."""
        with self.open() as snapshot:
            snapshot.ask(lambda index: index)
            return snapshot.seq

    def merge(self) -> None:
        """Fold the changes since the last merge into the index's base, if it is time to."""
        if self.index.needs_merge:
            self.index.merge()

    def _load_documents(self, ids: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        with self.open() as snapshot:
            for start in range(0, len(ids), STREAM_BATCH):
                some = ids[start : start + STREAM_BATCH]
                for entity_id, document in snapshot.store.documents(some).items():
                    yield entity_id, orjson.loads(document)
