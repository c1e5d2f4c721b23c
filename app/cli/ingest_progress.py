"""How an ingest is watched and stopped: a line that moves at a terminal, and Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from app.catalog.emission import Counts
from app.cli.output import console, note, printable


@dataclass(slots=True)
class Watch:
    """Remembers the counts of the run under way, and shows them if somebody looks."""

    bar: Progress | None = None
    counts: Counts = field(default_factory=Counts)
    _task: TaskID | None = None
    _began_at: float = 0.0

    def begin(self, name: str) -> None:
        """Take note that a source is about to be read."""
        self.counts = Counts()
        self._began_at = time.monotonic()
        if self.bar is not None:
            if self._task is not None:
                self.bar.remove_task(self._task)
            self._task = self.bar.add_task(printable(name), total=None, said="reading")

    def update(self, counts: Counts) -> None:
        """Take note that a batch was written."""
        # Not a copy: what is counted after the last batch counts too.
        self.counts = counts
        if self.bar is not None and self._task is not None:
            rate = counts.read / max(time.monotonic() - self._began_at, 0.001)
            said = f"{counts.read:,} read  {rate:,.0f}/s  {counts.written:,} written"
            if counts.invalid:
                said += f"  {counts.invalid:,} invalid"
            self.bar.update(self._task, said=said)


@contextmanager
def watching() -> Iterator[Watch]:
    """Show progress on the error stream if that is a terminal."""
    err = console(error=True)
    if not err.is_terminal:
        yield Watch()
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[said]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        yield Watch(bar)


@contextmanager
def stoppable(stop: threading.Event, cancel: Callable[[], None]) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM set `stop`, and the second one end the program at once."""
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def heed(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        cancel()
        for number in former:
            signal.signal(number, signal.default_int_handler)
        note("Stopping; what was written stays. Once more stops at once.")

    for number in former:
        signal.signal(number, heed)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
