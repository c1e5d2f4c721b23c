"""A bounded pool of threads for calls that may wait, made for many short calls.

Python runs one thread at a time, so threads that compute only get into each other's way: handing
every call to a thread of its own costs more than a quick call itself. Here a call waits for a busy
thread as long as that one makes progress, and gets another only if none has finished a call for
`PROGRESS`. A server whose calls are quick works with one thread; one whose calls wait for a
database uses as many as it may.

The thread that became idle last is used first, since it is warm and holds an open connection.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

Job: TypeAlias = Callable[[], object]
T = TypeVar("T")

PROGRESS = 0.002

log = logging.getLogger(__name__)


class _Seat:
    """One thread's place to wait for its next job."""

    __slots__ = ("job", "wake")

    def __init__(self) -> None:
        self.job: Job | None = None
        self.wake = threading.Lock()
        self.wake.acquire()


@dataclass(frozen=True, slots=True)
class _Outcome:
    future: asyncio.Future[Any]
    result: Any
    error: BaseException | None

    def deliver(self) -> None:
        if self.future.done():  # nobody waits for it any more
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class Pool:
    """At most `threads` threads, started as they are needed; jobs beyond them wait in order.

    Jobs are submitted on the event loop that was running first.
    """

    def __init__(
        self, threads: int, name: str = "request", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = threads
        self._name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._idle: list[_Seat] = []
        self._waiting: deque[Job] = deque()
        self._outcomes: list[_Outcome] = []
        self._threads = 0
        self._progress_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many jobs have no thread yet."""
        return len(self._waiting)

    @property
    def threads(self) -> int:
        """How many threads have been started."""
        return self._threads

    @property
    def busy(self) -> int:
        """How many threads have a job."""
        return self._threads - len(self._idle)

    def submit(self, job: Job) -> None:
        """Run `job` on a thread soon. It should not raise."""
        with self._lock:
            makes_progress = self._clock() - self._progress_at < PROGRESS
            if self.busy and (makes_progress or self.busy == self._limit):
                self._waiting.append(job)
            else:
                self._begin(job)
                return
        self._keep_watch()

    async def run(self, call: Callable[[], T]) -> T:
        """Run `call` on a thread and await its result or its exception."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            result: T | None = None
            error: BaseException | None = None
            try:
                result = call()
            except BaseException as raised:  # noqa: BLE001 - raised again where it is awaited
                error = raised
            self._report(_Outcome(future, result, error))

        self.submit(job)
        return await future

    def close(self) -> None:
        """Let idle threads end and drop what waits; a running job is left to end by itself."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            for seat in self._idle:
                seat.wake.release()
            self._idle.clear()

    def _begin(self, job: Job) -> None:
        self._progress_at = self._clock()
        if self._idle:
            seat = self._idle.pop()
            seat.job = job
            seat.wake.release()
            return
        self._threads += 1
        name = f"{self._name}-{self._threads}"
        threading.Thread(target=self._work, args=(job,), name=name, daemon=True).start()

    def _work(self, job: Job | None) -> None:
        seat = _Seat()
        while job is not None:
            try:
                job()
            except BaseException:
                log.exception("a job of the %s pool failed", self._name)
            job = None  # what it holds must not live until the next one comes
            with self._lock:
                if self._waiting:
                    self._progress_at = self._clock()
                    job = self._waiting.popleft()
                    continue
                if self._closed:
                    return
                self._idle.append(seat)
            seat.wake.acquire()
            job, seat.job = seat.job, None

    def _keep_watch(self) -> None:
        if self._watch is None:
            loop = self._loop or asyncio.get_running_loop()
            self._watch = loop.call_later(PROGRESS, self._look)

    def _look(self) -> None:
        """Give waiting jobs threads of their own if the busy ones make no progress."""
        self._watch = None
        with self._lock:
            if self._clock() - self._progress_at >= PROGRESS:
                while self._waiting and self.busy < self._limit:
                    self._begin(self._waiting.popleft())
            if not self._waiting or self.busy == self._limit:
                return
        self._keep_watch()

    def _report(self, outcome: _Outcome) -> None:
        # One wake-up of the loop takes all outcomes that are there when it comes to them.
        with self._lock:
            wake = not self._outcomes
            self._outcomes.append(outcome)
        if wake and self._loop is not None:
            with suppress(RuntimeError):  # the loop is gone: stopping took longer than allowed
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        with self._lock:
            outcomes, self._outcomes = self._outcomes, []
        for outcome in outcomes:
            outcome.deliver()
