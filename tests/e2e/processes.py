"""Starting the command line in processes of its own, watching what they do, and killing them."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE = 300.0


def start(
    *arguments: object, cwd: Path, log: Path, largest_file: int | None = None
) -> subprocess.Popen[bytes]:
    """Start `callboard`; what it says goes to `log`, and no file it writes grows beyond a size."""

    def limit() -> None:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "app", *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            preexec_fn=limit,  # noqa: PLW1509 - the tests start no threads
        )


def processor_time(pid: int) -> float:
    """Answer how many seconds a process has computed; -1 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return -1.0
    return -1.0 if fields[0] == "Z" else (int(fields[11]) + int(fields[12])) / TICKS


def children(pid: int) -> dict[str, int]:
    """Answer the supervised processes of a supervisor: their names and ids."""
    found = {}
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            command = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            if b"entry.py" in b"".join(command):
                found[command[-2].decode()] = int(child)
    return found


def resident_memory(pid: int) -> int:
    """Answer how many bytes of memory a process has."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def is_alive(pid: int) -> bool:
    return processor_time(pid) >= 0


def until(condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)


def kill_after(pid: int, seconds: float, about_to: Callable[[], None] = lambda: None) -> bool:
    """Kill a process when it has computed for so long; False if it ended before.

    Its own time counts, so that a busy machine does not move the moment.
    """
    while True:
        spent = processor_time(pid)
        if spent < 0:
            return False
        if spent >= seconds:
            break
        time.sleep(0.003)
    about_to()
    # Somewhere between two ticks of the clock, and in whatever it does after it was looked at.
    time.sleep(seconds * 1000 % 1 * 0.05)
    if not is_alive(pid):
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def fetch(url: str, patience: float = 30.0) -> tuple[int, bytes]:
    """Get a page; a connection that is refused or breaks is tried again for a while."""
    deadline = time.monotonic() + patience
    while True:
        try:
            with urllib.request.urlopen(url, timeout=30) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@contextmanager
def stopped_at_last(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """End a process with the block, whatever state it is in, and what it started."""
    try:
        yield process
    finally:
        family = children(process.pid)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pid in family.values():
            if is_alive(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
