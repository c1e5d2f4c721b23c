"""What processing has against an entity, in the form that statuses and the catalog API show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ProcessingError:
    """One thing that is wrong with an entity, and what it was caused by.

    `name` is the class of the error in Backstage, `message` its whole text (the cause included),
    `pointer` the JSON pointer of the field to look at.
    """

    name: str
    message: str
    pointer: str = ""
    cause: ProcessingError | None = None

    @classmethod
    def caused(cls, name: str, message: str, cause: ProcessingError) -> ProcessingError:
        """Wrap an error the way Backstage's errors carry theirs; it keeps the place."""
        return cls(name, f"{message}; caused by {cause}", cause.pointer, cause)

    def serialized(self) -> dict[str, Any]:
        """Say it as `errors[]` of the API and `error` of a status item do."""
        cause = {"cause": self.cause.serialized()} if self.cause else {}
        return {"name": self.name, "message": self.message, **cause}

    def status_item(self) -> dict[str, Any]:
        """Say it as an item of the entity's `status`."""
        return {
            "type": "backstage.io/catalog-processing",
            "level": "error",
            "message": str(self),
            "error": self.serialized(),
        }

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"
