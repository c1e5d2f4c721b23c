"""What is pushed, before anything is written: entities as their source computed them, checked.

They are processed as those of any other source, and held to the rules at the source's own address.
Where an entity was found is what it says itself, if that is a URL; but only its source's address
counts when several sources describe one entity, so that no source takes over what is another's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from app.catalog.emission import Emission
from app.catalog.processing import LOCATION, Processor, is_storable
from app.catalog.rules import Rules
from app.catalog.runs import Guard
from app.catalog.validation import url_location
from app.errors import InputError
from app.model import policies
from app.model.entity import Entity
from app.model.nesting import is_deeper
from app.model.processing_error import ProcessingError
from app.model.ref import EntityRef
from app.scm.addresses import is_url

PREFIX = "push:"


@dataclass(frozen=True, slots=True)
class PushedSource:
    """A source that is pushed: who may do so, what it may hold, and the URL that stands for it."""

    name: str
    url: str
    subjects: frozenset[str]
    rules: Rules
    guard: Guard
    max_entities: int
    max_bytes: int

    @property
    def source(self) -> str:
        """Answer what the source is called in the graph."""
        return f"{PREFIX}{self.name}"

    @property
    def location(self) -> str:
        """Answer the location ref of what says nothing about where it was found."""
        return f"url:{self.url}"


@dataclass(frozen=True, slots=True)
class Push:
    """What is pushed: all there is, or with a `base` what differs from that version."""

    version: int
    entities: Sequence[Mapping[str, Any]]
    deleted: Sequence[str] = ()
    base: int | None = None

    @property
    def digest(self) -> str:
        """Stand for the content, whatever the order of the keys of objects."""
        content = [self.base, self.entities, self.deleted]
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()

    @property
    def list_name(self) -> str:
        """Answer what the list of entities is called in the request."""
        return "entities" if self.base is None else "upsert"


@dataclass(frozen=True, slots=True)
class PushProblem:
    """What is wrong with what was pushed: the JSON pointer into the request, and the error."""

    pointer: str
    name: str
    message: str
    ref: str = ""


@dataclass(slots=True)
class Checked:
    """What is to be written, what is to be removed, and what is wrong.

    `spared` are refs of which something was pushed that cannot be written: they stay.
    """

    emissions: list[Emission] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    spared: set[str] = field(default_factory=set)
    problems: list[PushProblem] = field(default_factory=list)


def check_push(push: Push, source: PushedSource, processor: Processor) -> Checked:
    """Process what is pushed; raises `InputError` if it is too much."""
    if len(push.entities) + len(push.deleted) > source.max_entities:
        raise InputError(
            f"{source.source} may push at most {source.max_entities} entities at once "
            f"(callboard.push.sources.{source.name}.maxEntities)"
        )
    checked, seen = Checked(), dict[str, str]()
    for number, data in enumerate(push.entities):
        pointer = f"/{push.list_name}/{number}"
        error = _refusal(data, source, processor)
        if error is not None:
            checked.spared |= set(_refs(data))
            checked.problems.append(_problem(pointer, error, next(_refs(data), "")))
            continue
        entity = Entity(data, _location(data, source))
        emission = processor.entity(entity, source.location)
        if emission.ref in seen:
            message = f"{emission.ref} is there already, at {seen[emission.ref]}"
            error = ProcessingError("ConflictError", message)
            checked.problems.append(_problem(pointer, error, emission.ref))
            continue
        seen[emission.ref] = pointer
        checked.emissions.append(replace(emission, location=source.location))
        for flaw in emission.flaws:
            problem = flaw.problem
            error = ProcessingError(problem.name, problem.message, problem.pointer)
            checked.problems.append(_problem(pointer, error, emission.ref))
    _check_deleted(push, seen, checked)
    return checked


def _refusal(
    data: Mapping[str, Any], source: PushedSource, processor: Processor
) -> ProcessingError | None:
    """Tell why there can be no such entity here at all."""
    deepest = processor.limits.depth
    if is_deeper(data, deepest):
        return ProcessingError(
            "InputError", f"The entity is nested more than {deepest} levels deep"
        )
    error = policies.check_envelope(data)
    if error is not None:
        return error
    if not source.rules.admit(data, source.location):
        message = f"Entity {policies.ref_text(data)} is not of a kind that {source.source} may push"
        return ProcessingError("NotAllowedError", message, "/kind")
    return None


def _location(data: Mapping[str, Any], source: PushedSource) -> str:
    annotations = data["metadata"].get("annotations")
    said = annotations.get(LOCATION) if isinstance(annotations, Mapping) else None
    place = url_location(said) if isinstance(said, str) else None
    if isinstance(place, str) and is_url(place.partition(":")[2]):
        return place
    return source.location


def _check_deleted(push: Push, seen: Mapping[str, str], checked: Checked) -> None:
    for number, text in enumerate(push.deleted):
        pointer = f"/delete/{number}"
        try:
            ref = str(EntityRef.parse(text))
        except InputError as error:
            checked.problems.append(PushProblem(pointer, "InputError", str(error)))
            continue
        if ref in seen:
            message = f"{ref} is to be written as well, at {seen[ref]}"
            checked.problems.append(PushProblem(pointer, "ConflictError", message, ref))
        elif is_storable(ref):
            checked.deleted.add(ref)


def _refs(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ref that something malformed has, if it can be told."""
    metadata = data.get("metadata")
    if isinstance(metadata, Mapping):
        parts = data.get("kind"), metadata.get("name"), metadata.get("namespace", "default")
        if all(isinstance(part, str) for part in parts):
            yield policies.ref_text(data)


def _problem(pointer: str, error: ProcessingError, ref: str) -> PushProblem:
    return PushProblem(f"{pointer}{error.pointer}", error.name, error.message, ref)
