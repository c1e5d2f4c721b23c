"""Two descriptions of one entity: how the one that does not count is reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from app.catalog.emission import Emission, Flaw
from app.model.problem import Problem

_NAME = "ConflictError"


def conflict(emission: Emission, place: str) -> Flaw:
    """Say that a name is taken; it resolves itself when the other one goes."""
    return waits(emission.ref, emission.location, emission.line, place)


def waits(ref: str, location: str, line: int, place: str) -> Flaw:
    """Say that what is described at a location waits for `place` to give up its name."""
    message = f"{ref} is already described by {place}, which keeps the name"
    return _clash((ref, location, line), message)


def is_conflict(flaw: Flaw) -> bool:
    """Tell whether a flaw is a conflict that waits to resolve itself."""
    return flaw.problem.name == _NAME and bool(flaw.problem.ref) and not flaw.is_notice


def duplicates(emissions: Sequence[Emission]) -> Iterator[Flaw]:
    """Say which documents of a file are overruled by a later one of the same name."""
    last = {emission.ref: emission for emission in emissions}
    for emission in emissions:
        later = last[emission.ref]
        if later is not emission:
            message = f"{emission.ref} is described again on line {later.line}, which counts"
            where = (emission.ref, emission.location, emission.line)
            yield _notice(_clash(where, message), emission)


def rivalries(lost: Iterable[tuple[Emission, str]]) -> Iterator[Flaw]:
    """Say of names that another file of the same Location has them."""
    for emission, place in lost:
        yield _notice(conflict(emission, place), emission)


def _notice(flaw: Flaw, emission: Emission) -> Flaw:
    """Make a flaw one that is told but no failure.

    It is kept with the Location that holds both; whom it is about is said in it.
    """
    return replace(flaw, error={**flaw.error, "ref": emission.ref}, is_notice=True)


def _clash(where: tuple[str, str, int], message: str) -> Flaw:
    ref, location, line = where
    problem = Problem(location, message, _NAME, line, 1, "", ref)
    return Flaw({"name": _NAME, "message": message}, problem)
