"""The read index: every listing, filter, facet and search of the catalog is answered here.

Threads: any number of readers, one applier, one merger. Answers are short and hold one lock. What
takes long (reading documents for a column, making a base) happens outside of it, on arrays that
never change, and is then put in place under the lock. `apply` is atomic: a reader sees all changes
of a call or none of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Condition, Lock, RLock
from typing import Any

from pyroaring import BitMap, FrozenBitMap

from app.index.answers import Answers
from app.index.arrays import U32
from app.index.build import IndexRow, build, rebuild
from app.index.columns import Values, make_column
from app.index.evaluate import columns_of
from app.index.facets import make_facet
from app.index.fork import Fork
from app.index.gather import LoadDocuments, gather, values_of
from app.index.library import Library, Wanted
from app.index.memory import release_memory
from app.index.overlay import Overlay
from app.index.packing import Packed, Piece, pack
from app.index.views import Cut, Page
from app.model.query import Expression, FacetCount, Order, Position

_MERGE_SHARE = 100
_MERGE_LEAST = 1000
_COLUMN_ROOM = 64_000_000
# About what an entity costs in the overlay.
_TOUCHED_BYTES = 6000


class EntityIndex:
    """All entities, found by what is in them.

    Keys and values are given in lower case (facet keys need not be). A selection is what `match`
    returns, or any other set of ids. An entity that has gone since it was selected is left out.
    """

    def __init__(self, load_documents: LoadDocuments, *, column_room: int = _COLUMN_ROOM) -> None:
        """Start empty. Columns not warmed may take `column_room` bytes, facets as many."""
        self._load_documents = load_documents
        self._column_room = column_room
        self._lock = RLock()
        self._in_hand: set[str] = set()
        self._is_read = Condition(self._lock)
        self._merging = Lock()
        self._seq = 0
        self._base_seq = 0
        self._kept = Wanted()
        self._answers = Answers(build(()), Overlay(), Library(column_room, self._kept))

    @property
    def seq(self) -> int:
        """The last change that the answers know of."""
        return self._seq

    @property
    def base_seq(self) -> int:
        """The last change that the base knows of; later ones lie beside it."""
        return self._base_seq

    def __len__(self) -> int:
        with self._lock:
            return len(self._answers.everyone())

    def load(self, rows: Iterable[IndexRow], seq: int) -> None:
        """Start again with these entities, as they were at `seq`; columns are not made yet."""
        base = build(rows)
        with self._lock:
            self._answers = Answers(base, Overlay(), Library(self._column_room, self._kept))
            self._seq = self._base_seq = seq
        release_memory()

    def packed(self, about: Mapping[str, Any]) -> Iterator[Piece]:
        """Yield the base and its columns as bytes (`app.index.packing`), with `about` and `seq`."""
        with self._lock:
            base, columns = self._answers.base, dict(self._answers.library.columns)
            seq = self._base_seq
        return pack(base, columns, {**about, "seq": seq})

    def adopt(self, packed: Packed) -> None:
        """Start again with a base that was packed, as of then; the changes since are to follow.

        What was kept of the old base's columns and facets is made again from their texts.
        """
        with self._merging:
            with self._lock:
                old = self._answers
                present = old.library.present()
            fresh = Answers(packed.base, Overlay(), self._library(packed))
            self._fill(fresh, present, old)
            with self._lock:
                self._answers = fresh
                self._seq = self._base_seq = int(packed.about["seq"])
        release_memory()

    def exchange(self, packed: Packed) -> None:
        """Go on with the same base at another place in memory, if it still is the same."""
        with self._merging:
            with self._lock:
                old = self._answers
                present = old.library.present()
                if packed.about["seq"] != self._base_seq:
                    return
            fresh = Answers(packed.base, old.overlay, self._library(packed))
            self._fill(fresh, present, old)
            with self._lock:
                if self._answers is old:
                    fresh.changed()
                    self._answers = fresh
        release_memory()

    def _library(self, packed: Packed) -> Library:
        library = Library(self._column_room, self._kept)
        library.columns.update(packed.columns)
        return library

    def apply(self, changes: Iterable[tuple[int, IndexRow | None]], seq: int) -> None:
        """Take changed entities as they are at `seq`, by id; None for those that were deleted."""
        with self._lock:
            for owner, row in changes:
                self._answers.overlay.put(owner, row)
            self._answers.changed()
            self._seq = seq

    def fork(self) -> Fork:
        """Hold on to what the index is now, at almost no cost."""
        with self._lock:
            answers, library = self._answers, self._answers.library
            return Fork(
                answers.base,
                dict(answers.overlay.rows),
                dict(library.columns),
                dict(library.facets),
                self._column_room,
            )

    @classmethod
    def of(
        cls,
        fork: Fork,
        changes: Iterable[tuple[int, IndexRow | None]],
        seq: int,
        load_documents: LoadDocuments,
    ) -> EntityIndex:
        """Make an index that knows what `fork` knew, but for `changes`; it is at `seq`.

        `load_documents` answers documents as they were there.
        """
        index = cls(load_documents, column_room=fork.room)
        index._answers = fork.answers(changes)
        index._seq = seq
        return index

    def own_bytes(self, other: EntityIndex) -> int:
        """Tell about how much memory this takes that `other` does not take as well."""
        with self._lock:
            mine, theirs = self._answers, other._answers
            shared = mine.base is theirs.base
            return len(mine.overlay) * _TOUCHED_BYTES + (0 if shared else mine.base.nbytes)

    @property
    def needs_merge(self) -> bool:
        """So much has changed that reading would be quicker after `merge`."""
        answers = self._answers
        limit = max(_MERGE_LEAST, len(answers.base.entities.all) // _MERGE_SHARE)
        return len(answers.overlay) > limit

    def merge(self) -> None:
        """Make a new base of the old one and the changes; readers go on meanwhile."""
        with self._merging:
            with self._lock:
                old = self._answers
                rows = dict(old.overlay.rows)
                present = old.library.present()
                seq = self._seq
            library = Library(self._column_room, self._kept)
            fresh = Answers(rebuild(old.base, rows), Overlay(), library)
            self._fill(fresh, present, old)
            with self._lock:
                if self._answers is not old:  # loaded anew meanwhile
                    return
                for owner, row in old.overlay.rows.items():
                    if owner not in rows or rows[owner] is not row:
                        fresh.overlay.put(owner, row)
                library.kept = self._kept
                self._answers = fresh
                self._base_seq = seq
        release_memory()

    def warm(self, columns: Iterable[str], facets: Iterable[str] = ()) -> None:
        """Make columns and facets in one pass through the documents, and keep them from now on.

        What needs no documents (such as names) comes first, so that nobody waits for it.
        """
        wanted = Wanted.of(columns, (name.lower() for name in facets))
        with self._lock:
            self._kept |= wanted
            self._answers.library.kept = self._kept
        for part in (wanted.without_documents(), wanted):
            with self._ready(part):
                pass

    def match(self, expression: Expression) -> FrozenBitMap:
        """Find the ids of the entities that match."""
        with self._ready(Wanted.of(columns_of(expression))) as answers:
            return answers.match(expression)

    def count(self, expression: Expression) -> int:
        """Count the entities that match."""
        return len(self.match(expression))

    def contains_id(self, owner: int) -> bool:
        """Tell whether there is an entity with this id."""
        with self._lock:
            return self._answers.contains_id(owner)

    def id_of(self, ref: str) -> int | None:
        """Find an entity by its canonical ref."""
        return self.ids_of((ref,))[0]

    def ids_of(self, refs: Sequence[str]) -> list[int | None]:
        """Find entities by their canonical refs; None where there is none."""
        with self._lock:
            return self._answers.ids_of(refs)

    def id_of_uid(self, uid: str) -> int | None:
        """Find an entity by its uid."""
        with self._lock:
            return self._answers.id_of_uid(uid)

    def page(  # noqa: PLR0913, PLR0917 (what a page is made of)
        self,
        selection: FrozenBitMap | BitMap,
        order: Order | None,
        limit: int,
        offset: int = 0,
        position: Position | None = None,
        term: str | None = None,
    ) -> Page:
        """Read one page of the selected entities, by the values of a key or by uid.

        With an order there is an entry for each value, and none for an entity without. A page
        begins beyond `position`, or ends before it if that looks backwards; entries are in the
        order asked for in both cases, and `has_more` speaks of the direction looked in. `term`
        leaves out entries whose own value does not match it as a full-text term; this only makes a
        difference where entities have several values.
        """
        wanted = Wanted.of([order.key] if order else ())
        chosen = _frozen(selection)
        with self._ready(wanted) as answers:
            return answers.page(chosen, order, Cut(limit, offset, position, term))

    def ids_in_order(self, selection: FrozenBitMap | BitMap, order: Order | None) -> U32:
        """List the ids of all entries that `page` would go through."""
        chosen = _frozen(selection)
        with self._ready(Wanted.of([order.key] if order else ())) as answers:
            return answers.ids_in_order(chosen, order)

    def sorted_ids(self, selection: FrozenBitMap | BitMap, orders: Sequence[Order]) -> U32:
        """List ids by several keys and then by uid, each value of an entity apart, nulls last."""
        chosen = _frozen(selection)
        with self._ready(Wanted.of(order.key for order in orders)) as answers:
            return answers.sorted_ids(chosen, orders)

    def by_ref(self, selection: FrozenBitMap | BitMap) -> U32:
        """List the ids of the selected entities by ref."""
        chosen = _frozen(selection)
        with self._lock:
            return self._answers.by_ref(chosen)

    def total(self, selection: FrozenBitMap | BitMap, order: Order | None) -> int:
        """Count the selected entities that a walk through all pages would show."""
        chosen = _frozen(selection)
        with self._ready(Wanted.of([order.key] if order else ())) as answers:
            return answers.total(chosen, order)

    def facets(
        self, keys: Sequence[str], selection: FrozenBitMap | BitMap | None = None
    ) -> dict[str, list[FacetCount]]:
        """Count, for each key as it was written, the selected entities by value."""
        chosen = None if selection is None else _frozen(selection)
        names = {key: key.lower() for key in keys}
        with self._ready(Wanted.of((), names.values())) as answers:
            return {key: answers.facet(name, chosen) for key, name in names.items()}

    @property
    def nbytes(self) -> int:
        """The size of the base, its columns and its facets."""
        with self._lock:
            return self._answers.base.nbytes + self._answers.library.nbytes

    @contextmanager
    def _ready(self, wanted: Wanted) -> Iterator[Answers]:
        """Hold the lock with all texts there; read what is lacking first, without the lock.

        One thread reads for a key, the others wait until it has.
        """
        while True:
            with self._lock:
                answers = self._answers
                lacking = answers.lacking(wanted) if wanted else None
                if lacking is None or not any(lacking):
                    yield answers
                    return
                if self._in_hand & wanted.keys:
                    self._is_read.wait()
                    continue
                self._in_hand |= wanted.keys
            try:
                self._fill(answers, wanted)
            finally:
                with self._lock:
                    self._in_hand -= wanted.keys
                    self._is_read.notify_all()

    def _fill(self, answers: Answers, wanted: Wanted, old: Answers | None = None) -> None:
        """Read what is lacking, as far as `old` answers do not know it, and put it in place."""
        with self._lock:
            lacking, names = answers.lacking(wanted)
            rows = {owner: answers.overlay.rows[owner] for owner in names}
            column_seeds = {name: old.column_seeds(name) if old else {} for name in lacking.columns}
            facet_seeds = {name: old.facet_seeds(name) if old else set() for name in lacking.facets}
        base = answers.base
        columns, facets = gather(base, self._load_documents, column_seeds, facet_seeds)
        made_columns = {
            search.name: make_column(base, search.name, search.found, search.patches)
            for search in columns
        }
        made_facets = {
            search.name: make_facet(base, search.name, search.found, search.patches)
            for search in facets
        }
        texts: dict[int, dict[str, Values]] = {
            owner: dict.fromkeys(keys, ()) for owner, keys in names.items()
        }
        for owner, document in self._load_documents(list(names)) if names else ():
            texts[owner] = {name: values_of(document, name) for name in names[owner]}
        with self._lock:
            answers.library.columns.update(made_columns)
            answers.library.facets.update(made_facets)
            for name in answers.library.shrink(wanted):
                answers.overlay.forget_texts(name)
            for owner, values in texts.items():
                answers.overlay.give_texts(owner, rows[owner], values)
            if made_columns or made_facets or texts:
                answers.changed()


def _frozen(selection: FrozenBitMap | BitMap) -> FrozenBitMap:
    """Leave what cannot change as it is: answers about it are remembered."""
    return selection if isinstance(selection, FrozenBitMap) else FrozenBitMap(selection)
