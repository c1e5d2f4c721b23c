"""A bounded pool of threads for calls that may wait, made for many short calls.

The standard executor wakes idle threads in turn, so that all of them stay warm and each holds its
own database connection. This one wakes the thread that became idle last and hands the job to it
directly: a quiet server works with one or two threads, however many it may use.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias, TypeVar

Job: TypeAlias = Callable[[], None]
T = TypeVar("T")

log = logging.getLogger(__name__)


class _Seat:
    """One thread's place to wait for its next job."""

    __slots__ = ("job", "wake")

    def __init__(self) -> None:
        self.job: Job | None = None
        self.wake = threading.Lock()
        self.wake.acquire()


class Pool:
    """At most `threads` threads, started as they are needed; jobs beyond them wait in order."""

    def __init__(self, threads: int, name: str = "request") -> None:
        self._limit = threads
        self._name = name
        self._lock = threading.Lock()
        self._idle: list[_Seat] = []
        self._waiting: deque[Job] = deque()
        self._threads: list[threading.Thread] = []
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many jobs have no thread yet."""
        return len(self._waiting)

    @property
    def threads(self) -> int:
        """How many threads have been started."""
        return len(self._threads)

    @property
    def busy(self) -> int:
        """How many threads have a job."""
        return len(self._threads) - len(self._idle)

    def submit(self, job: Job) -> None:
        """Run `job` on a thread as soon as one is free. It should not raise."""
        with self._lock:
            if self._idle:
                seat = self._idle.pop()
                seat.job = job
                seat.wake.release()
            elif len(self._threads) < self._limit:
                number = len(self._threads) + 1
                thread = threading.Thread(
                    target=self._work, args=(job,), name=f"{self._name}-{number}", daemon=True
                )
                self._threads.append(thread)
                thread.start()
            else:
                self._waiting.append(job)

    async def run(self, call: Callable[[], T]) -> T:
        """Run `call` on a thread and await its result or its exception."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001 - it is raised again where it is awaited
                _tell(loop, _fail, future, error)
            else:
                _tell(loop, _settle, future, result)

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
                    job = self._waiting.popleft()
                    continue
                if self._closed:
                    return
                self._idle.append(seat)
            seat.wake.acquire()
            job, seat.job = seat.job, None


def _tell(loop: asyncio.AbstractEventLoop, *call: object) -> None:
    # A request may outlive the loop that waited for it, when stopping took too long.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(*call)  # type: ignore[arg-type]


def _settle(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
