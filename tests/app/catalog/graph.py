"""A graph in memory that stands in for the database: documents in a dict beside a real index."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.index.index import EntityIndex, IndexRow
from app.index.terms import encode_terms
from app.model.ref import EntityRef

UID = "{:08d}-0000-4000-8000-000000000000"


def entity(kind: str, name: str, *, namespace: str = "default", **parts: Any) -> dict[str, Any]:
    """Make an entity; `tags`, `title` and the like are metadata, `relations` are pairs."""
    relations = [{"type": t, "targetRef": ref} for t, ref in parts.pop("relations", ())]
    spec = parts.pop("spec", {})
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, **parts},
        "spec": spec,
        "relations": relations,
    }


@dataclass
class Graph:
    """Snapshots of whatever is in it now. It counts what is asked of it."""

    documents: dict[int, bytes] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)
    emitters: dict[int, list[int]] = field(default_factory=dict)
    seq: int = 0
    asked: int = 0
    read: int = 0
    opened: int = 0
    batch: int = 3

    def __post_init__(self) -> None:
        self.index = EntityIndex(self._load)

    def _load(self, ids):
        found = ((i, self.documents.get(i)) for i in ids)
        return [(i, orjson.loads(document)) for i, document in found if document]

    def put(self, *entities: dict[str, Any], parent: str = "") -> "Graph":
        for one in entities:
            metadata = one["metadata"]
            ref = str(EntityRef.of(one["kind"], metadata.get("namespace"), metadata["name"]))
            number = self.ids.setdefault(ref, len(self.ids) + 1)
            # Uids go down while numbers go up, so that the two orders are never mistaken.
            metadata.setdefault("uid", UID.format(99_999_999 - number))
            self.documents[number] = orjson.dumps(one)
            if parent:
                self.emitters.setdefault(number, []).append(self.ids[parent])
            self.seq += 1
            row = IndexRow(number, ref, metadata["uid"], encode_terms(one))
            self.index.apply([(number, row)], self.seq)
        return self

    def remove(self, ref: str) -> None:
        number = self.ids[ref]
        del self.documents[number]
        self.seq += 1
        self.index.apply([(number, None)], self.seq)

    def uid(self, ref: str) -> str:
        return orjson.loads(self.documents[self.ids[ref]])["metadata"]["uid"]

    @contextmanager
    def open(self) -> Iterator["GraphSnapshot"]:
        self.opened += 1
        try:
            yield GraphSnapshot(self)
        finally:
            self.opened -= 1

    def open_apart(self):
        return self.open()


@dataclass
class GraphSnapshot:
    graph: Graph

    def ask(self, question):
        self.graph.asked += 1
        return question(self.graph.index)

    def documents(self, ids):
        self.graph.read += len(ids)
        return [self.graph.documents.get(number) for number in ids]

    def stream(self, ids):
        for start in range(0, len(ids), self.graph.batch):
            yield [d for d in self.documents(ids[start : start + self.graph.batch]) if d]

    def find(self, refs):
        return self.documents([self.graph.ids.get(ref, 0) for ref in refs])

    def find_by_uid(self, uid):
        number = self.graph.index.id_of_uid(uid)
        return None if number is None else self.documents([number])[0]

    def parents(self, ids):
        return {
            number: self.graph.emitters[number] for number in ids if number in self.graph.emitters
        }
