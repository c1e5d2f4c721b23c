"""The newest changes of one process, read once however many follow them.

One thread looks for new changes while anybody follows, loads each once, and wakes the followers.
Nobody has a queue: every follower keeps their own place, takes what is after it from here, and
reads the database where that is not here any more. So a slow one costs nothing and misses nothing.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from app.db.documents import DocumentCodec
from app.db.engine import Database, HeldConnection
from app.db.outages import log_failure
from app.graph.changes.change import Change, load_changes
from app.graph.changes.log import ChangeLog

log = logging.getLogger(__name__)
# How often the database is asked for its newest number, and how rarely while it cannot be reached.
EVERY = 0.1
SLOWEST = 5.0
# What is kept at most: changes, and bytes of their documents.
KEPT = 512
KEPT_BYTES = 8 * 1024 * 1024
BATCH = 50


@dataclass(frozen=True, slots=True)
class _Kept:
    """Changes without a hole between them, up to `last`; -1 if nothing is known yet."""

    changes: tuple[Change, ...] = ()
    last: int = -1

    @property
    def first(self) -> int:
        return self.changes[0].seq if self.changes else self.last + 1


@dataclass(slots=True)
class RecentChanges:
    """The newest changes; one per process."""

    database: Database
    codec: DocumentCodec
    every: float = EVERY
    _kept: _Kept = field(default_factory=_Kept)
    _followers: int = 0
    _thread: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _left: threading.Event = field(default_factory=threading.Event)
    _waiting: dict[asyncio.AbstractEventLoop, set[asyncio.Future[None]]] = field(
        default_factory=dict
    )

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Look for changes as long as the block runs, for one follower more."""
        with self._lock:
            self._followers += 1
            if self._thread is None:
                self._kept = _Kept()
                self._left.clear()
                self._thread = threading.Thread(target=self._run, name="changes", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._followers -= 1
                if self._followers == 0:
                    self._left.set()

    def after(self, seq: int, limit: int) -> Sequence[Change] | None:
        """Answer the first changes after `seq` in order; None if only the database has them."""
        kept = self._kept
        if kept.last < 0 or seq + 1 < kept.first:
            return None
        start = seq + 1 - kept.first
        return kept.changes[start : start + limit]

    async def wait(self, seq: int, seconds: float) -> None:
        """Wait until there is something after `seq`, but not longer than so many seconds."""
        loop = asyncio.get_running_loop()
        news: asyncio.Future[None] = loop.create_future()
        with self._lock:
            if self._kept.last > seq:
                return
            self._waiting.setdefault(loop, set()).add(news)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await news
        finally:
            with self._lock:
                waiting = self._waiting.get(loop)
                if waiting is not None:
                    waiting.discard(news)
                    if not waiting:
                        del self._waiting[loop]

    # -- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        held: HeldConnection | None = None
        pause = self.every
        try:
            while self._is_wanted():
                try:
                    held = held or self.database.hold()
                    with held.reading():
                        self._look(ChangeLog(held, self.codec))
                    pause = self.every
                except Exception as error:  # noqa: BLE001 - told
                    # The edge of a background thread: the database may come back.
                    log_failure(log, "cannot look for changes", error)
                    pause = min(SLOWEST, pause * 2)
                    _close(held)
                    held = None
                self._left.wait(pause)
        finally:
            _close(held)

    def _is_wanted(self) -> bool:
        """Tell whether anybody follows; once the answer was no, the thread is no more."""
        with self._lock:
            if self._followers == 0:
                self._thread = None
                return False
            self._left.clear()
            return True

    def _look(self, log: ChangeLog) -> None:
        newest, kept = log.span().newest, self._kept
        if newest == kept.last:
            return
        if kept.last < 0 or newest < kept.last or newest - kept.last > KEPT:
            # Nothing to go on from; whoever is further back reads the database.
            self._publish(_Kept((), newest))
            return
        while kept.last < newest:
            changes = load_changes(log, kept.last, BATCH)
            if not changes:
                return
            kept = _Kept(_bounded((*kept.changes, *changes)), changes[-1].seq)
            self._publish(kept)

    def _publish(self, kept: _Kept) -> None:
        with self._lock:
            self._kept = kept
            waiting, self._waiting = self._waiting, {}
        for loop, news in waiting.items():
            with suppress(RuntimeError):  # the loop is gone, and so are its followers
                loop.call_soon_threadsafe(_tell, news)


def _bounded(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """Keep the newest of them."""
    size = 0
    for number, change in enumerate(reversed(changes)):
        size += change.size
        if number == KEPT or size > KEPT_BYTES:
            return changes[len(changes) - number :]
    return changes


def _close(held: HeldConnection | None) -> None:
    if held is not None:
        with suppress(Exception):
            held.close()


def _tell(news: set[asyncio.Future[None]]) -> None:
    for one in news:
        if not one.done():
            one.set_result(None)
