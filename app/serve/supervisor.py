"""Keeps a set of processes running, until it is told to stop them.

A process that ends is started again, at first at once and then ever more slowly. SIGTERM or SIGINT
stop all of them within a bounded time, a second one at once. SIGHUP replaces them one after the
other. A process that ends with `MISCONFIGURED` stops everything, since starting it again cannot
help. All of it happens in one thread, the main one of its own process.
"""

from __future__ import annotations

import logging
import selectors
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from app.serve.child import MISCONFIGURED
from app.serve.process import ChildSpec, Process

log = logging.getLogger(__name__)

WATCHED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


def _nothing(*_: object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Patience:
    """Times in seconds: for stopping, for becoming ready, and between restarts.

    A process that lived for `settled` has no history of failures any more. A second request to stop
    within `same` is the first one heard twice, as some tools signal both a process and its group.
    """

    stop: float = 30.0
    ready: float = 300.0
    settled: float = 60.0
    first_delay: float = 0.5
    longest_delay: float = 30.0
    same: float = 1.0

    def delay(self, failures: int) -> float:
        """Answer how long to wait before the next start, after so many failures in a row."""
        if failures <= 1:
            return 0.0
        return float(min(self.longest_delay, self.first_delay * 2 ** min(failures - 2, 20)))


@dataclass(slots=True)
class _Slot:
    """One place for a process: who has it, who is to take it over, and when to fill it."""

    spec: ChildSpec
    process: Process | None = None
    successor: Process | None = None
    start_at: float = 0.0
    failures: int = 0


class Supervisor:
    """Runs `specs` until a signal ends it.

    `on_ready` is called once, when all are ready for the first time; `on_end` whenever a process
    has ended, with its name and its process id.
    """

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        patience: Patience | None = None,
        on_ready: Callable[[], None] = _nothing,
        on_end: Callable[[str, int], None] = _nothing,
    ) -> None:
        self._slots = [_Slot(spec) for spec in specs]
        self._patience = patience or Patience()
        self._on_ready = on_ready
        self._on_end = on_end
        self._selector = selectors.DefaultSelector()
        self._to_replace: deque[_Slot] = deque()
        self._replacing: _Slot | None = None
        self._stopping = False
        self._stopping_since = 0.0
        self._announced = False
        self._result = 0

    def run(self) -> int:
        """Start everything and stay until it is stopped; answer the exit code."""
        with self._signals() as wakeup:
            try:
                while True:
                    if not self._stopping:
                        self._start_due()
                        self._replace_next()
                    elif not any(True for _ in self._alive()):
                        return self._result
                    self._wait(wakeup)
                    self._insist()
                    for slot in self._slots:
                        self._look_after(slot)
            finally:
                for process in self._alive():
                    process.kill()

    def _alive(self) -> Iterator[Process]:
        for slot in self._slots:
            for process in (slot.process, slot.successor):
                if process is not None:
                    yield process

    # Signals and waiting

    @contextmanager
    def _signals(self) -> Iterator[socket.socket]:
        here, there = socket.socketpair()
        here.settimeout(0)
        there.settimeout(0)
        former = {number: signal.signal(number, lambda *_: None) for number in WATCHED}
        former_fd = signal.set_wakeup_fd(there.fileno(), warn_on_full_buffer=False)
        self._selector.register(here, selectors.EVENT_READ)
        try:
            yield here
        finally:
            signal.set_wakeup_fd(former_fd)
            for number, handler in former.items():
                signal.signal(number, handler)
            self._selector.close()
            here.close()
            there.close()

    def _wait(self, wakeup: socket.socket) -> None:
        moments = [process.kill_at for process in self._alive() if process.kill_at is not None]
        if not self._stopping:
            moments += [slot.start_at for slot in self._slots if slot.process is None]
            moments += [
                slot.successor.started_at + self._patience.ready
                for slot in self._slots
                if slot.successor is not None and not slot.successor.is_ready
            ]
        timeout = max(0.0, min(moments) - time.monotonic()) if moments else None
        for key, _ in self._selector.select(timeout):
            if isinstance(key.data, Process):
                key.data.read_status()
                self._selector.unregister(key.fileobj)
        with suppress(BlockingIOError):
            for number in wakeup.recv(4096):
                self._heed(number)

    def _heed(self, number: int) -> None:
        if number == signal.SIGHUP and not sys.stdin.isatty():
            if not self._stopping:
                log.info("replacing all processes")
                self._to_replace = deque(self._slots)
        elif number in {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}:
            if self._stopping:
                self._stop_now()
            self._stop(f"received {signal.Signals(number).name}")

    def _stop_now(self) -> None:
        if time.monotonic() - self._stopping_since > self._patience.same:
            log.warning("asked to stop again, killing what still runs")
            for process in self._alive():
                process.kill()

    def _stop(self, reason: str) -> None:
        if not self._stopping:
            self._stopping = True
            self._stopping_since = time.monotonic()
            log.info("stopping: %s", reason)
            for process in self._alive():
                process.terminate(self._patience.stop)

    def _insist(self) -> None:
        now = time.monotonic()
        for process in self._alive():
            if process.kill_at is not None and now >= process.kill_at and not process.was_killed:
                log.error("%s (pid %d) did not stop, killing it", process.name, process.pid)
                process.kill()
                self._result = self._result or int(self._stopping)

    # Starting and ending

    def _start(self, spec: ChildSpec) -> Process:
        process = Process(spec)
        self._selector.register(process.status, selectors.EVENT_READ, process)
        log.info("started %s (pid %d)", spec.name, process.pid)
        return process

    def _start_due(self) -> None:
        now = time.monotonic()
        for slot in self._slots:
            if slot.process is None and now >= slot.start_at:
                slot.process = self._start(slot.spec)

    def _look_after(self, slot: _Slot) -> None:
        for process in (slot.process, slot.successor):
            if process is not None and process.exit_code is not None:
                self._bury(slot, process, process.exit_code)
        if not self._announced and all(s.process and s.process.is_ready for s in self._slots):
            self._announced = True
            self._on_ready()

    def _bury(self, slot: _Slot, process: Process, code: int) -> None:
        with suppress(KeyError):
            self._selector.unregister(process.status)
        process.close()
        self._on_end(process.name, process.pid)
        was_asked = process.kill_at is not None
        level = logging.INFO if was_asked else logging.ERROR
        log.log(level, "%s (pid %d) ended: %s", process.name, process.pid, _how(code))
        if process is slot.successor:
            slot.successor = None
            self._give_up_replacing()
            return
        slot.process, slot.successor = slot.successor, None
        if slot.process is not None:
            return
        if was_asked:
            slot.start_at = time.monotonic()
        elif code == MISCONFIGURED:
            self._result = MISCONFIGURED
            self._stop(f"{process.name} cannot be started as it is configured")
        else:
            self._schedule(slot, process)

    def _schedule(self, slot: _Slot, ended: Process) -> None:
        now = time.monotonic()
        if now - ended.started_at >= self._patience.settled:
            slot.failures = 0
        slot.failures += 1
        delay = self._patience.delay(slot.failures)
        slot.start_at = now + delay
        if delay and not self._stopping:
            log.warning("starting %s again in %.1f s", slot.spec.name, delay)

    # Replacing

    def _replace_next(self) -> None:
        """Move the replacement of processes on by one step, if there is one to make."""
        slot = self._replacing
        if slot is None:
            if not self._to_replace:
                return
            slot = self._replacing = self._to_replace.popleft()
            self._begin_replacing(slot)
        incumbent, successor = slot.process, slot.successor
        if successor is None:
            if incumbent is not None and incumbent.is_ready and incumbent.kill_at is None:
                self._replacing = None  # it is the new one
                self._replace_next()
        elif successor.is_ready and incumbent is not None:
            incumbent.terminate(self._patience.stop)
        elif time.monotonic() > successor.started_at + self._patience.ready:
            log.error("the new %s does not become ready", slot.spec.name)
            successor.terminate(self._patience.stop)

    def _begin_replacing(self, slot: _Slot) -> None:
        slot.failures = 0
        if slot.process is None:
            slot.start_at = time.monotonic()
            self._start_due()
        elif slot.spec.overlaps:
            slot.successor = self._start(slot.spec)
        else:
            slot.process.terminate(self._patience.stop)

    def _give_up_replacing(self) -> None:
        if self._replacing is not None:
            log.error("keeping the processes that run")
            self._replacing = None
            self._to_replace.clear()


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
