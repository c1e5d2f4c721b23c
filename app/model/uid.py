"""Identifiers that sort by the time they were made (RFC 9562, UUID version 7)."""

from __future__ import annotations

import threading
import time
from random import Random, SystemRandom

# Seeded by the system, so that processes do not repeat each other; the ids are no secret.
random = Random(SystemRandom().getrandbits(128))  # noqa: S311
_lock = threading.Lock()
_last = 0


def new_uid() -> str:
    """Make a UUIDv7; within a process each is greater than the one before.

    Entities made together sort together, so that the default order of listings is the order in
    which rows lie on disk.
    """
    global _last  # noqa: PLW0603 - monotony needs the last value
    with _lock:
        # 48 bits of milliseconds and 12 bits of their fraction, as one counter that never repeats.
        ticks = (time.time_ns() << 12) // 1_000_000
        _last = max(ticks, _last + 1)
        ticks = _last
    value = (ticks >> 12) << 80 | 0x7 << 76 | (ticks & 0xFFF) << 64 | 0b10 << 62
    text = f"{value | random.getrandbits(62):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
