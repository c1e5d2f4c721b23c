"""What a rehearsal came to, and which of the flaws that it met are there in the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import orjson

from app.catalog.clashes import is_conflict, kept_by
from app.catalog.emission import Flaw
from app.graph.preview_store import ChangeRow, EdgeRow, PreviewStore
from app.model.problem import Problem


@dataclass(slots=True)
class Rehearsed:
    """What a rehearsal came to: the changes and the flaws, with the documents and edges around.

    `unknown` are given files that nothing reads, `skipped` those among them that were left out.
    `of_sources` is what is wrong with sources, of which no entity could tell.
    """

    changes: list[ChangeRow] = field(default_factory=list)
    before: Mapping[str, bytes] = field(default_factory=dict)
    after: Mapping[str, bytes] = field(default_factory=dict)
    edges_before: set[EdgeRow] = field(default_factory=set)
    edges_after: set[EdgeRow] = field(default_factory=set)
    flaws: list[Flaw] = field(default_factory=list)
    known_flaws: set[tuple[str, str]] = field(default_factory=set)
    of_sources: set[Problem] = field(default_factory=set)
    unknown: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    files: Mapping[str, bytes | None] = field(default_factory=dict)


def lasting(found: Rehearsed, store: PreviewStore) -> Iterator[Flaw]:
    """Leave out what was wrong on the way only, because one place was read before another."""
    known = store.problems()
    refs = {flaw.problem.ref for flaw in found.flaws if is_conflict(flaw)}
    conflicts = store.conflicts(refs)
    for flaw in found.flaws:
        problem = flaw.problem
        if is_conflict(flaw):
            holder = conflicts.get((problem.ref, problem.location))
            if holder is not None:
                yield kept_by(flaw, holder)
        elif problem in found.of_sources or (problem.location, _error(flaw)) in known:
            yield flaw


def _error(flaw: Flaw) -> str:
    return orjson.dumps(flaw.error).decode()
