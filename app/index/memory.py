"""Giving memory back: glibc keeps what large temporary arrays leave behind, for good."""

from __future__ import annotations

import ctypes


def release_memory() -> None:
    """Return free memory to the system, where the C library knows how to."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
