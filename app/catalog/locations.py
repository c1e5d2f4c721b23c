"""`Location` entities: what they point at, and how their targets are read (CONTRACT 1.6)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from app.catalog.emission import Flaw
from app.catalog.processing import LOCATION, ORIGIN
from app.errors import CallboardError, InputError, NotFoundError
from app.model.entity import CatalogFile, Entity
from app.model.problem import Problem
from app.ports import Content, Reading
from app.scm.readers import Readers
from app.scm.reading import error_name

API_VERSION = "backstage.io/v1alpha1"
# What a location may point at if it is not of its parent's own type.
ALLOWED_TYPES = ("url",)


@dataclass(frozen=True, slots=True)
class Target:
    """One thing a Location names, absolute and with its type."""

    type: str
    path: str

    @property
    def location(self) -> str:
        """Answer the location ref."""
        return f"{self.type}:{self.path}"


@dataclass(frozen=True, slots=True)
class LocationEntity:
    """A Location as the graph holds it: which emission it is, and what it says.

    Unless it `is_newest`, its newest content is not valid and `data` is what it said before.
    """

    ref_id: int
    ref: str
    emission_id: int
    source: str
    data: Mapping[str, Any]
    is_newest: bool = True
    hash: bytes = b""

    @property
    def location(self) -> str:
        """Answer the place this Location itself was found in."""
        return str(self._annotation(LOCATION))

    @property
    def origin(self) -> str:
        """Answer the place its tree of locations began at."""
        return str(self._annotation(ORIGIN))

    @property
    def is_optional(self) -> bool:
        """Tell whether a target may be missing."""
        return self._spec.get("presence") == "optional"

    @property
    def type(self) -> str:
        """Answer the type of its targets: its own, or that of the place it was found in."""
        return str(self._spec.get("type") or self.location.partition(":")[0])

    def targets(self, readers: Readers) -> Iterator[Target]:
        """Answer every target; raises `InputError` for one of a type that may not be read."""
        found_in, _, base = self.location.partition(":")
        if self.type != found_in and self.type not in ALLOWED_TYPES:
            allowed = ",".join(f'"{name}"' for name in ALLOWED_TYPES)
            raise InputError(f"Registered locations must be of an allowed type [{allowed}]")
        reader = readers.of(self.type)
        for target in self._written():
            path = reader.resolve(target, base) if self.type == found_in else target
            yield Target(self.type, path)

    def _written(self) -> list[str]:
        one, many = self._spec.get("target"), self._spec.get("targets") or ()
        return [str(target) for target in (one, *many) if target]

    @property
    def _spec(self) -> Mapping[str, Any]:
        return self.data.get("spec") or {}

    def _annotation(self, name: str) -> Any:
        return self.data["metadata"]["annotations"][name]


def generated(location_type: str, target: str, presence: str = "") -> Entity:
    """Make the Location entity that stands for a configured or registered location."""
    location = f"{location_type}:{target}"
    spec = {"type": location_type, "target": target}
    if presence:
        spec["presence"] = presence
    metadata = {"name": generated_name(location_type, target)}
    return Entity(
        {"apiVersion": API_VERSION, "kind": "Location", "metadata": metadata, "spec": spec},
        location,
    )


def generated_name(location_type: str, target: str) -> str:
    """Name a generated Location as Backstage does: by the SHA-1 of its location ref."""
    digest = hashlib.sha1(f"{location_type}:{target}".encode(), usedforsecurity=False)
    return f"generated-{digest.hexdigest()}"


@dataclass(frozen=True, slots=True)
class TargetRead:
    """What reading one target came to: its contents, or the flaw."""

    target: Target
    contents: tuple[Content, ...] = ()
    fingerprint: str = ""
    flaw: Flaw | None = None


def read_target(readers: Readers, location: LocationEntity, target: Target) -> TargetRead:
    """Read a target; a failure is answered, not raised."""
    try:
        reading = readers.of(target.type).read(target.path)
    except NotFoundError as error:
        if location.is_optional:
            return TargetRead(target)
        return TargetRead(target, flaw=flaw_at(target.location, error))
    except CallboardError as error:
        return TargetRead(target, flaw=flaw_at(target.location, error))
    if not isinstance(reading, Reading):
        return TargetRead(target)
    return TargetRead(target, reading.contents, reading.fingerprint)


def read_targets(
    readers: Readers, location: LocationEntity, given: CatalogFile | None = None
) -> Iterator[TargetRead]:
    """Read every target, unless what they hold is `given`; failures are answered, not raised."""
    try:
        for target in location.targets(readers):
            if given is not None:
                content = Content(given.location, given.content, given.commit)
                yield TargetRead(target, (content,), given.fingerprint)
            else:
                yield read_target(readers, location, target)
    except InputError as error:
        yield TargetRead(Target("", ""), flaw=flaw_at(location.location, error))


def places_of(readers: Readers, location: LocationEntity) -> set[str]:
    """Answer where a Location points, as far as that makes sense."""
    places = set[str]()
    with suppress(InputError):
        places.update(target.location for target in location.targets(readers))
    return places


def is_unchanged(readers: Readers, location: str, fingerprint: str) -> bool:
    """Tell whether a place still holds what it held; one that cannot be read counts as changed."""
    kind, _, path = location.partition(":")
    try:
        return readers.of(kind).read(path, fingerprint) is None
    except CallboardError:
        return False


def flaw_at(location: str, error: CallboardError) -> Flaw:
    """Make the flaw of a place that could not be read."""
    name = error_name(error)
    return Flaw({"name": name, "message": str(error)}, Problem(location, str(error), name))
