"""Walking over plain dicts: what `app.graph.walks.walk` is held against."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

PAIRS = [("ownedBy", "ownerOf"), ("dependsOn", "dependencyOf"), ("hasMember", "memberOf")]
REVERSE = {a: b for pair in PAIRS for a, b in (pair, pair[::-1])}


def documents(entities, edges):
    """Answer the relations that each of `entities` shows if these edges were written."""
    shown = {ref: set() for ref in entities}
    for origin, kind, target in edges:
        if origin in shown:
            shown[origin].add((kind, target))
        if target in shown:
            shown[target].add((REVERSE[kind], origin))
    return {ref: sorted(relations) for ref, relations in shown.items()}


def walk(relations, start, types, depth, seen):
    """Answer (distance, path of refs, path of types) by ref, first come first served."""
    found = {ref: (0, (ref,), ()) for ref in sorted(start) if ref in seen and ref in relations}
    queue = deque(sorted(found))
    while queue:
        level = sorted(queue)
        queue.clear()
        for ref in level:
            distance, refs, kinds = found[ref]
            if distance == depth:
                continue
            for kind, target in relations[ref]:
                if types is not None and kind not in types:
                    continue
                if target in found or target not in seen or target not in relations:
                    continue
                found[target] = (distance + 1, (*refs, target), (*kinds, kind))
                queue.append(target)
    return found


@dataclass
class Search:
    """Looks for ways by trying all of them."""

    relations: dict
    types: frozenset | None
    seen: set

    def paths(self, origin, target, depth):
        """Answer every shortest path, (refs, types), in order."""
        paths = [((origin,), ())]
        for _ in range(depth + 1):
            done = [path for path in paths if path[0][-1] == target]
            if done:
                return sorted(done, key=lambda path: list(zip(path[0][1:], path[1], strict=True)))
            paths = [
                ((*refs, peer), (*kinds, kind))
                for refs, kinds in paths
                for kind, peer in self.relations[refs[-1]]
                if peer not in refs and self.leads_on(kind, peer)
            ]
        return []

    def leads_on(self, kind, peer):
        is_wanted = self.types is None or kind in self.types
        return is_wanted and peer in self.seen and peer in self.relations
