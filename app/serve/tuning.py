"""Settings of the interpreter, by what a process does: serve requests, or read catalogs."""

from __future__ import annotations

import gc
import resource
import sys

# How long a running call may keep the event loop from the interpreter. Python's 5 ms add up with
# several busy threads.
SWITCH_INTERVAL = 0.001
# Requests free almost all they make without the garbage collector. With Python's thresholds it
# goes through everything that lives whenever some hundred streams are opened, and requests wait.
COLLECT_AFTER = (5_000, 10, 50)
# Parsed files are large trees without cycles, which die together. Python's thresholds have the
# collector look through them over and over, an eighth of the time that reading takes.
COLLECT_AFTER_WHEN_READING = (50_000, 20, 100)
MAX_FILES = 65_536


def prepare_process() -> None:
    """Set the limits, before anything is served."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.set_threshold(*COLLECT_AFTER)
    raise_file_limit()


def prepare_reading() -> None:
    """Set how often a process that reads catalogs looks for garbage."""
    gc.set_threshold(*COLLECT_AFTER_WHEN_READING)


def settle_process() -> None:
    """Take what was made during the start, which stays until the end, from the collector."""
    gc.collect()
    gc.freeze()


def raise_file_limit() -> None:
    """Allow as many open connections as the system lets us: each is a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
