"""Registered locations: what callers told the catalog to read (CONTRACT 1.8 "Locations").

Each is a row and a Location entity emitted by the source `registered`. What the entity leads to is
read by the background worker, which is asked for it in the same transaction; so nothing here waits
for anything to be read, and a registration that is acknowledged is read even if this process dies.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import orjson

from app.catalog.causes import called_by
from app.catalog.claims import Claims
from app.catalog.emission import Counts, Emission, Parent
from app.catalog.location_query import LocationQuery
from app.catalog.locations import ALLOWED_TYPES, generated
from app.catalog.processing import ORIGIN, Processor
from app.catalog.reading import storable
from app.catalog.registered_store import RegisteredLocation, RegisteredStore
from app.catalog.stitching import Stitcher
from app.catalog.validation import url_location
from app.catalog.writing import GraphWriter
from app.errors import ConflictError, InputError, NotFoundError
from app.model.entity import Entity
from app.model.processing_error import ProcessingError
from app.model.ref import EntityRef
from app.model.uid import new_uid

REGISTERED = "registered"
# Longer ones do not fit into an index of PostgreSQL, and no server would take them.
# Locations looked at in one transaction when they are restored.
AT_ONCE = 500
MAX_TARGET = 2000

OnConflict = Literal["reject", "refresh"]


@dataclass(frozen=True, slots=True)
class LocationPage:
    """Some of the locations that match, how many match, and the cursor to what follows."""

    items: list[RegisteredLocation]
    total: int
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class RegisteredLocations:
    """Registers, finds, moves and removes locations.

    `on_conflict` says what becomes of registering what is registered, if the caller does not:
    it is refused, or read again (`catalog.defaultLocationConflictStrategy`).
    """

    writer: GraphWriter
    stitcher: Stitcher
    processor: Processor
    on_conflict: OnConflict = "reject"

    # -- finding ----------------------------------------------------------------------------------

    def all(self) -> list[RegisteredLocation]:
        """Answer every registered location."""
        with self.writer.look() as graph:
            return RegisteredStore(graph.sql).all()

    def query(self, query: LocationQuery) -> LocationPage:
        """Answer a page of the locations that match."""
        with self.writer.look() as graph:
            store = RegisteredStore(graph.sql)
            if query.matches is None:
                total = store.count()
                found = store.page(query.after, query.limit + 1)
            else:
                matching = list(filter(query.matches, store.all()))
                total = len(matching)
                found = [item for item in matching if item.id > query.after]
        page = found[: query.limit]
        return LocationPage(page, total, query.cursor(page[-1]) if len(found) > len(page) else None)

    def get(self, location_id: str) -> RegisteredLocation:
        """Answer one location; raises `NotFoundError`."""
        with self.writer.look() as graph:
            return _known(RegisteredStore(graph.sql), location_id)

    def exists(self, location_type: str, target: str) -> bool:
        """Tell whether a location is registered."""
        with self.writer.look() as graph:
            return RegisteredStore(graph.sql).find(location_type, target) is not None

    def of_entity(self, kind: str, namespace: str, name: str) -> RegisteredLocation:
        """Answer the location that an entity came from; raises `NotFoundError`."""
        ref = str(EntityRef.of(kind, namespace, name))
        with self.writer.look() as graph:
            ref_id = graph.known_refs([ref]).get(ref) if storable(ref) else None
            if ref_id is None or not graph.emissions_of([ref_id]):
                raise NotFoundError(f"found no entity for ref {ref}")
            served = graph.served_document(ref_id)
            annotations = orjson.loads(served)["metadata"].get("annotations", {}) if served else {}
            if not annotations.get(ORIGIN):
                raise NotFoundError(f"found no origin annotation for ref {ref}")
            location_type, _, target = annotations[ORIGIN].partition(":")
            found = RegisteredStore(graph.sql).find(location_type, target)
        if found is None:
            raise NotFoundError(f"Found no location with type {location_type} and target {target}")
        return found

    # -- changing ---------------------------------------------------------------------------------

    def register(
        self,
        location_type: str,
        target: str,
        on_conflict: OnConflict | None = None,
        actor: str = "",
    ) -> RegisteredLocation:
        """Register a location, or have the one that is there read again.

        Raises `InputError` for what may not be registered and `ConflictError` for what is already.
        """
        check_location(location_type, target)
        with self.writer.begin(called_by(actor)) as claims:
            store = RegisteredStore(claims.store.sql)
            known = store.find(location_type, target)
            if known is not None and (on_conflict or self.on_conflict) == "reject":
                raise _taken(known)
            location = known or _new(store, location_type, target)
            self._emit(claims, location)
        return location

    def move(
        self, location_id: str, location_type: str, target: str, actor: str = ""
    ) -> RegisteredLocation:
        """Make a location point elsewhere; it keeps its id and its entity.

        Raises `InputError`, `NotFoundError` or `ConflictError`.
        """
        check_location(location_type, target)
        with self.writer.begin(called_by(actor)) as claims:
            store = RegisteredStore(claims.store.sql)
            other = store.find(location_type, target)
            if other is not None and other.id != location_id:
                raise _taken(other)
            known = _known(store, location_id)
            location = known._replace(type=location_type, target=target)
            store.move(location)
            self._emit(claims, location)
        return location

    def remove(self, location_id: str, actor: str = "") -> None:
        """Remove a location, its entity, and at once everything that only they led to.

        Raises `NotFoundError`.
        """
        trigger = called_by(actor)
        with self.writer.begin(trigger) as claims:
            store, graph = RegisteredStore(claims.store.sql), claims.store
            location = _known(store, location_id)
            store.delete(location.id)
            ref_id = graph.known_refs([location.entity_ref]).get(location.entity_ref, 0)
            rows = [
                row
                for row in graph.emissions_of([ref_id])[ref_id]
                if (row.parent, row.source) == (0, REGISTERED)
            ]
            why = trigger.cause(location=location.location)
            claims.release(rows, Counts(), why=why, eager=True)
            self.stitcher.stitch_in(graph, claims.gone)
            if graph.emissions_of([ref_id]):
                # Some other source emits the same Location, which is its own to read from now on.
                _ask(claims, ref_id)
        self.stitcher.stitch_all()

    def restore(self) -> int:
        """Emit Locations anew that were deleted though they are still registered; count them."""
        with self.writer.look() as graph:
            locations = RegisteredStore(graph.sql).all()
        restored = 0
        for start in range(0, len(locations), AT_ONCE):
            restored += self._restore(locations[start : start + AT_ONCE])
        return restored

    def _restore(self, locations: list[RegisteredLocation]) -> int:
        with self.writer.begin() as claims:
            store, graph = RegisteredStore(claims.store.sql), claims.store
            refs = graph.known_refs([location.entity_ref for location in locations])
            emitted = graph.emissions_of(refs.values())
            missing = [
                location
                for location in locations
                if not any(
                    (row.parent, row.source) == (0, REGISTERED)
                    for row in emitted.get(refs.get(location.entity_ref, 0), ())
                )
                # It may have been removed or moved since it was looked at.
                and store.get(location.id) == location
            ]
            for location in missing:
                self._emit(claims, location)
        return len(missing)

    def _emit(self, claims: Claims, location: RegisteredLocation) -> None:
        (ref_id,) = claims.write(Parent(REGISTERED), [self._emission(location)], Counts()).values()
        _ask(claims, ref_id)

    def _emission(self, location: RegisteredLocation) -> Emission:
        entity = generated(location.type, location.target)
        # One that was moved is still called after where it was.
        name = location.entity_ref.rpartition("/")[2]
        data = {**entity.data, "metadata": {"name": name}}
        return self.processor.entity(Entity(data, entity.location), entity.location)


def check_location(location_type: str, target: str) -> None:
    """Tell whether a location may be registered; raises `InputError`."""
    if location_type not in ALLOWED_TYPES:
        allowed = ",".join(f'"{name}"' for name in ALLOWED_TYPES)
        raise InputError(f"Registered locations must be of an allowed type [{allowed}]")
    place = url_location(f"{location_type}:{target}")
    if isinstance(place, ProcessingError):
        raise InputError(place.message)
    if len(target.encode("utf-8", "surrogatepass")) > MAX_TARGET:
        raise InputError(f"The target of a location may have at most {MAX_TARGET} bytes")
    if not storable(target):
        raise InputError("The target of a location may not have NUL characters")


def _new(store: RegisteredStore, location_type: str, target: str) -> RegisteredLocation:
    location_id = new_uid()
    metadata = generated(location_type, target).data["metadata"]
    ref = f"location:default/{metadata['name']}"
    if store.named(ref) is not None:
        # A location that was moved away from this target has kept the entity called after it.
        digest = hashlib.sha1(f"{ref} {location_id}".encode(), usedforsecurity=False)
        ref = f"location:default/generated-{digest.hexdigest()}"
    location = RegisteredLocation(location_id, location_type, target, ref)
    store.insert(location)
    return location


def _known(store: RegisteredStore, location_id: str) -> RegisteredLocation:
    found = store.get(location_id) if storable(location_id) else None
    if found is None:
        raise NotFoundError(f"Found no location with ID {location_id}")
    return found


def _taken(location: RegisteredLocation) -> ConflictError:
    return ConflictError(f"Location {location.location} already exists")


def _ask(claims: Claims, ref_id: int) -> None:
    """Have a Location read soon, whatever it looked like before."""
    claims.store.forget_fingerprints([ref_id])
    claims.store.ask_for([ref_id], new_uid(), claims.now)
