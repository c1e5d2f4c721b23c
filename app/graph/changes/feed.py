"""The change feed: every committed change, once and in order, from any place a reader left off.

Sequence numbers are given out in the order of commits (`app.db.sequence`), so what a snapshot sees
has no holes that are filled later, and "everything after N" can be asked again and again without
missing anything. A request does a bounded amount of work: it ends when it has looked at so many
changes, and `next` says how far it came, whether or not there was anything to show on the way.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from app.catalog.change_store import Span
from app.db.documents import DocumentCodec
from app.db.engine import Database
from app.db.statements import Statements
from app.errors import InputError
from app.graph.changes.change import Lens, join_items, load_changes
from app.graph.changes.log import ChangeLog
from app.model.query import NOTHING
from app.web.errors import NamedError

# The most a request may ask for, and the most changes it looks at however few of them it shows.
MOST_ITEMS = 1000
USUAL_ITEMS = 100
SCANNED = 2000
# A page ends early when it has become so large: there are entities of a megabyte.
PAGE_BYTES = 4 * 1024 * 1024
BATCH = 50
GONE = 410


class HistoryGoneError(NamedError):
    """What is asked for has been removed from the history."""

    def __init__(self, since: int, oldest: int) -> None:
        """Say from where on changes can be followed."""
        message = (
            f"The changes after {since} are not kept any more, the oldest that can be followed is "
            f"since={oldest}. Load the entities anew and go on from there"
        )
        super().__init__("HistoryGoneError", message, GONE, {"oldest": oldest})
        self.oldest = oldest


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one page holds, and how far it looks for it."""

    items: int = USUAL_ITEMS
    bytes: int = PAGE_BYTES
    scanned: int = SCANNED
    until: int | None = None


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Items by sequence number, where to go on, and what could be followed then."""

    items: list[tuple[int, bytes]]
    next: int
    span: Span

    def json(self) -> bytes:
        """Write the page as it is served."""
        rest = {"next": self.next, "oldest": self.span.oldest, "newest": self.span.newest}
        return join_items([item for _, item in self.items], rest)


@dataclass(frozen=True, slots=True)
class Feed:
    """Reads pages of the feed; holds nothing between calls."""

    database: Database
    codec: DocumentCodec
    batch: int = field(default=BATCH)

    def span(self) -> Span:
        """Answer what can be followed now."""
        with self.database.snapshot() as connection:
            return ChangeLog(Statements.on(connection), self.codec).span()

    def start(self, since: int | None) -> int:
        """Answer where a reader begins, the newest change unless they say; raises as `page`."""
        span = self.span()
        return span.newest if since is None else _checked(since, span)

    def page(self, since: int, lens: Lens, bounds: Bounds | None = None) -> FeedPage:
        """Answer what happened after `since`.

        Raises `HistoryGoneError` if that is not known in full any more, and `InputError` if it has
        not happened yet.
        """
        bounds = bounds or Bounds()
        with self.database.snapshot() as connection:
            log = ChangeLog(Statements.on(connection), self.codec)
            span = log.span()
            return self._collect(log, _checked(since, span), span, lens, bounds)

    def _collect(
        self, log: ChangeLog, since: int, span: Span, lens: Lens, bounds: Bounds
    ) -> FeedPage:
        end = span.newest if bounds.until is None else min(span.newest, bounds.until)
        if lens.expression == NOTHING:
            return FeedPage([], max(since, end), span)
        items = list[tuple[int, bytes]]()
        at, size = since, 0
        last = min(end, since + bounds.scanned)
        while at < last and len(items) < bounds.items and size < bounds.bytes:
            changes = load_changes(log, at, min(self.batch, last - at), lens.expression)
            if not changes:
                return FeedPage(items, last, span)
            for change in changes:
                if change.seq > last:
                    return FeedPage(items, last, span)
                at = change.seq
                item = change.through(lens)
                if item is not None:
                    items.append((at, item))
                    size += len(item)
                    if len(items) >= bounds.items or size >= bounds.bytes:
                        break
        return FeedPage(items, at, span)


def _checked(since: int, span: Span) -> int:
    if since > span.newest:
        raise InputError(f"There is no change {since} yet, the newest is {span.newest}")
    if since < span.oldest:
        raise HistoryGoneError(since, span.oldest)
    return since
