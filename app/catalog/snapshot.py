"""Reading: one committed state of the database, and the index brought to the very same state.

Freshness is part of every read (`docs/architecture.md`): a snapshot asks the database for the
newest sequence number and applies to the index what it lacks, so a read sees every write committed
before it, whichever process wrote it. Reads use a connection held per thread.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson

from app.catalog.index_files import IndexFiles
from app.catalog.view_store import ViewStore
from app.db.engine import Database
from app.index.index import EntityIndex
from app.logs import fields
from app.model.batching import batches

log = logging.getLogger(__name__)
T = TypeVar("T")
# Beyond this many changes it is quicker to load the index anew than to apply them.
RELOAD_CHANGES = 50_000
STREAM_BATCH = 400
# The index's base is written to its file at most so often, and not for so few entities.
KEEP_EVERY = 60.0
FEW = 2000
# The turn in which the columns of a new file are made.
COLUMNS = "columns"
# So long a process waits for columns that another one makes, before it makes them, too (seconds).
COLUMNS_PATIENCE = 60.0
# History may have been cut off behind an older file.
OLDEST = 12 * 3600.0


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
        for batch in batches(ids, STREAM_BATCH):
            yield [document for document in self.documents(batch) if document is not None]

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
    # What was deleted before the history begins is not in it.
    is_known = index.seq > 0 and index.seq >= store.oldest()
    changed = store.changed_since(index.seq, RELOAD_CHANGES) if is_known else None
    if changed is None:
        index.load(store.all_rows(), seq)
        return
    rows = {row.id: row for row in store.index_rows(changed)}
    index.apply([(entity_id, rows.get(entity_id)) for entity_id in changed], seq)


@dataclass(slots=True)
class Snapshots:
    """Opens snapshots; one per process. With `files`, processes share the base of their index."""

    database: Database
    files: IndexFiles | None = None
    index: EntityIndex = field(init=False)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _held: threading.local = field(default_factory=threading.local)
    _kept_at: float = -math.inf
    _kept: int = 0

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

    def begin(self, make: Callable[[], bool]) -> None:
        """Start with the base in the file; if there is none that fits, `make` it, elsewhere.

        To make a base takes much more memory than to have it, and not all of it is given back.
        """
        if self.files is None:
            return
        with self.files.turn() as has_place:
            if self.adopt() or not has_place:
                return
            with self.open() as snapshot:
                is_small = snapshot.store.count() < FEW
            if not is_small and make():
                self.adopt()

    def make(self, columns: Iterable[str], made: Callable[[], object] = lambda: None) -> None:
        """Make the base and write it to the file, and again with `columns` when they are made, too.

        Nobody else may be at the file until the base is `made`. Whoever wants the columns can wait
        for the turn that is held until they are there.
        """
        if self.files is None:
            return
        with self.files.turn(COLUMNS):
            self.refresh()
            about = {**self._about_base(), "at": time.time()}
            self.files.write(self.index.packed(about))
            made()
            self.index.warm(columns)
            if self.files.about() == about:
                self.files.write(self.index.packed(about))

    def warm(self, columns: Iterable[str]) -> None:
        """Have columns ready: those of the file, which may be in the making, and the rest."""
        if self.files is not None:
            with self.files.turn(COLUMNS, COLUMNS_PATIENCE):
                self._exchange(self.files)
        self.index.warm(columns)

    def merge(self) -> None:
        """Fold the changes since the last merge into the index's base, if it is time to."""
        if self.index.needs_merge and not self.adopt():
            self.index.merge()

    def adopt(self) -> bool:
        """Go on with the base in the file, if it knows more than this process's; tell if it did."""
        if self.files is None or _seq_of(self.files.about()) <= self.index.base_seq:
            return False
        packed = self.files.read()
        if packed is None:
            return False
        with self.open() as snapshot, self._lock:
            store = snapshot.store
            newest = store.newest()
            if not _fits(packed.about, store, newest):
                return False
            self.index.adopt(packed)
            catch_up(self.index, store, newest)
            if len(self.index) != store.count():
                log.warning("index file ignored", extra=fields(reason="entities are missing in it"))
                self.index.load(store.all_rows(), newest)
        return True

    def keep(self) -> None:
        """Write the base to the file if it is newer and time to, and go on with what is there.

        A small catalog is read from the database as fast.
        """
        files, index = self.files, self.index
        is_due = time.monotonic() >= self._kept_at + KEEP_EVERY and index.base_seq > self._kept
        if files is None or not is_due or len(index) < FEW:
            return
        with files.turn() as has_place:
            if has_place:
                self._share(files)
        self._kept_at, self._kept = time.monotonic(), index.base_seq

    def _share(self, files: IndexFiles) -> None:
        self.adopt()
        if self._exchange(files):
            return
        files.write(self.index.packed({**self._about_base(), "at": time.time()}))
        self._exchange(files)

    def _exchange(self, files: IndexFiles) -> bool:
        """Go on with what is in the file if it is the same base; tell if it is."""
        packed = files.read()
        if packed is None or _seq_of(packed.about) != self.index.base_seq:
            return False
        if not _is_of(packed.about, self._about_base()):
            return False
        self.index.exchange(packed)
        return True

    def _about_base(self) -> dict[str, Any]:
        """Write down which state of the database the base of this process's index is of."""
        with self.open() as snapshot:
            return _about(snapshot.store, self.index.base_seq)

    def _load_documents(self, ids: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        with self.open() as snapshot:
            for start in range(0, len(ids), STREAM_BATCH):
                some = ids[start : start + STREAM_BATCH]
                for entity_id, document in snapshot.store.documents(some).items():
                    yield entity_id, orjson.loads(document)


def _about(store: ViewStore, seq: int) -> dict[str, Any]:
    """Write down which state of which database a base is of.

    A database that was put back from a backup may have other changes under the same numbers.
    """
    return {"lineage": store.lineage(), "etag": store.etag_at(seq), "seq": seq}


def _fits(about: Mapping[str, Any], store: ViewStore, newest: int) -> bool:
    """Tell whether a base was made of this database, and all that changed since is known."""
    seq = _seq_of(about)
    if not 0 < seq <= newest <= seq + RELOAD_CHANGES:
        return False
    if time.time() - about.get("at", 0.0) > OLDEST:
        return False
    return _is_of(about, _about(store, seq))


def _is_of(about: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    return about.items() >= state.items()


def _seq_of(about: Mapping[str, Any] | None) -> int:
    return int(about.get("seq", 0)) if about else 0
