"""What is asked about connections: where a walk starts, what it follows, what of it is wanted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from pyroaring import BitMap, FrozenBitMap

from app.catalog.projection import Projection
from app.index.index import EntityIndex
from app.model.query import EVERYTHING, Expression
from app.model.ref import EntityRef

Ids: TypeAlias = FrozenBitMap | BitMap
DEFAULT_LIMIT = 100
# What is affected when something changes or fails: what depends on it, the APIs that it provides
# and who consumes them, what it consists of, and what belongs to it.
IMPACT = frozenset(
    {"dependencyOf", "providesApi", "apiConsumedBy", "hasPart", "ownerOf", "parentOf"}
)


@dataclass(frozen=True, slots=True)
class Choice:
    """Some entities: those that match, and of them only `refs` if there are any."""

    expression: Expression = EVERYTHING
    refs: tuple[str, ...] | None = None

    def among(self, index: EntityIndex, seen: Ids) -> Ids:
        """Answer the ids of those that may be seen."""
        found = seen if self.expression == EVERYTHING else index.match(self.expression) & seen
        if self.refs is None:
            return found
        return found & BitMap(i for i in index.ids_of(self.refs) if i is not None)


@dataclass(frozen=True, slots=True)
class Shown:
    """What is answered of the entities that were found: so many, after a place, and which parts.

    Without `is_detailed` they are only named.
    """

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None
    is_detailed: bool = False
    fields: Projection | None = None
    edges: bool = False


@dataclass(frozen=True, slots=True)
class Follow:
    """Relation types to follow in a direction; no types stand for all."""

    types: tuple[str, ...] = ()
    direction: str = "outgoing"


@dataclass(frozen=True, slots=True)
class GraphQuery:
    """A walk: where it starts, what it follows, how far, and what of it is wanted."""

    start: Choice
    follow: tuple[Follow, ...] = (Follow(),)
    depth: tuple[int, int | None] = (1, 1)
    end: Choice | None = None
    shown: Shown = field(default_factory=Shown)
    as_of: str | None = None


@dataclass(frozen=True, slots=True)
class PathQuery:
    """Two entities, and what may lead from one to the other."""

    origin: str
    target: str
    follow: Follow = field(default_factory=Follow)
    depth: int | None = None
    limit: int = 10
    as_of: str | None = None


def canonical(text: str) -> str:
    """Read a ref as callers write it; raises `InputError`."""
    return str(EntityRef.parse(text))
