"""Questions about what is connected: neighbours, impact, paths, and whatever else is asked.

All of them are walks (`app.graph.walks.walk`) that differ in where they start, what they follow,
and what they answer of what they found. Only what a caller may see is walked through.
"""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.catalog.cursors import base64_json
from app.errors import InputError, NotFoundError
from app.graph.walks.ground import Ground, Grounds, Link
from app.graph.walks.questions import Follow, GraphQuery, Ids, PathQuery, Shown
from app.graph.walks.store import Types
from app.graph.walks.walk import Path, Truncation, Walk, Walker, WalkLimits
from app.index.index import EntityIndex
from app.model.query import EVERYTHING, Expression

OWNED = frozenset({"ownedBy"})


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page begins: just beyond this distance and ref."""

    depth: int
    ref: str

    def encode(self) -> str:
        return b64encode(orjson.dumps({"depth": self.depth, "ref": self.ref})).decode("ascii")

    @classmethod
    def decode(cls, text: str) -> _Place:
        try:
            parts = base64_json(text)
        except ValueError as problem:
            raise InputError(f"Malformed cursor: {problem}") from None
        depth, ref = parts.get("depth"), parts.get("ref")
        if not isinstance(depth, int) or not isinstance(ref, str):
            raise InputError("Malformed cursor: Expected a depth and a ref")
        return cls(depth, ref)


@dataclass(frozen=True, slots=True)
class GraphQueries:
    """Answers questions about what is connected; answers are JSON."""

    grounds: Grounds
    limits: WalkLimits = field(default_factory=WalkLimits)

    # -- walks ------------------------------------------------------------------------------------

    def query(self, query: GraphQuery, visible: Expression = EVERYTHING) -> bytes:
        """Answer what a walk finds."""
        return self._walk(query, visible)

    def neighbours(self, query: GraphQuery, visible: Expression = EVERYTHING) -> bytes:
        """Answer what is around one entity. Raises `NotFoundError`."""
        return self._walk(query, visible, is_there=True)

    def impact(self, query: GraphQuery, visible: Expression = EVERYTHING) -> bytes:
        """Answer what an entity's change affects, and who owns that. Raises `NotFoundError`."""
        return self._walk(query, visible, is_there=True, counts_owners=True)

    def _walk(
        self,
        query: GraphQuery,
        visible: Expression,
        *,
        is_there: bool = False,
        counts_owners: bool = False,
    ) -> bytes:
        types = self.types_of(query.follow)
        least, most = self._depth(query.depth)
        place = None if query.shown.cursor is None else _Place.decode(query.shown.cursor)

        def choose(index: EntityIndex) -> tuple[int, Ids, Ids, Ids]:
            seen = index.match(visible)
            start = query.start.among(index, seen)
            end = seen if query.end is None else query.end.among(index, seen)
            return index.seq, seen, start, end

        with self.grounds.open(query.as_of) as ground:
            seq, seen, start, end = ground.ask(choose)
            if is_there and not start:
                raise _missing(query.start.refs or ())
            walker = Walker(ground, types, seen, self.limits)
            walk = walker.walk(list(start), most)
            if query.depth[1] is None and len(walk.levels) > most and not walk.truncated:
                message = f"what is more than {most} steps away is left out"
                walk.truncated = Truncation("depth", message)
            found = [(depth, i) for depth, i in _by_distance(walk, least) if i in end]
            page = _page(found, walk, place, query.shown.limit)
            answer: dict[str, Any] = {
                "seq": seq,
                "nodes": list(_nodes(ground, walk, page.items, query.shown)),
                "totalItems": len(found),
                "visited": len(walk.came),
                "truncated": None,
                "pageInfo": {} if page.cursor is None else {"nextCursor": page.cursor},
            }
            if query.start.refs is not None:
                named = {walk.refs[i] for i in (walk.levels[0] if walk.levels else ())}
                answer["missing"] = sorted(set(query.start.refs) - named)
            if query.shown.edges:
                answer["edges"] = self._edges(walker, walk, [i for _, i in page.items])
            if counts_owners:
                answer["owners"] = _owners(ground, [i for _, i in found], walk, seen, self.limits)
            answer["truncated"] = _written(walk.truncated)
        return orjson.dumps(answer)

    def _depth(self, depth: tuple[int, int | None]) -> tuple[int, int]:
        least, most = depth[0], self.limits.depth if depth[1] is None else depth[1]
        if most > self.limits.depth:
            raise InputError(f"depth is at most {self.limits.depth}")
        if least > most:
            raise InputError("depth.min must not be more than depth.max")
        return least, most

    def _edges(self, walker: Walker, walk: Walk, ids: Sequence[int]) -> list[dict[str, str]]:
        """Write the followed relations among entities and those on the ways to them, each once."""
        drawn = {i for entity_id in ids for i in walk.way_to(entity_id)}
        links, truncation = walker.links_among(drawn)
        walk.truncated = walk.truncated or truncation
        rank = {kind: place for place, kind in enumerate(self.grounds.reverse)}
        chosen = {_forward(link, self.grounds.reverse, rank) for link in links}
        edges = [(walk.refs[origin], kind, walk.refs[target]) for origin, kind, target in chosen]
        return [{"sourceRef": s, "type": t, "targetRef": r} for s, t, r in sorted(edges)]

    # -- paths ------------------------------------------------------------------------------------

    def paths(self, query: PathQuery, visible: Expression = EVERYTHING) -> bytes:
        """Answer the shortest ways between two entities. Raises `NotFoundError`."""
        types = self.types_of((query.follow,))
        _, depth = self._depth((0, query.depth))

        def choose(index: EntityIndex) -> tuple[int, Ids, list[int | None]]:
            return index.seq, index.match(visible), index.ids_of((query.origin, query.target))

        with self.grounds.open(query.as_of) as ground:
            seq, seen, ends = ground.ask(choose)
            origin, target = (_visible(i, seen) for i in ends)
            if origin is None or target is None:
                raise _missing([query.origin if origin is None else query.target])
            walker = Walker(ground, types, seen, self.limits)
            found, walk = walker.paths(origin, target, depth, query.limit + 1)
        paths = [_path(path) for path in found[: query.limit]]
        return orjson.dumps(
            {
                "seq": seq,
                "paths": paths,
                "length": len(found[0].relations) if found else None,
                "hasMore": len(found) > query.limit,
                "visited": len(walk.came),
                "truncated": _written(walk.truncated),
            }
        )

    # -- types ------------------------------------------------------------------------------------

    def types_of(self, follow: Collection[Follow]) -> Types:
        """Answer which relations of an entity lead on; raises `InputError` for unknown types."""
        types = set[str]()
        for one in follow:
            if not one.types:
                return None
            for name in one.types:
                reverse = self.grounds.reverse.get(name)
                if reverse is None:
                    known = ", ".join(sorted(self.grounds.reverse))
                    raise InputError(f"Unknown relation type '{name}'; known are {known}")
                types |= {name} if one.direction != "incoming" else set()
                types |= {reverse} if one.direction != "outgoing" else set()
        return frozenset(types)


@dataclass(frozen=True, slots=True)
class _Page:
    items: Sequence[tuple[int, int]]
    cursor: str | None


def _by_distance(walk: Walk, least: int) -> Iterator[tuple[int, int]]:
    for depth, level in enumerate(walk.levels):
        if depth >= least:
            yield from ((depth, entity_id) for entity_id in level)


def _page(found: Sequence[tuple[int, int]], walk: Walk, place: _Place | None, limit: int) -> _Page:
    if place is not None:
        beyond = (place.depth, place.ref)
        found = [(depth, i) for depth, i in found if (depth, walk.refs[i]) > beyond]
    items = found[:limit]
    if len(found) <= limit or not items:
        return _Page(items, None)
    depth, last = items[-1]
    return _Page(items, _Place(depth, walk.refs[last]).encode())


def _nodes(
    ground: Ground, walk: Walk, items: Sequence[tuple[int, int]], shown: Shown
) -> Iterator[dict[str, Any]]:
    ids = [entity_id for _, entity_id in items]
    documents: Sequence[bytes | None] = ground.documents(ids) if shown.is_detailed else ()
    for place, (depth, entity_id) in enumerate(items):
        path = _path(walk.path_to(entity_id))
        node: dict[str, Any] = {"ref": walk.refs[entity_id], "depth": depth, "path": path}
        if shown.is_detailed:
            document = documents[place] or b"{}"
            reduced = document if shown.fields is None else shown.fields.reduce(document)
            node["entity"] = orjson.Fragment(reduced)
        yield node


def _forward(link: Link, reverse: Mapping[str, str], rank: Mapping[str, int]) -> Link:
    """Choose one of the two forms in which a relation is shown: `ownedBy` and not `ownerOf`."""
    origin, kind, target = link
    if kind not in reverse:
        return link
    turned = (target, reverse[kind], origin)
    return min(link, turned, key=lambda form: (rank[form[1]], form[0]))


def _owners(
    ground: Ground, ids: Sequence[int], walk: Walk, seen: Ids, limits: WalkLimits
) -> list[dict[str, Any]]:
    """Count by owner what was found, those who own most first."""
    links, truncation = Walker(ground, OWNED, seen, limits).links_from(ids)
    walk.truncated = walk.truncated or truncation
    counts = Counter(owner for _, _, owner in links)
    refs = ground.refs(list(counts))
    named = [(-n, refs[owner]) for owner, n in counts.items() if owner in refs]
    return [{"ref": ref, "count": -n} for n, ref in sorted(named)]


def _path(path: Path) -> dict[str, Any]:
    return {"refs": path.refs, "relations": path.relations}


def _written(truncation: Truncation | None) -> Mapping[str, str] | None:
    if truncation is None:
        return None
    return {"reason": truncation.reason, "message": truncation.message}


def _visible(entity_id: int | None, seen: Ids) -> int | None:
    return entity_id if entity_id is not None and entity_id in seen else None


def _missing(refs: Sequence[str]) -> NotFoundError:
    return NotFoundError(f"No such entity {', '.join(refs)}")
