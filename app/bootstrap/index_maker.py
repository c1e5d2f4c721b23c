"""The process that makes the index's file, seen from the web process that wants it.

Making an index takes much more memory than having one, and not all of it is given back: so it is
done in a process that ends.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from app.serve.process import ChildSpec, Process

# After so many seconds a web process makes the index itself.
MAKING_INDEX = 120.0
_LOOK_EVERY = 0.02


@dataclass(slots=True)
class IndexMaker:
    """Starts a process that says it is ready when the base is in the file, and then goes on."""

    spec: ChildSpec
    stop: threading.Event
    longest: float = MAKING_INDEX
    _process: Process | None = None

    def base(self) -> bool:
        """Start the process and wait until the base is in the file; tell if it is."""
        self.end()
        process = self._process = Process(self.spec)
        deadline = time.monotonic() + self.longest
        while process.exit_code is None and not process.is_ready and time.monotonic() < deadline:
            if self.stop.wait(_LOOK_EVERY):
                break
            process.read_status()
        process.read_status()
        if not process.is_ready:
            self.end()
        return process.is_ready

    def end(self) -> None:
        """End the process if it is there still; what it has written stays."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.exit_code is None:
            process.kill()
            process.wait()
        process.close()
