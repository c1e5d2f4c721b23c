"""The inside of a supervised process: how it learns that it should stop, and says that it is ready.

It stops when the supervisor sends SIGTERM, and also when the supervisor is gone: its standard input
is a pipe that only the supervisor holds open. SIGINT and SIGHUP, which a terminal sends to the
whole group, are the supervisor's business.
"""

from __future__ import annotations

import logging
import os
import pickle
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any, TypeAlias

from app.errors import ConfigError

# What a process answers when starting it again cannot help (`EX_CONFIG` of sysexits.h).
MISCONFIGURED = 78
# A process without a supervisor has this long to end by itself.
ORPHAN_GRACE = 30.0

log = logging.getLogger(__name__)


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Child:
    """What the supervisor gives the target of a process, as its first argument.

    It accepts from `sockets`, and from `spares` what their own processes leave waiting.
    """

    name: str
    sockets: tuple[socket.socket, ...] = ()
    spares: tuple[socket.socket, ...] = ()
    stopping: threading.Event = field(default_factory=threading.Event)
    ready: Callable[[], None] = _nothing

    def abort(self) -> None:
        """End at once, because a thread hangs that nothing can stop; another is started then."""
        log.error("%s hangs and is ended", self.name)
        os._exit(1)


Target: TypeAlias = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Orders:
    """What a process is to run, as it travels from the supervisor."""

    name: str
    target: Target
    args: tuple[Any, ...]
    sockets: tuple[int, ...]
    spares: tuple[int, ...]
    status: int


def main(orders: IO[bytes]) -> None:
    """Run what is ordered, and exit with 0 if it returns."""
    asked = _hear_signals()
    order: Orders = pickle.load(orders)  # noqa: S301 - written by our own parent
    sockets, spares = (
        tuple(socket.socket(fileno=number) for number in numbers)
        for numbers in (order.sockets, order.spares)
    )
    child = Child(order.name, sockets, spares, ready=lambda: _say_ready(order.status))
    watch = threading.Thread(target=_wait_for_end, args=(asked, child.stopping), name="stop")
    watch.daemon = True
    watch.start()
    try:
        order.target(child, *order.args)
    except ConfigError as error:
        log.error("%s cannot start: %s", order.name, error)  # noqa: TRY400 - it says it all
        sys.exit(MISCONFIGURED)
    except Exception:
        log.exception("%s failed", order.name)
        sys.exit(1)


def _hear_signals() -> int:
    """Answer a pipe that becomes readable when the process is asked to stop."""
    # The handler only writes: setting an `Event` there could wait for a lock that the code it
    # interrupts holds.
    asked, ask = os.pipe()
    os.set_blocking(ask, False)

    def on_sigterm(*_: object) -> None:
        with suppress(BlockingIOError):
            os.write(ask, b"t")

    signal.signal(signal.SIGTERM, on_sigterm)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return asked


def _wait_for_end(asked: int, stopping: threading.Event) -> None:
    supervisor = sys.stdin.fileno()  # nothing follows the orders, so news from it is its end
    news, _, _ = select.select([asked, supervisor], [], [])
    if supervisor in news:
        log.warning("the supervisor is gone, stopping")
    stopping.set()
    select.select([supervisor], [], [])
    _exit_later()


def _exit_later() -> None:
    timer = threading.Timer(ORPHAN_GRACE, os._exit, (1,))
    timer.daemon = True
    timer.start()


def _say_ready(status: int) -> None:
    with suppress(OSError):  # nobody is left to hear it
        os.write(status, b"ready")
