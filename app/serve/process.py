"""The outside of a supervised process: starting it, asking how it is, ending it."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.serve.child import Orders, Target

ENTRY = Path(__file__).with_name("entry.py")


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What one process runs.

    `target` is called with a `Child` and `args` in a fresh interpreter, so both must be importable
    and picklable. `environment` is added to the supervisor's own. `overlaps` says whether, in a
    rolling restart, the old process may run until the new one is ready.
    """

    name: str
    target: Target
    args: tuple[Any, ...] = ()
    sockets: tuple[socket.socket, ...] = ()
    spares: tuple[socket.socket, ...] = ()
    overlaps: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)


class Process:
    """One running process. Its standard input is what tells it that the supervisor lives."""

    def __init__(self, spec: ChildSpec) -> None:
        """Start it."""
        self.name = spec.name
        self.started_at = time.monotonic()
        self.kill_at: float | None = None
        self.was_killed = False
        self.is_ready = False
        self.status, status = os.pipe()
        os.set_blocking(self.status, False)
        sockets = tuple(sock.fileno() for sock in spec.sockets)
        spares = tuple(sock.fileno() for sock in spec.spares)
        orders = Orders(spec.name, spec.target, spec.args, sockets, spares, status)
        # Our own script by our own interpreter; its name is there for who reads `ps`.
        command = [sys.executable, "-P", str(ENTRY), spec.name]
        self._popen = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, pass_fds=(*sockets, *spares, status)
        )
        os.close(status)
        with suppress(BrokenPipeError):  # it died at once; the supervisor will see that
            setting = (sys.path, dict(spec.environment))
            self._write(pickle.dumps(setting) + pickle.dumps(orders))

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended, or None while it lives; negative is the number of a signal."""
        return self._popen.poll()

    def wait(self) -> None:
        """Wait for its end, which has to be near."""
        self._popen.wait()

    def read_status(self) -> None:
        """Take note of what it said about itself."""
        with suppress(BlockingIOError):
            self.is_ready = self.is_ready or bool(os.read(self.status, 64))

    def terminate(self, grace: float) -> None:
        """Ask it to stop, and remember when to insist."""
        if self.kill_at is None:
            self.kill_at = time.monotonic() + grace
            self._popen.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.was_killed = True
        self._popen.kill()

    def close(self) -> None:
        """Give back what belonged to a process that ended."""
        os.close(self.status)
        if self._popen.stdin is not None:
            with suppress(BrokenPipeError):
                self._popen.stdin.close()

    def _write(self, data: bytes) -> None:
        if self._popen.stdin is not None:
            self._popen.stdin.write(data)
            self._popen.stdin.flush()
