"""What ingestors find: entities as their authors wrote them, and catalog files not yet parsed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.model.ref import EntityRef


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity as its source gave it: `apiVersion`, `kind`, `metadata`, `spec`; not yet checked.

    `location` is the location ref of the place it was found in (`file:/…`, `url:https://…`), `line`
    the line its document starts on, counted from 1; 0 where lines mean nothing.
    """

    data: Mapping[str, Any]
    location: str
    line: int = 0

    @property
    def ref(self) -> EntityRef:
        """The canonical ref; raises `KeyError` or `TypeError` if the envelope is malformed."""
        metadata = self.data["metadata"]
        return EntityRef.of(self.data["kind"], metadata.get("namespace"), metadata["name"])


@dataclass(frozen=True, slots=True)
class CatalogFile:
    """A catalog file that was found and read in one go, with the place it came from.

    An ingestor that already holds a file's text (a repository listing that carries the text, a
    checked-out tree) yields this instead of a `Location` to be read later. The platform treats it
    as a registered location whose content is `content`. `commit` is the newest
    one of the place it was found in, if that has commits.
    """

    location: str
    content: bytes
    fingerprint: str = ""
    commit: str = field(default="", compare=False)
