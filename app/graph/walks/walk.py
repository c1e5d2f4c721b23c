"""Walking through the graph, level by level: what is reached, how far away, and on which way.

Every entity is visited once, so cycles end by themselves. The order does not depend on how the
graph is stored: levels are ordered by ref, and of several ways of one length that is kept whose
entities, and then relation types, come first. What a walk may cost is limited; one that meets a
limit answers what it has found so far, and says so.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from app.graph.walks.ground import Ground, Link
from app.graph.walks.store import Types

# So many entities are asked for their relations at once; then the clock is looked at.
BATCH = 1000


@dataclass(frozen=True, slots=True)
class WalkLimits:
    """What one walk may cost."""

    depth: int = 100
    """How far away from where it starts."""
    nodes: int = 100_000
    """Entities that are visited."""
    edges: int = 1_000_000
    """Relations that are looked at."""
    seconds: float = 5.0
    """After that no more is read."""


@dataclass(frozen=True, slots=True)
class Truncation:
    """Which limit a walk met."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Path:
    """A way through the graph: entities, and between two the relation that the first one shows."""

    refs: tuple[str, ...]
    relations: tuple[str, ...]


@dataclass(slots=True)
class Walk:
    """What a walk found: ids by distance, and how each was come to (from whom, by which type)."""

    levels: list[list[int]] = field(default_factory=list)
    refs: dict[int, str] = field(default_factory=dict)
    came: dict[int, tuple[int, str] | None] = field(default_factory=dict)
    truncated: Truncation | None = None

    def way_to(self, entity_id: int) -> list[int]:
        """Answer the ids from the start to an entity that was found."""
        way = [entity_id]
        while (step := self.came[way[-1]]) is not None:
            way.append(step[0])
        return way[::-1]

    def path_to(self, entity_id: int) -> Path:
        """Answer the way to an entity that was found."""
        way = self.way_to(entity_id)
        steps = (self.came[i] for i in way[1:])
        return Path(tuple(self.refs[i] for i in way), tuple(step[1] for step in steps if step))


class _LimitError(Exception):
    """A limit was met."""

    def __init__(self, truncation: Truncation) -> None:
        super().__init__(truncation.message)
        self.truncation = truncation


class Sight(Protocol):
    """Which entities may be walked through."""

    def __contains__(self, entity_id: int, /) -> bool:
        """Tell whether this one may."""


@dataclass(slots=True)
class Walker:
    """Walks on one ground over relations of some types, through entities that are `seen` only."""

    ground: Ground
    types: Types
    seen: Sight
    limits: WalkLimits = field(default_factory=WalkLimits)
    clock: Callable[[], float] = time.monotonic
    _deadline: float = field(init=False)
    _edges: int = 0

    def __post_init__(self) -> None:
        """Start the clock."""
        self._deadline = self.clock() + self.limits.seconds

    def walk(self, start: Collection[int], depth: int) -> Walk:
        """Find all that is at most `depth` away from any of `start`."""
        walk = Walk()
        found: Mapping[int, tuple[int, str] | None] = dict.fromkeys(start)
        try:
            while found:
                walk.levels.append(self._arrive(walk, found))
                if walk.truncated or len(walk.levels) > depth:
                    break
                found = self._next(walk, walk.levels[-1])
        except _LimitError as limit:
            walk.truncated = limit.truncation
        return walk

    def _arrive(self, walk: Walk, found: Mapping[int, tuple[int, str] | None]) -> list[int]:
        """Put a level in order, and cut off what is too much."""
        refs = self.ground.refs(list(found))
        level = sorted((i for i in found if i in refs), key=refs.__getitem__)
        room = self.limits.nodes - len(walk.came)
        if len(level) > room:
            walk.truncated = self._too_many()
            level = level[:room]
        walk.refs |= {i: refs[i] for i in level}
        walk.came |= {i: found[i] for i in level}
        return level

    def _next(self, walk: Walk, level: Sequence[int]) -> dict[int, tuple[int, str] | None]:
        rank = {entity_id: place for place, entity_id in enumerate(level)}
        best = dict[int, tuple[int, str]]()
        came, seen = walk.came, self.seen
        for origin, kind, target in self._links(level):
            if target in came or target not in seen:
                continue
            offer = (rank[origin], kind)
            if target not in best or offer < best[target]:
                best[target] = offer
        return {target: (level[place], kind) for target, (place, kind) in best.items()}

    def paths(self, origin: int, target: int, depth: int, most: int) -> tuple[list[Path], Walk]:
        """Find up to `most` of the shortest ways between two entities, and what was walked for it.

        There are none if `target` is more than `depth` away, or beyond a limit.
        """
        walk = Walk()
        walk.came[origin] = None
        before: dict[int, set[tuple[int, str]]] = {origin: set()}
        level = [origin]
        try:
            while level and target not in before and len(walk.levels) < depth:
                walk.levels.append(level)
                found = defaultdict[int, set[tuple[int, str]]](set)
                for here, kind, there in self._links(level):
                    if there not in before and there in self.seen:
                        found[there].add((here, kind))
                before |= found
                level = list(found)
                self._check_nodes(len(before))
        except _LimitError as limit:
            walk.truncated = limit.truncation
        walk.came |= dict.fromkeys(before)
        if target not in before:
            return [], walk
        return list(islice(self._ways(origin, target, before), most)), walk

    def _check_nodes(self, visited: int) -> None:
        if visited > self.limits.nodes:
            raise _LimitError(self._too_many())

    def _too_many(self) -> Truncation:
        most = f"more than {self.limits.nodes} entities are in reach"
        return Truncation("nodes", f"{most}; start from fewer, or follow fewer types")

    def _ways(
        self, origin: int, target: int, before: Mapping[int, set[tuple[int, str]]]
    ) -> Iterator[Path]:
        """Yield the ways that lead from step to step to `target`, in the order of their refs."""
        after = defaultdict[int, set[tuple[int, str]]](set)
        waiting, known = [target], {target}
        while waiting:
            there = waiting.pop()
            for here, kind in before[there]:
                after[here].add((there, kind))
                if here not in known:
                    known.add(here)
                    waiting.append(here)
        refs = self.ground.refs(list(known))
        unfinished = [(origin, Path((refs[origin],), ()))]
        while unfinished:
            here, path = unfinished.pop()
            if here == target:
                yield path
                continue
            steps = sorted(after[here], key=lambda step: (refs[step[0]], step[1]), reverse=True)
            unfinished += [
                (there, Path((*path.refs, refs[there]), (*path.relations, kind)))
                for there, kind in steps
            ]

    def links_among(self, ids: Collection[int]) -> tuple[list[Link], Truncation | None]:
        """Answer the relations between entities; none if there are more than may be looked at."""
        within = frozenset(ids)
        links, truncation = self.links_from(ids)
        return [link for link in links if link[2] in within], truncation

    def links_from(self, ids: Collection[int]) -> tuple[list[Link], Truncation | None]:
        """Answer the relations of entities; none if there are more than may be looked at."""
        try:
            return [link for link in self._links(list(ids)) if link[2] in self.seen], None
        except _LimitError as limit:
            return [], limit.truncation

    def _links(self, ids: Sequence[int]) -> Iterator[Link]:
        for start in range(0, len(ids), BATCH):
            limits = self.limits
            if self.clock() > self._deadline:
                message = f"it took more than {limits.seconds:g} seconds"
                raise _LimitError(Truncation("seconds", message))
            left = limits.edges - self._edges
            links = self.ground.edges_of(ids[start : start + BATCH], self.types, left + 1)
            if len(links) > left:
                message = f"more than {limits.edges} relations would be looked at"
                raise _LimitError(Truncation("edges", f"{message}; follow fewer types"))
            self._edges += len(links)
            yield from links
