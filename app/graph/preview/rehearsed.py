"""What a rehearsal came to, and which of the flaws that it met are there in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from app.catalog.clashes import is_conflict, waits
from app.catalog.emission import Flaw
from app.graph.preview.store import ChangeRow, EdgeRow, PreviewStore
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


def settle_flaws(found: Rehearsed, before: PreviewStore, after: PreviewStore) -> None:
    """Leave out what was wrong on the way only, because one place was read before another.

    Names that are taken are told by how they are in the end.
    """
    told = {(f.problem.ref, f.problem.location) for f in found.flaws if is_conflict(f)}
    problems = after.problems()
    found.flaws = [
        flaw
        for flaw in found.flaws
        if not is_conflict(flaw)
        and (flaw.problem in found.of_sources or known_as(flaw) in problems)
    ]
    refs = {change.ref for change in found.changes} | {ref for ref, _ in told}
    waited = {(row.ref, row.location) for row in before.conflicts(refs)}
    for row in sorted(after.conflicts(refs)):
        who = (row.ref, row.location)
        flaw = waits(*row)
        if who not in waited:
            found.flaws.append(flaw)
        elif who in told:
            found.flaws.append(flaw)
            found.known_flaws.add(known_as(flaw))


def known_as(flaw: Flaw) -> tuple[str, str]:
    """Answer what a flaw is remembered as: its place, and the error as it is kept."""
    return flaw.problem.location, orjson.dumps(flaw.error).decode()
