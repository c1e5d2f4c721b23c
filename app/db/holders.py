"""Who holds a lease: a name for this process that no other process has, here or elsewhere.

The name also says where the process runs, so that another one in the same place can tell at once
that it is gone. That is only a shortcut: what keeps the graph right are the fences of the leases,
whatever anybody believes about anybody else.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

from app.model.uid import new_uid

NOBODY = ""


def new_holder() -> str:
    """Make a name for something in this process that takes leases."""
    pid = os.getpid()
    return "/".join((_place(), str(pid), _started(pid), new_uid()))


def is_gone(holder: str) -> bool:
    """Tell whether a holder is certainly no more; one that runs elsewhere may well be alive."""
    if holder == NOBODY:
        return True
    place, _, rest = holder.rpartition("/")[0].partition("/")
    pid, _, started = rest.partition("/")
    if place != _place() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    # Process ids are used again.
    return _started(int(pid)) != started


def _place() -> str:
    """Name what process ids are unique in: a boot of a machine, and on it a container."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()}:{boot}:{Path('/proc/self/ns/pid').stat().st_ino}"
    return socket.gethostname()


def _started(pid: int) -> str:
    """Answer when a process began, as far as the system tells; one that only waits is gone."""
    with suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        return "gone" if fields[0] in "ZX" else fields[19]
    return ""
