"""The change feed as a stream of events, which goes on until one of both sides ends it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import orjson

from app.db.outages import is_outage
from app.graph.changes.change import Lens
from app.graph.changes.feed import Bounds, Feed, HistoryGoneError
from app.graph.changes.recent import RecentChanges
from app.web.errors import serialize_error
from app.web.streams import Event

CHANGE, POSITION, ERROR = "change", "position", "error"
# A stream that sends nothing says so often how far it is, so that its client need not go back.
POSITION_EVERY = 10.0
# What a stream reads from the database at once: it may be one of hundreds.
AT_ONCE = Bounds(items=100, bytes=256 * 1024, scanned=500)
# How many changes are looked at before others get a turn.
TURN = 20
# How long to wait for the process to look for changes, which it does anew for the first stream.
UNSURE = 0.2
# How long to wait for a database that does not answer.
AWAY = 1.0
FOREVER = 86_400.0


@dataclass(frozen=True, slots=True)
class ChangeStreams:
    """Makes streams; one per process."""

    feed: Feed
    recent: RecentChanges
    position_every: float = POSITION_EVERY

    async def events(
        self, since: int, lens: Lens, ends_at: float | None = None
    ) -> AsyncIterator[Event]:
        """Yield what happens after `since`, until the time `ends_at` (seconds since the epoch).

        The id of an event is the sequence number to go on from.
        """
        loop = asyncio.get_running_loop()
        at = told = since
        spoke = loop.time()
        yield _position(at)
        with self.recent.followed():
            while (left := _left(ends_at)) > 0:
                try:
                    items, after = await self._take(at, lens)
                except HistoryGoneError as error:
                    yield Event(orjson.dumps(serialize_error(error)).decode(), ERROR)
                    return
                for seq, item in items:
                    yield _change(seq, item)
                    told, spoke = seq, loop.time()
                has_moved, at = after != at, after
                silent = loop.time() - spoke
                if at != told and silent >= self.position_every:
                    yield _position(at)
                    told, spoke, silent = at, loop.time(), 0.0
                if has_moved:
                    await asyncio.sleep(0)
                else:
                    patience = FOREVER if at == told else self.position_every - silent
                    await self._wait(at, min(left, patience))

    async def _take(self, at: int, lens: Lens) -> tuple[list[tuple[int, bytes]], int]:
        """Answer the next items after a place, and the place behind them."""
        changes = self.recent.after(at, TURN)
        if changes is not None:
            items, size = list[tuple[int, bytes]](), 0
            for change in changes:
                at = change.seq
                if (item := change.through(lens)) is not None:
                    items.append((at, item))
                    size += len(item)
                    if size >= AT_ONCE.bytes:
                        break
            return items, at
        try:
            page = await asyncio.to_thread(self.feed.page, at, lens, AT_ONCE)
        except Exception as error:
            if not is_outage(error):
                raise
            await asyncio.sleep(AWAY)
            return [], at
        return page.items, page.next

    async def _wait(self, at: int, seconds: float) -> None:
        is_unsure = self.recent.after(at, 1) is None
        await self.recent.wait(at, min(seconds, UNSURE) if is_unsure else seconds)


def _left(ends_at: float | None) -> float:
    return FOREVER if ends_at is None else ends_at - time.time()


def _change(seq: int, item: bytes) -> Event:
    return Event(item.decode(), CHANGE, str(seq))


def _position(seq: int) -> Event:
    return Event(orjson.dumps({"next": seq}).decode(), POSITION, str(seq))
