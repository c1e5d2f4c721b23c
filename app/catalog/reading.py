"""Reading the catalog: the use cases behind every read endpoint.

Entities are kept as ready JSON, so an answer is joined from their bytes and never written anew. A
question is put to the index once per snapshot; lists too long to be held are sent from a snapshot
of their own, a batch at a time.

Every method takes `visible`, the expression that the caller is held to: one more condition, and
`NOTHING` gives the answers of someone who may not read at all. Methods that take `unless` may save
the work: they ask it, with the revision of the graph, whether the caller has the answer of that
revision already, and if so answer None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

import orjson

from app.catalog.ancestry import Family
from app.catalog.projection import Projection
from app.catalog.questions import Found, ListRequest, PageRequest, find_list, find_page, page_tail
from app.errors import NotAllowedError, NotFoundError
from app.index.index import EntityIndex
from app.model.query import EVERYTHING, NOTHING, Expression, FacetCount, both
from app.model.ref import EntityRef

T = TypeVar("T")
Unless: TypeAlias = Callable[[int], bool]

LONG = 2000
"""A list of more entities is sent by and by instead of being held."""


class Snapshot(Protocol):
    """One committed state of the graph, and the index brought to the same state."""

    def ask(self, question: Callable[[EntityIndex], T]) -> T:
        """Put a question to the index, before anything else is read."""

    def documents(self, ids: Sequence[int]) -> list[bytes | None]:
        """Answer the ready JSON of entities, in the order asked for; None if there is none."""

    def stream(self, ids: Iterable[int]) -> Iterator[list[bytes]]:
        """Answer the ready JSON of many entities in batches."""

    def find(self, refs: Sequence[str]) -> list[bytes | None]:
        """Answer the ready JSON of entities by canonical ref."""

    def find_by_uid(self, uid: str) -> bytes | None:
        """Answer the ready JSON of an entity by uid."""

    def parents(self, ids: Sequence[int]) -> dict[int, list[int]]:
        """Answer which entities emit these."""


class Snapshots(Protocol):
    """Opens snapshots."""

    def open(self) -> AbstractContextManager[Snapshot]:
        """Open a snapshot for this thread and this block."""

    def open_apart(self) -> AbstractContextManager[Snapshot]:
        """Open a snapshot that other threads may go on with."""


class Pieces:
    """JSON that is sent by and by; whoever has it reads it to the end or closes it."""

    def __init__(self, snapshot: ExitStack, pieces: Iterator[bytes]) -> None:
        """Send `pieces`, which come from a snapshot that is open until then."""
        self._snapshot = snapshot
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        """Yield piece after piece."""
        try:
            yield from self._pieces
        finally:
            self.close()

    def close(self) -> None:
        """End the snapshot."""
        self._snapshot.close()


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: JSON, the revision it is of, and where the next window is if there is one."""

    body: bytes | Pieces
    revision: int = 0
    after: str | None = None


def never(_revision: int) -> bool:
    """Save no work."""
    return False


def storable(text: str) -> bool:
    """Tell whether text can be in a database at all: PostgreSQL refuses to hear of NUL."""
    return "\0" not in text


@dataclass(frozen=True, slots=True)
class CatalogReader:
    """The read side of the catalog."""

    snapshots: Snapshots

    def page(
        self, request: PageRequest, visible: Expression = EVERYTHING, unless: Unless = never
    ) -> Reply | None:
        """Answer a page of a listing with the cursors to its neighbours."""
        if visible == NOTHING:
            return Reply(b'{"items":[' + page_tail(0))
        return self._list(
            lambda index: None if unless(index.seq) else find_page(index, request, visible),
            request.fields,
        )

    def entities(
        self, request: ListRequest, visible: Expression = EVERYTHING, unless: Unless = never
    ) -> Reply | None:
        """Answer the legacy listing."""
        if visible == NOTHING:
            return Reply(b"[]")
        return self._list(
            lambda index: None if unless(index.seq) else find_list(index, request, visible),
            request.fields,
        )

    def by_refs(
        self,
        refs: Sequence[str],
        expression: Expression = EVERYTHING,
        fields: Projection | None = None,
        visible: Expression = EVERYTHING,
    ) -> bytes:
        """Answer an item for every ref, null where there is none that matches."""
        condition = both(visible, expression)
        with self.snapshots.open() as snapshot:
            documents = _find(snapshot, refs, condition)
        if fields is not None:
            documents = [None if item is None else fields.reduce(item) for item in documents]
        items = [b"null" if item is None else item for item in documents]
        return b'{"items":[%b]}' % b",".join(items)

    def by_name(
        self, kind: str, namespace: str, name: str, visible: Expression = EVERYTHING
    ) -> bytes:
        """Answer one entity, whose ref may be written in any case. Raises `NotFoundError`."""
        ref = str(EntityRef.of(kind, namespace, name))
        with self.snapshots.open() as snapshot:
            document = _find(snapshot, (ref,), visible)[0]
        if document is None:
            raise NotFoundError(
                f"No entity named '{name}' found, with kind '{kind}' in namespace '{namespace}'"
            )
        return document

    def by_uid(self, uid: str, visible: Expression = EVERYTHING) -> bytes:
        """Answer one entity. Raises `NotFoundError`."""
        with self.snapshots.open() as snapshot:
            document = _find_by_uid(snapshot, uid.lower(), visible)
        if document is None:
            raise NotFoundError(f"No entity with uid {uid}")
        return document

    def ancestry(
        self, kind: str, namespace: str, name: str, visible: Expression = EVERYTHING
    ) -> bytes:
        """Answer an entity and all that led to it.

        Raises `NotFoundError`, or `NotAllowedError` for those who may not see the entity. Of what
        led to it they are shown what they may see, and nothing that is above what they may not.
        """
        ref = str(EntityRef.of(kind, namespace, name))

        def root_and_seen(index: EntityIndex) -> tuple[int | None, Callable[[int], bool]]:
            return index.id_of(ref), index.match(visible).__contains__

        family: Family | None = None
        with self.snapshots.open() as snapshot:
            root, is_seen = snapshot.ask(root_and_seen)
            if root is not None and is_seen(root):
                family = Family.of(root, snapshot.parents, snapshot.documents)
        if family is None:
            raise (
                NotFoundError(f"No such entity {ref}") if visible == EVERYTHING else NotAllowedError
            )
        return family.json(family.without([m for m in family.documents if not is_seen(m)]))

    def facets(
        self,
        keys: Sequence[str],
        expression: Expression = EVERYTHING,
        visible: Expression = EVERYTHING,
        unless: Unless = never,
    ) -> Reply | None:
        """Count the values of each key among the entities that match."""
        if visible == NOTHING:
            return Reply(orjson.dumps({"facets": {key: [] for key in keys}}))
        condition = both(visible, expression)

        def count(index: EntityIndex) -> tuple[int, dict[str, list[FacetCount]]] | None:
            if unless(index.seq):
                return None
            selection = None if condition == EVERYTHING else index.match(condition)
            return index.seq, index.facets(keys, selection)

        with self.snapshots.open() as snapshot:
            counted = snapshot.ask(count)
        if counted is None:
            return None
        revision, facets = counted
        written = {
            key: [{"value": value, "count": count} for value, count in counts]
            for key, counts in facets.items()
        }
        return Reply(orjson.dumps({"facets": written}), revision)

    def _list(
        self, question: Callable[[EntityIndex], Found | None], fields: Projection | None
    ) -> Reply | None:
        with self.snapshots.open() as snapshot:
            found = snapshot.ask(question)
            if found is None:
                return None
            if len(found.ids) <= LONG:
                documents = [doc for doc in snapshot.documents(found.ids) if doc is not None]
                if fields is not None:
                    documents = [fields.reduce(document) for document in documents]
                body = b"".join((found.head, b",".join(documents), found.tail))
                return Reply(body, found.revision, found.after)
        return self._send(question, fields)

    def _send(
        self, question: Callable[[EntityIndex], Found | None], fields: Projection | None
    ) -> Reply | None:
        """Ask again, for an answer that is sent from a snapshot of its own."""
        stack = ExitStack()
        with stack:
            snapshot = stack.enter_context(self.snapshots.open_apart())
            found = snapshot.ask(question)
            if found is not None:
                batches = snapshot.stream(found.ids)
                if fields is not None:
                    batches = ([fields.reduce(doc) for doc in batch] for batch in batches)
                pieces = _joined(batches, found.head, found.tail)
                return Reply(Pieces(stack.pop_all(), pieces), found.revision, found.after)
        return None


def _find(snapshot: Snapshot, refs: Sequence[str], condition: Expression) -> list[bytes | None]:
    """Find entities by refs, those that match; without a condition the index is not needed."""
    if not refs or condition == NOTHING:
        return [None] * len(refs)
    if condition == EVERYTHING:
        return snapshot.find([ref if storable(ref) else "" for ref in refs])

    def matching(index: EntityIndex) -> list[int | None]:
        selection = index.match(condition)
        found = index.ids_of(refs)
        return [one if one is not None and one in selection else None for one in found]

    ids = snapshot.ask(matching)
    found = list(dict.fromkeys(entity_id for entity_id in ids if entity_id is not None))
    documents = dict(zip(found, snapshot.documents(found), strict=True))
    return [None if entity_id is None else documents[entity_id] for entity_id in ids]


def _find_by_uid(snapshot: Snapshot, uid: str, condition: Expression) -> bytes | None:
    if condition == NOTHING or not storable(uid):
        return None
    if condition == EVERYTHING:
        return snapshot.find_by_uid(uid)

    def matching(index: EntityIndex) -> int | None:
        found = index.id_of_uid(uid)
        return found if found is not None and found in index.match(condition) else None

    entity_id = snapshot.ask(matching)
    return None if entity_id is None else snapshot.documents([entity_id])[0]


def _joined(batches: Iterable[list[bytes]], head: bytes, tail: bytes) -> Iterator[bytes]:
    """Join documents batch by batch, without any work per document."""
    separator = head
    for batch in batches:
        if batch:
            batch[0] = separator + batch[0]
            yield b",".join(batch)
            separator = b","
    yield tail if separator == b"," else head + tail
