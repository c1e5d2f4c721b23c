"""Taking over what another web process leaves waiting.

Each web process has a listening socket of its own, among which the kernel spreads connections
evenly. When a process is dead or busy, connections to its socket would wait for it; so every other
one looks after that socket too, and accepts what has not been accepted after a moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from socket import socket

PATIENCE = 0.1


class SpareListener:
    """Accepts late from `sockets`, which others accept from at once."""

    def __init__(
        self,
        sockets: Sequence[socket],
        protocol: Callable[[], asyncio.Protocol],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._sockets = sockets
        self._protocol = protocol
        self._loop = loop
        self._timers: dict[socket, asyncio.TimerHandle] = {}
        self._greetings: set[asyncio.Task[object]] = set()

    def open(self) -> None:
        for sock in self._sockets:
            sock.settimeout(0)
            self._loop.add_reader(sock, self._notice, sock)

    def close(self) -> None:
        """Leave the sockets alone; they are closed by whoever opened them."""
        for sock in self._sockets:
            self._loop.remove_reader(sock)
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _notice(self, sock: socket) -> None:
        self._loop.remove_reader(sock)
        self._timers[sock] = self._loop.call_later(PATIENCE, self._take_over, sock)

    def _take_over(self, sock: socket) -> None:
        del self._timers[sock]
        with suppress(OSError):  # nothing waits, or the client did not
            while True:
                accepted, _ = sock.accept()
                self._greet(accepted)
        self._loop.add_reader(sock, self._notice, sock)

    def _greet(self, accepted: socket) -> None:
        accepted.settimeout(0)
        greeting = self._loop.create_task(
            self._loop.connect_accepted_socket(self._protocol, accepted)
        )
        self._greetings.add(greeting)
        greeting.add_done_callback(self._greetings.discard)
