"""`POST /validate-entity`: whether an entity would be accepted from a location, and why not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from app.catalog.dry_run import DryRuns, Walk, as_location
from app.catalog.placeholders import MARKS
from app.catalog.processing import Processor
from app.model import policies
from app.model.entity import Entity
from app.model.nesting import is_deeper
from app.model.processing_error import ProcessingError

Errors = list[Mapping[str, Any]]
_SCRIPT = re.compile(r"[\x00-\x1f ]*" + r"[\r\n\t]*".join("javascript:"), re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class EntityValidator:
    """Processes entities that callers hold in their hands.

    Everything counts that would count in a file: placeholders are read, and so are the targets of a
    Location, whose content has to be of kinds that the location may hold. Nothing is stored.
    """

    processor: Processor
    dry_runs: DryRuns

    def errors(self, data: Mapping[str, Any], location: str) -> Errors:
        """Answer what is wrong with an entity found at a location ref; nothing if it is valid.

        Where it was found is up to `location` alone, whatever annotations of the entity say. Raises
        `ServiceUnavailableError` if reading for callers takes all the room there is.
        """
        problem = self._too_deep(data) or policies.check_envelope(data)
        place = problem or url_location(location)
        if isinstance(place, ProcessingError):
            return [place.serialized()]
        entity = Entity(data, place)
        if not _reads(data):
            return self._processed(entity, None)
        with self.dry_runs.walk() as walk:
            return self._processed(entity, walk)

    def _processed(self, entity: Entity, walk: Walk | None) -> Errors:
        place = entity.location
        placeholders = walk.placeholders(place) if walk else None
        emission = self.processor.entity(entity, place, placeholders=placeholders)
        flaws = emission.flaws
        if walk and emission.document is not None and emission.is_location:
            data = orjson.loads(emission.document)
            flaws = tuple(walk.below(as_location(emission, data)).flaws)
        return [flaw.error for flaw in flaws]

    def _too_deep(self, data: Mapping[str, Any]) -> ProcessingError | None:
        """Hold what was never in a file to the depth that files are held to."""
        deepest = self.processor.limits.depth
        if not is_deeper(data, deepest):
            return None
        return ProcessingError(
            "InputError", f"The entity is nested more than {deepest} levels deep"
        )


def url_location(ref: str) -> str | ProcessingError:
    """Read a location ref, which has to be of type `url`."""
    kind, colon, target = (part.strip() for part in ref.partition(":"))
    if not (colon and kind and target):
        message = "expected '<type>:<target>', e.g. 'url:https://host/path'"
        return ProcessingError("TypeError", f"Unable to parse location ref '{ref}', {message}")
    if kind in ("http", "https"):
        message = f"please prefix it with 'url:', e.g. 'url:{ref}'"
        return ProcessingError("TypeError", f"Invalid location ref '{ref}', {message}")
    if _SCRIPT.match(target):
        message = f"Invalid location ref '{ref}', target is a javascript: URL"
        return ProcessingError("TypeError", message)
    if kind != "url":
        message = "only 'url:<target>' is supported, e.g. url:https://host/path"
        return ProcessingError("TypeError", f"Invalid location ref {ref}, {message}")
    return f"{kind}:{target}"


def _reads(data: Mapping[str, Any]) -> bool:
    """Tell whether processing may have to read something: most entities say all there is to say."""
    if data["kind"].lower() == "location":
        return True
    text = orjson.dumps(data)
    return any(mark in text for mark in MARKS)
