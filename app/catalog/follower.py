"""Keeping a process's index warm between reads, so that no reader pays for what others wrote."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from app.catalog.snapshot import Snapshots
from app.db.outages import is_outage
from app.index.index import EntityIndex
from app.index.memory import release_memory
from app.logs import fields

log = logging.getLogger(__name__)
# How often an idle process looks for changes; a read never waits for it.
EVERY = 0.2
# While much is being written, following takes at most one part in so many of the time.
SHARE = 5
SLOWEST = 30.0
# A database that is back is to be noticed soon.
AWAY = 1.0
UNAVAILABLE = "The database does not answer, try again later"


class Maker(Protocol):
    """Makes the index's file elsewhere."""

    def base(self) -> bool:
        """Begin, and wait until the base is in the file; tell if it is."""
        ...

    def end(self) -> None:
        """Be done, whether or not the columns are in the file as well."""
        ...


class Nobody:
    """Where each process has to make its own."""

    def base(self) -> bool:
        """Make nothing."""
        return False

    def end(self) -> None:
        """Have nothing to end."""


@dataclass(slots=True)
class Follower:
    """Loads the index, says when it is ready, and then follows the changes."""

    snapshots: Snapshots
    stop: threading.Event
    ready: Callable[[], None]
    warm: Sequence[str] = ()
    observe: Callable[[EntityIndex], None] = lambda _: None
    maker: Maker = field(default_factory=Nobody)
    # Is told what keeps this process from answering, and nothing when that is over.
    hinder: Callable[[str], None] = lambda _: None

    def run(self) -> None:
        """Follow until told to stop. Failures are logged and tried again, ever more slowly."""
        pause = EVERY
        is_loaded = False
        while not self.stop.is_set():
            started = time.monotonic()
            try:
                if not is_loaded:
                    self.snapshots.begin(self.maker.base)
                self.snapshots.refresh()
                self.hinder("")
                if not is_loaded:
                    is_loaded = True
                    self.ready()
                    # Reads are answered from now on; the first that needs a column waits for it.
                    self.snapshots.warm(self.warm)
                    self.maker.end()
                    release_memory()
                self.snapshots.merge()
                self.snapshots.keep()
                self.observe(self.snapshots.index)
                pause = max(EVERY, min(SLOWEST, (time.monotonic() - started) * SHARE))
            except Exception as error:
                # The edge of a background thread: the database may come back.
                if is_outage(error):
                    self.hinder(UNAVAILABLE)
                    log.warning("the database does not answer", extra=fields(reason=str(error)))
                    pause = min(AWAY, pause * 2)
                else:
                    log.exception("cannot follow the changes")
                    pause = min(SLOWEST, pause * 2)
            self.stop.wait(pause)
