"""Dry runs: what a location would bring into the catalog, read now and stored nowhere.

The work is that of processing (`app.catalog.processing`). Here it is bounded, because a caller
waits for it, and order and texts are Backstage's (CONTRACT 1.8). No transaction is open meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from ada_url import URL

from app.catalog.emission import Emission, Flaw
from app.catalog.locations import (
    LocationEntity,
    generated,
    read_targets,
)
from app.catalog.placeholders import Placeholders
from app.catalog.processing import Processor
from app.errors import InputError, ServiceUnavailableError
from app.model.policies import fill_namespace
from app.ports import Reading
from app.scm.readers import Readers, UrlReader, UrlSource


@dataclass(frozen=True, slots=True)
class DryRunLimits:
    """How much one dry run may cost; beyond it the run fails and says which limit it met."""

    depth: int = 32
    """How deep Locations may be nested."""
    reads: int = 500
    """How often something is read: a file, the files of a pattern, a placeholder."""
    bytes: int = 20 * 1024 * 1024
    """What is read, together."""
    entities: int = 5000
    """What is answered."""
    seconds: float = 30.0
    """After that nothing more is begun to be read."""
    turns: int = 4
    """How many run at once in one process: each holds a thread while it waits for other servers."""
    patience: float = 10.0
    """How many seconds a run waits for its turn."""


@dataclass(slots=True)
class Budget:
    """What is left of the limits of one run."""

    limits: DryRunLimits
    deadline: float
    what: str = "a dry run"
    reads: int = 0
    bytes: int = 0
    is_late: bool = False

    def spend(self, read: Callable[[], Reading | None]) -> Reading | None:
        """Read something, if that is still allowed; raises `InputError`."""
        self.reads += 1
        self.is_late = self.is_late or time.monotonic() > self.deadline
        self.check()
        reading = read()
        self.bytes += sum(len(content.data) for content in reading.contents) if reading else 0
        self.check()
        return reading

    def check(self) -> None:
        """Raise `InputError` if more was to be read than is allowed."""
        limits = self.limits
        if self.reads > limits.reads:
            raise InputError(f"{self.what} reads at most {limits.reads} times")
        if self.is_late:
            raise InputError(f"{self.what} reads for at most {limits.seconds:g} seconds")
        if self.bytes > limits.bytes:
            raise InputError(f"{self.what} reads at most {limits.bytes} bytes")


@dataclass(frozen=True, slots=True)
class MeteredSource:
    """A source of URLs whose every reading is charged to a budget."""

    source: UrlSource
    budget: Budget

    def serves(self, url: URL) -> bool:
        """Tell whether `url` is one of its own."""
        return self.source.serves(url)

    def search(self, url: str, fingerprint: str = "") -> Reading | None:
        """Read the file, or the files that a pattern in the path matches."""
        return self.budget.spend(lambda: self.source.search(url, fingerprint))

    def fetch(self, url: str, fingerprint: str = "") -> Reading | None:
        """Read one file."""
        return self.budget.spend(lambda: self.source.fetch(url, fingerprint))

    def resolve(self, target: str, base: str) -> str:
        """Make a target absolute."""
        return self.source.resolve(target, base)

    def repository(self, url: str) -> str | None:
        """Name the git repository that `url` lies in."""
        return self.source.repository(url)


@dataclass(frozen=True, slots=True)
class Below:
    """What the targets of a Location hold, or everything that is wrong with them."""

    emissions: Sequence[Emission]
    flaws: Sequence[Flaw]


@dataclass(frozen=True, slots=True)
class Walk:
    """Processes and reads within one budget."""

    processor: Processor
    limits: DryRunLimits

    def placeholders(self, base: str) -> Placeholders:
        """Make what fills in the placeholders of something found at the location ref `base`."""
        return Placeholders(self.processor.readers, base)

    def below(self, location: LocationEntity) -> Below:
        """Read all that a Location points at.

        A Location that its own file contains once more is left out: it says nothing new.
        """
        emissions, flaws = list[Emission](), list[Flaw]()
        for read in read_targets(self.processor.readers, location):
            if read.flaw is not None:
                flaws.append(read.flaw)
            for content in read.contents:
                processed = self.processor.file(content, location.origin)
                emissions += processed.emissions
                flaws += processed.flaws
        return Below([e for e in emissions if e.ref != location.ref], _in_order(flaws))

    def entities(self, root: Emission) -> Iterator[dict[str, Any]]:
        """Yield the entities of a tree as Backstage lists them: of several children the last first.

        Raises `InputError` at the first entity that is not valid or cannot be read.
        """
        waiting, seen = [(root, 1)], set[str]()
        while waiting:
            emission, depth = waiting.pop()
            if emission.document is None or emission.flaws:
                raise _failure(emission.flaws)
            data = orjson.loads(emission.document)
            if emission.is_location:
                waiting += self._children(emission, data, depth)
            if emission.ref in seen:
                raise InputError(f"Duplicate nested entity: {emission.ref}")
            seen.add(emission.ref)
            if len(seen) + len(waiting) > self.limits.entities:
                raise InputError(f"A dry run answers at most {self.limits.entities} entities")
            yield fill_namespace(data)

    def _children(
        self, emission: Emission, data: dict[str, Any], depth: int
    ) -> list[tuple[Emission, int]]:
        if depth > self.limits.depth:
            raise InputError(f"A dry run reads at most {self.limits.depth} levels of locations")
        below = self.below(as_location(emission, data))
        if below.flaws:
            raise _failure(below.flaws)
        return [(child, depth + 1) for child in below.emissions]


@dataclass(frozen=True, slots=True)
class DryRuns:
    """Runs them, a few at once."""

    processor: Processor
    limits: DryRunLimits = DryRunLimits()
    turns: threading.BoundedSemaphore = field(init=False)

    def __post_init__(self) -> None:
        """Make the turns."""
        object.__setattr__(self, "turns", threading.BoundedSemaphore(self.limits.turns))

    def location(self, location_type: str, target: str) -> list[dict[str, Any]]:
        """Answer the entities that registering a location would bring, its own Location first.

        Raises `InputError` if anything is wrong with any of them, and `ServiceUnavailableError` if
        too many dry runs are under way.
        """
        root = generated(location_type, target)
        with self.walk() as walk:
            return list(walk.entities(self.processor.entity(root, root.location)))

    @contextmanager
    def walk(self) -> Iterator[Walk]:
        """Hold a turn, and a budget, for the block; raises `ServiceUnavailableError`."""
        if not self.turns.acquire(timeout=self.limits.patience):
            raise ServiceUnavailableError("Too many dry runs at once, please try again later")
        try:
            budget = Budget(self.limits, time.monotonic() + self.limits.seconds)
            readers = _metered(self.processor.readers, budget)
            yield Walk(replace(self.processor, readers=readers), self.limits)
        finally:
            self.turns.release()


def as_location(emission: Emission, data: dict[str, Any]) -> LocationEntity:
    """Take an emission that no graph holds for a Location to read."""
    return LocationEntity(0, emission.ref, 0, "", data)


def _metered(readers: Readers, budget: Budget) -> Readers:
    sources = tuple(MeteredSource(source, budget) for source in readers.url.sources)
    return replace(readers, url=UrlReader(sources))


def _in_order(flaws: Sequence[Flaw]) -> list[Flaw]:
    """Put a kind that the rules refuse last, and only the first of them: so does Backstage.

    There the rules are held to what all targets emitted, and stop at the first offence.
    """
    refused = [flaw for flaw in flaws if _is_refusal(flaw)]
    return [flaw for flaw in flaws if not _is_refusal(flaw)] + refused[:1]


def _is_refusal(flaw: Flaw) -> bool:
    return flaw.problem.name == "NotAllowedError" and flaw.problem.pointer == "/kind"


def _failure(flaws: Sequence[Flaw]) -> InputError:
    return InputError(", ".join(f"{flaw.error['name']}: {flaw.error['message']}" for flaw in flaws))
