"""What stands in for processing and stitching in a trial, where there is no time for either."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from app.catalog.emission import Emission
from app.catalog.locations import flaw_at
from app.catalog.processing import Processed, Processor
from app.errors import InputError
from app.model.entity import Entity
from app.ports import Content
from app.scm.readers import Readers

_PENDING = flaw_at("", InputError("it was not processed yet"))


@dataclass(slots=True)
class Desk:
    """A `FileProcessor` that processes only between trials, and remembers what came of it."""

    processor: Processor
    limit: int
    known: dict[tuple[Content, str], Processed] = field(default_factory=dict)
    waiting: list[tuple[Content, str]] = field(default_factory=list)

    @property
    def readers(self) -> Readers:
        """Answer what reads places."""
        return self.processor.readers

    def file(self, content: Content, origin: str) -> Processed:
        """Answer what was made of a file, or note that it is wanted."""
        found = self.known.get((content, origin))
        if found is None:
            self.waiting.append((content, origin))
            return Processed((), (_PENDING,), {})
        return found

    def entity(self, entity: Entity, origin: str) -> Emission:
        """Process one entity at once."""
        return self.processor.entity(entity, origin)

    def work(self) -> bool:
        """Process what is wanted; answer whether anything was."""
        waiting, self.waiting = self.waiting, []
        for content, origin in waiting:
            self.known[content, origin] = self.processor.file(content, origin)
        count = sum(len(processed.emissions) for processed in self.known.values())
        if count > self.limit:
            raise InputError(f"a preview processes at most {self.limit} entities")
        return bool(waiting)


class Later:
    """Takes the place of stitching, which is done once at the end."""

    def stitch_all(self, is_stopped: Callable[[], bool] = lambda: False) -> int:  # noqa: ARG002
        """Leave it."""
        return 0

    def learn(self) -> None:
        """Learn nothing: it would be kept."""
