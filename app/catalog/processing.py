"""From what was read to what is emitted: one file, one entity at a time (CONTRACT 1.6).

The steps are Backstage's and in its order: placeholders, sorting, location annotations, the checks
of the envelope and of field formats, the kind's own schema, and the relations. An entity that fails
is emitted with its flaw and without a document; a file that fails emits nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import orjson

from app.catalog.emission import Emission, Flaw
from app.catalog.placeholders import MARKS, PlaceholderError, Placeholders
from app.catalog.rules import Rules
from app.model import documents, policies
from app.model.documents import Limits
from app.model.entity import Entity
from app.model.kinds import KindRegistry
from app.model.problem import Problem
from app.model.processing_error import ProcessingError
from app.ports import Content
from app.scm.readers import Readers

LOCATION = "backstage.io/managed-by-location"
ORIGIN = "backstage.io/managed-by-origin-location"
VIEW_URL = "backstage.io/view-url"
Edges: TypeAlias = tuple[tuple[str, str], ...]
# A name has 63 characters and a ref three of them; an index of PostgreSQL takes 2700 bytes.
MAX_REF_BYTES = 2000
IMPOSSIBLE_REF = f"An entity reference has a NUL character, or more than {MAX_REF_BYTES} bytes"
# Of each text that tells what an entity is that is too large to be kept.
_HEAD_CHARACTERS = 200
PLACEHOLDER_FAILURE = "Processor PlaceholderProcessor threw an error while preprocessing"


@dataclass(frozen=True, slots=True)
class Processed:
    """What a file came to: its entities, or the flaws that stopped it."""

    emissions: tuple[Emission, ...]
    flaws: tuple[Flaw, ...]
    fingerprints: Mapping[str, str]


class FileProcessor(Protocol):
    """What ingesting needs of a `Processor`."""

    @property
    def readers(self) -> Readers:
        """Answer what reads places."""

    def file(self, content: Content, origin: str) -> Processed:
        """Process a catalog file of a tree of locations that began at `origin`."""

    def entity(self, entity: Entity, origin: str) -> Emission:
        """Process one entity whose envelope is known to be sound."""


@dataclass(frozen=True, slots=True)
class Processor:
    """Turns files and entities into emissions; holds no state between calls."""

    kinds: KindRegistry
    rules: Rules
    readers: Readers
    limits: Limits

    def file(self, content: Content, origin: str) -> Processed:
        """Process a catalog file of a tree of locations that began at `origin`.

        As in Backstage, one document that cannot be read, has no object for annotations, or is of a
        kind that the rules refuse, stops the whole file; one that is merely invalid stops nothing
        but itself.
        """
        entities, flaws = list[Entity](), list[Flaw]()
        for found in documents.iterate(content.data, content.location, self.limits):
            if isinstance(found, Problem):
                flaws.append(_flaw_of(found))
            elif (flaw := self._refusal(found, origin, content.data)) is not None:
                flaws.append(flaw)
            else:
                entities.append(found)
        if flaws:
            return Processed((), tuple(flaws), {})
        placeholders = self._placeholders(content)
        emissions = tuple(
            self.entity(entity, origin, content.data, placeholders) for entity in entities
        )
        return Processed(emissions, (), placeholders.fingerprints if placeholders else {})

    def _placeholders(self, content: Content) -> Placeholders | None:
        """Look for placeholders only in a file whose text has one."""
        if not any(mark in content.data for mark in MARKS):
            return None
        return Placeholders(self.readers, content.location)

    def _refusal(self, entity: Entity, origin: str, text: bytes) -> Flaw | None:
        error = policies.check_envelope(entity.data)
        if error is None and not isinstance(_own_annotations(entity.data["metadata"]), dict):
            error = ProcessingError(
                "Error", "metadata.annotations must be a valid object", "/metadata/annotations"
            )
        if error is None and not self.rules.admit(entity.data, origin):
            error = ProcessingError(
                "NotAllowedError",
                f"Entity {entity.ref} at {entity.location}, originated at {origin}, "
                "is not of an allowed kind for that location",
                pointer="/kind",
            )
        return None if error is None else _flaw(error, entity, text)

    def entity(
        self,
        entity: Entity,
        origin: str,
        text: bytes = b"",
        placeholders: Placeholders | None = None,
    ) -> Emission:
        """Process one entity whose envelope is known to be sound.

        `text` is the file it stands in, for naming the line and column of a flaw.
        """
        data = _located(entity, origin)
        ref = policies.ref_text(data)
        unprocessed = orjson.dumps(data)
        if (excess := self._excess(unprocessed)) is not None:
            return _invalid(ref, entity, _head(data), _flaw(excess, entity, b""))
        try:
            if placeholders is not None:
                data = placeholders.entity(data)
        except PlaceholderError as error:
            cause = ProcessingError("Error", str(error), error.pointer)
            failure = ProcessingError.caused("InputError", PLACEHOLDER_FAILURE, cause)
            return _invalid(ref, entity, unprocessed, _flaw(failure, entity, text))
        outcome = self._steps(data)
        if isinstance(outcome, ProcessingError):
            return _invalid(ref, entity, unprocessed, _flaw(outcome, entity, text))
        document, relations = outcome
        return Emission(ref, entity.location, entity.line, document, unprocessed, relations)

    def _steps(self, data: dict[str, Any]) -> tuple[bytes, Edges] | ProcessingError:
        """Run the steps that need nothing but the entity."""
        policies.presort(data)
        data = policies.sanitize_annotations(_with_view_url(data))
        error = policies.check_fields(data)
        if error is not None:
            return error
        error = self.kinds.validate(data)
        if error is not None:
            return error
        relations = self.kinds.relations_of(data)
        if isinstance(relations, ProcessingError):
            return relations
        edges = tuple((relation.type, str(relation.target)) for relation in relations)
        if not all(is_storable(target) for _, target in edges):
            return ProcessingError("InputError", IMPOSSIBLE_REF, "/spec")
        document = orjson.dumps(data)
        return self._excess(document) or (document, edges)

    def _excess(self, document: bytes) -> ProcessingError | None:
        if len(document) <= self.limits.entity:
            return None
        return ProcessingError(
            "InputError",
            f"The entity has {len(document)} bytes as JSON, more than the {self.limits.entity} "
            "that catalog.limits.maxEntityBytes allows",
        )

    def relations_of(self, data: Mapping[str, Any]) -> Edges:
        """Derive the edges of an entity that was processed before."""
        relations = self.kinds.relations_of(data)
        if isinstance(relations, ProcessingError):
            return ()
        return tuple((relation.type, str(relation.target)) for relation in relations)


def _located(entity: Entity, origin: str) -> dict[str, Any]:
    """Copy an entity and note where it was found; what its file says about that is overruled."""
    metadata = dict(entity.data["metadata"])
    own = _own_annotations(metadata)
    if isinstance(own, dict):
        metadata["annotations"] = {**own, LOCATION: entity.location, ORIGIN: origin}
    return {**entity.data, "metadata": metadata}


def _own_annotations(metadata: Mapping[str, Any]) -> Any:
    """Answer the annotations as they were written; what is false to JavaScript counts as none."""
    own = metadata.get("annotations")
    return {} if not own and not isinstance(own, list) else own


def _with_view_url(data: dict[str, Any]) -> dict[str, Any]:
    """Say where an entity from a URL can be looked at, unless its file says so (CONTRACT 1.4)."""
    annotations = data["metadata"].get("annotations")
    if not isinstance(annotations, dict) or VIEW_URL in annotations:
        return data
    kind, _, target = annotations[LOCATION].partition(":")
    if kind != "url":
        return data
    annotations = {**annotations, VIEW_URL: target}
    return {**data, "metadata": {**data["metadata"], "annotations": annotations}}


def _head(data: Mapping[str, Any]) -> bytes:
    """Keep of an entity that is too large what tells which it is and where it was found."""
    metadata = data["metadata"]
    own = metadata.get("annotations")
    places = {name: own[name] for name in (LOCATION, ORIGIN)} if isinstance(own, dict) else {}
    names = {
        name: metadata[name][:_HEAD_CHARACTERS]
        for name in ("name", "namespace")
        if isinstance(metadata.get(name), str)
    }
    return orjson.dumps(
        {
            **{name: data[name][:_HEAD_CHARACTERS] for name in ("apiVersion", "kind")},
            "metadata": {**names, "annotations": places},
        }
    )


def is_storable(ref: str) -> bool:
    """Tell whether a database can hold a ref; every valid one is far from the limits."""
    return "\0" not in ref and len(ref.encode()) <= MAX_REF_BYTES


def _storable(ref: str) -> str:
    """Make a ref that cannot be valid fit to be remembered."""
    if is_storable(ref):
        return ref
    digest = hashlib.sha256(ref.encode()).hexdigest()[:16]
    return f"{ref[:100]}…{digest}".replace("\0", "\ufffd")


def _invalid(ref: str, entity: Entity, unprocessed: bytes, flaw: Flaw) -> Emission:
    return Emission(_storable(ref), entity.location, entity.line, None, unprocessed, (), (flaw,))


def _flaw_of(problem: Problem) -> Flaw:
    return Flaw({"name": problem.name, "message": problem.message}, problem)


def _flaw(error: ProcessingError, entity: Entity, text: bytes) -> Flaw:
    line, column = (
        documents.position_in(text, entity.line, error.pointer) if text else (entity.line, 0)
    )
    ref = policies.ref_text(entity.data) if error.name != "TypeError" else ""
    problem = Problem(entity.location, error.message, error.name, line, column, error.pointer, ref)
    return Flaw(error.serialized(), problem)
