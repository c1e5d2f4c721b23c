"""Two descriptions of one entity: how the one that does not count is reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from app.catalog.emission import Emission, Flaw
from app.model.problem import Problem

_NAME = "ConflictError"


def conflict(emission: Emission, place: str) -> Flaw:
    """Say that a name is taken; it resolves itself when the other one goes."""
    return _clash(emission, _taken(emission.ref, place))


def kept_by(flaw: Flaw, place: str) -> Flaw:
    """Say of a conflict that by now another place keeps the name."""
    message = _taken(flaw.problem.ref, place)
    problem = replace(flaw.problem, message=message)
    return replace(flaw, error={**flaw.error, "message": message}, problem=problem)


def is_conflict(flaw: Flaw) -> bool:
    """Tell whether a flaw is a conflict that waits to resolve itself."""
    return flaw.problem.name == _NAME and bool(flaw.problem.ref) and not flaw.is_notice


def _taken(ref: str, place: str) -> str:
    return f"{ref} is already described by {place}, which keeps the name"


def duplicates(emissions: Sequence[Emission]) -> Iterator[Flaw]:
    """Say which documents of a file are overruled by a later one of the same name."""
    last = {emission.ref: emission for emission in emissions}
    for emission in emissions:
        later = last[emission.ref]
        if later is not emission:
            message = f"{emission.ref} is described again on line {later.line}, which counts"
            yield _notice(_clash(emission, message), emission)


def rivalries(lost: Iterable[tuple[Emission, str]]) -> Iterator[Flaw]:
    """Say of names that another file of the same Location has them."""
    for emission, place in lost:
        yield _notice(conflict(emission, place), emission)


def _notice(flaw: Flaw, emission: Emission) -> Flaw:
    """Make a flaw one that is told but no failure.

    It is kept with the Location that holds both; whom it is about is said in it.
    """
    return replace(flaw, error={**flaw.error, "ref": emission.ref}, is_notice=True)


def _clash(emission: Emission, message: str) -> Flaw:
    problem = Problem(emission.location, message, _NAME, emission.line, 1, "", emission.ref)
    return Flaw({"name": _NAME, "message": message}, problem)
