"""The index's base in a file: processes on one machine share its memory, and start with it.

The file can be thrown away at any time; whoever finds none, or one that does not fit, reads the
database and writes it anew. Processes take turns at that, so that what one made the others find.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from app.index.packing import DamagedError, Packed, Piece, read_about, unpack
from app.logs import fields

log = logging.getLogger(__name__)
# How long a process waits for its turn before it does without.
PATIENCE = 20.0
_LOOK_EVERY = 0.05


@dataclass(frozen=True, slots=True)
class IndexFiles:
    """The file of one data directory."""

    folder: Path

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.folder / "index.bin"

    @contextmanager
    def turn(self, lock_name: str = "lock", patience: float = PATIENCE) -> Iterator[bool]:
        """Wait until no other process is at the file, but not for ever; tell if there is a place.

        Where nothing can be written, nobody has to wait. There may be turns for different things.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / lock_name).open("a")
        except OSError as error:
            log.warning("no index file", extra=fields(path=self.folder, reason=error.strerror))
            yield False
            return
        with lock:
            deadline = time.monotonic() + patience
            while not _locked(lock) and time.monotonic() < deadline:
                time.sleep(_LOOK_EVERY)
            yield True

    def about(self) -> Mapping[str, Any] | None:
        """Read what was written beside the base; None if there is no such file."""
        try:
            with self._mapped() as data:
                return read_about(data)
        except (OSError, ValueError, DamagedError):
            return None

    def read(self) -> Packed | None:
        """Map the file; None if there is none, or it is damaged."""
        try:
            # The arrays hold on to the mapping: it ends with them, also if the file is replaced.
            with self.path.open("rb") as file:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            return unpack(memoryview(data))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, DamagedError) as error:
            log.warning("index file ignored", extra=fields(path=self.path, reason=str(error)))
            return None

    def write(self, pieces: Iterable[Piece]) -> bool:
        """Replace the file at once, so that readers find the old one or the new one.

        Tell if that was possible; without a file there is just more to do.
        """
        fresh = self.folder / f"index.{os.getpid()}.tmp"
        try:
            with fresh.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
            fresh.replace(self.path)
        except OSError as error:
            log.warning("index file not written", extra=fields(reason=error.strerror))
            with suppress(OSError):
                fresh.unlink()
            return False
        return True

    @contextmanager
    def _mapped(self) -> Iterator[memoryview]:
        with (
            self.path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
            memoryview(data) as view,
        ):
            yield view


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
