"""Which reader reads which type of location."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.errors import InputError
from app.ports import LocationReader


@dataclass(frozen=True, slots=True)
class Readers:
    """The readers by type of location (`file`, `url`)."""

    by_type: Mapping[str, LocationReader]

    def reader(self, location_type: str) -> LocationReader:
        """Answer the reader of a type; raises `InputError` for a type nobody reads."""
        found = self.by_type.get(location_type)
        if found is None:
            known = ", ".join(sorted(self.by_type))
            raise InputError(f"No reader for locations of type {location_type!r}; known: {known}")
        return found
