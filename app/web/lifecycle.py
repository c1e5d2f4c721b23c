"""Where one web process is in its life: starting, ready or stopping.

One `Lifecycle` is made per process and given to the Flask app, whose readiness route and gate ask
it. It only moves forward: what is stopping does not become ready again. Beside that, something may
hinder it for a while.
"""

from __future__ import annotations

import threading
from typing import Literal, TypeAlias

State: TypeAlias = Literal["starting", "ready", "stopping"]


class Lifecycle:
    """A flag that any thread may read, set or wait for."""

    __slots__ = ("_changed", "_has_started", "_state", "hindrance")

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._state: State = "starting"
        self._has_started = False
        self.hindrance = ""

    @property
    def state(self) -> State:
        return self._state

    @property
    def is_ready(self) -> bool:
        return self._state == "ready"

    @property
    def has_started(self) -> bool:
        """Tell whether it was ready once; what a stopping process still accepts it still serves."""
        return self._has_started

    @property
    def is_stopping(self) -> bool:
        return self._state == "stopping"

    def ready(self) -> None:
        """Say that this process can serve; without effect once it is stopping."""
        with self._changed:
            if self._state == "starting":
                self._state = "ready"
                self._has_started = True
                self._changed.notify_all()

    def hinder(self, reason: str) -> None:
        """Say what keeps this process from answering; nothing when that is over."""
        self.hindrance = reason

    def stop(self) -> None:
        """Say that this process is going away."""
        with self._changed:
            self._state = "stopping"
            self._changed.notify_all()

    def wait_until_started(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for the start to end; tell whether it is ready now."""
        with self._changed:
            self._changed.wait_for(lambda: self._state != "starting", timeout)
        return self.is_ready
