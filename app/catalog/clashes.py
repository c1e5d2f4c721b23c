"""Two descriptions of one entity: how the one that does not count is reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from app.catalog.emission import Emission, Flaw
from app.model.problem import Problem


def conflict(emission: Emission, place: str) -> Flaw:
    """Say that a name is taken; it resolves itself when the other one goes."""
    message = f"{emission.ref} is already described by {place}, which keeps the name"
    return _clash(emission, message)


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
    name = "ConflictError"
    problem = Problem(emission.location, message, name, emission.line, 1, "", emission.ref)
    return Flaw({"name": name, "message": message}, problem)
