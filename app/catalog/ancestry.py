"""Where an entity came from: the walk over emissions from an entity up to its root locations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from app.model.ref import EntityRef

Links = Mapping[int, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Family:
    """An entity and everything that led to it: documents, refs, and who emitted whom.

    What emits something but has no document itself is not part of it, nor is what is only above
    that.
    """

    root: int
    parents: Links
    documents: Mapping[int, bytes]

    @classmethod
    def of(
        cls,
        root: int,
        parents_of: Callable[[Sequence[int]], Mapping[int, Sequence[int]]],
        documents_of: Callable[[Sequence[int]], Sequence[bytes | None]],
    ) -> Family:
        """Collect a family, generation by generation."""
        parents: dict[int, Sequence[int]] = {}
        documents: dict[int, bytes] = {}
        new = [root]
        while new:
            read = zip(new, documents_of(new), strict=True)
            fresh = {found: document for found, document in read if document is not None}
            documents |= fresh
            links = parents_of(list(fresh))
            parents |= {found: links.get(found, ()) for found in fresh}
            above = dict.fromkeys(p for found in fresh for p in parents[found])
            new = [found for found in above if found not in documents]
        return cls(root, parents, documents)

    def without(self, hidden: Sequence[int]) -> Iterator[int]:
        """Walk upwards from the root, passing over `hidden` entities and all that is above them."""
        passed = set(self._walk(hidden))
        return (found for found in self._walk([self.root]) if found not in passed)

    def json(self, members: Iterator[int]) -> bytes:
        """Write the answer for some members; the parents of each are named, shown or not."""
        refs = {found: _ref_of(document) for found, document in self.documents.items()}
        items = [
            b'{"entity":%b,"parentEntityRefs":%b}'
            % (
                self.documents[found],
                orjson.dumps([refs[parent] for parent in self._parents(found)]),
            )
            for found in members
        ]
        root = orjson.dumps(refs[self.root])
        return b'{"rootEntityRef":%b,"items":[%b]}' % (root, b",".join(items))

    def _parents(self, member: int) -> list[int]:
        return [parent for parent in self.parents[member] if parent in self.documents]

    def _walk(self, start: Sequence[int]) -> Iterator[int]:
        """Walk depth first, of several parents to the last one."""
        seen, todo = set(start), list(start)
        while todo:
            current = todo.pop()
            yield current
            for parent in self._parents(current):
                if parent not in seen:
                    seen.add(parent)
                    todo.append(parent)


def _ref_of(document: bytes) -> str:
    entity = orjson.loads(document)
    metadata = entity["metadata"]
    return str(EntityRef.of(entity["kind"], metadata.get("namespace"), metadata["name"]))
