"""The seams: what a plugin implements, and what it is given.

Read this file first. Ingestors and actions from this or any other distribution see these
protocols, `app.plugins`, `app.scm`, `app.model` and `app.errors`, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, runtime_checkable

from app.model.entity import CatalogFile, Entity
from app.model.problem import Problem

Settings: TypeAlias = Mapping[str, Any]
Found: TypeAlias = Entity | CatalogFile | Problem


@runtime_checkable
class Ingestor(Protocol):
    """Finds entities in one external system. Reads only."""

    def snapshot(self) -> Iterator[Found]:
        """Yield everything the source holds now, each thing once.

        What is not yielded is gone, but only if the iterator ends by itself: raise
        `UpstreamError` when the source cannot be read to its end, and nothing will be removed.
        A `Problem` spares what came from its location earlier.
        """


@runtime_checkable
class Fingerprinted(Protocol):
    """What an ingestor may offer beside `snapshot`, so that an unchanged source is not read."""

    def fingerprint(self) -> str:
        """Answer, cheaply, what stands for the next snapshot: equal texts, equal snapshots.

        It is asked before `snapshot`, and kept only once that was stored. Empty means unknown.
        Raises `UpstreamError` as `snapshot` does.
        """


@runtime_checkable
class Covering(Protocol):
    """What an ingestor of files may offer besides, so that changes can be previewed."""

    def covers(self, location: str) -> bool:
        """Tell whether `snapshot` would yield a file at this location ref as a `CatalogFile`.

        Raises `UpstreamError` as `snapshot` does.
        """


@dataclass(frozen=True, slots=True)
class Content:
    """One file that was read: where it is (a location ref) and its bytes.

    `commit` is the newest one where it was read, if that is known; it is shown in the history.
    """

    location: str
    data: bytes
    commit: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a target held: one file, or the files a pattern matched, in a stable order.

    `fingerprint` stands for the whole: reading again with it answers None while nothing changed.
    """

    contents: tuple[Content, ...]
    fingerprint: str


class LocationReader(Protocol):
    """Reads the targets of one type of location (`file`, `url`)."""

    def read(self, target: str, fingerprint: str = "") -> Reading | None:
        """Read a target, or answer None if it is still what `fingerprint` stands for.

        Raises `NotFoundError` if there is nothing, `UpstreamError` if the target may not or cannot
        be read. Messages are Backstage's and complete; an `UpstreamError` is named `Error` there.
        """

    def resolve(self, target: str, base: str) -> str:
        """Make a target relative to `base` (the target that named it) absolute.

        Raises `InputError` if the two make no sense together.
        """

    def same_repository(self, target: str, base: str) -> bool:
        """Tell whether a placeholder in `base` may read `target` (same git repository)."""
