"""Measure the server edge beside plain Flask on granian, in one run: `python bench/edge.py`.

Two web processes each, one machine for server and client. Needs `wrk` for the load; streams and
sockets are held by a second process of this script. Prints a table.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import selectors
import shutil
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias, cast

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import edge_app  # noqa: E402

STREAMS = 300
SLOW_READERS = 16
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def running(start: Callable[[int], subprocess.Popen[bytes]]) -> Iterator[tuple[int, int]]:
    port = free_port()
    process = start(port)
    try:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
            except OSError:
                time.sleep(0.05)
        time.sleep(1.0)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(30)


def granian(port: int) -> subprocess.Popen[bytes]:
    options = "--interface wsgi --workers 2 --blocking-threads 4 --log-level warning --factory"
    command = [sys.executable, "-m", "granian", *options.split(), "--host", "127.0.0.1"]
    path = os.pathsep.join((str(ROOT / "bench"), str(ROOT)))
    return subprocess.Popen(
        [*command, "--port", str(port), "edge_app:make_flask"], env={"PYTHONPATH": path}
    )


def edge(*, inline: bool) -> Callable[[int], subprocess.Popen[bytes]]:
    def start(port: int) -> subprocess.Popen[bytes]:
        code = "import sys; sys.path[:0] = sys.argv[3:]; import edge_app\n"
        code += "sys.exit(edge_app.serve(int(sys.argv[1]), inline=sys.argv[2] == 'inline'))"
        mode = "inline" if inline else "pool"
        paths = (str(ROOT / "bench"), str(ROOT))
        return subprocess.Popen([sys.executable, "-c", code, str(port), mode, *paths])

    return start


def load(port: int, pid: int, seconds: int, connections: int = 16) -> dict[str, float]:
    """Load a server with requests for the page, from `connections` connections."""
    before = cpu_seconds(pid)
    url = f"http://127.0.0.1:{port}/page"
    out = subprocess.run(
        [*f"wrk -t1 -c{connections} -d{seconds}s --latency".split(), url],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    times = {p: _milliseconds(v) for p, v in re.findall(r"(\d+)%\s+([\d.]+\w+)", out)}
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    if rate is None or "Non-2xx" in out:
        raise SystemExit(out)
    count = re.search(r"(\d+) requests in", out)
    cpu = (cpu_seconds(pid) - before) / int(count[1]) if count else 0.0
    return {"rate": float(rate[1]), "p50": times["50"], "p99": times["99"], "cpu": cpu * 1e6}


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(\w+)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def latency(port: int, path: str, count: int = 2000) -> float:
    """Answer the median of single requests on one connection, in milliseconds."""
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
    times = []
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            began = time.perf_counter()
            sock.sendall(request)
            head, _, body = sock.recv(262_144).partition(b"\r\n\r\n")
            length = int(re.search(rb"content-length: (\d+)", head.lower())[1])  # type: ignore[index]
            received = len(body)
            while received < length:
                received += len(sock.recv(262_144))
            times.append(time.perf_counter() - began)
    return sorted(times)[count // 2] * 1000


def huge(port: int) -> float:
    """Answer the speed of one large generated body, in MB/s."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        began = time.perf_counter()
        sock.sendall(b"GET /huge HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
        received = 0
        while data := sock.recv(1 << 20):
            received += len(data)
    return received / 1e6 / (time.perf_counter() - began)


def _hold(port: int, ready: Any) -> None:
    """Open all streams and read them, rarely, so as to take little time from the server."""
    head = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    head += f"Sec-WebSocket-Key: {KEY}\r\n"
    received: dict[socket.socket, int] = {}
    with selectors.DefaultSelector() as selector:
        for path, headers in (("/events", ""), ("/socket", head)):
            for _ in range(STREAMS):
                sock = socket.create_connection(("127.0.0.1", port))
                sock.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\n{headers}\r\n".encode())
                if not sock.recv(4096).startswith((b"HTTP/1.1 200", b"HTTP/1.1 101")):
                    raise ConnectionError("a stream was refused")
                received[sock] = 0
                selector.register(sock, selectors.EVENT_READ)
        is_told = False
        while True:
            time.sleep(0.1)
            for key, _ in selector.select(0):
                sock = cast("socket.socket", key.fileobj)
                received[sock] += len(sock.recv(4096))
                if not received[sock]:
                    raise ConnectionError("a stream was closed")
            if not is_told and min(received.values()) > 0:
                is_told = True
                ready.send("all receive")


@contextmanager
def streams(port: int) -> Iterator[None]:
    here, there = multiprocessing.Pipe(duplex=False)
    holder = multiprocessing.Process(target=_hold, args=(port, there), daemon=True)
    holder.start()
    there.close()
    try:
        if not here.poll(30) or not here.recv():
            raise SystemExit("a stream received nothing")
        yield
        if not holder.is_alive():
            raise SystemExit("a stream broke")
    finally:
        holder.kill()
        holder.join()


@contextmanager
def slow_readers(port: int) -> Iterator[None]:
    """Ask for 5 MB on several connections, and read none of it."""
    opened = []
    try:
        for _ in range(SLOW_READERS):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            sock.connect(("127.0.0.1", port))
            sock.sendall(b"GET /large HTTP/1.1\r\nHost: bench\r\n\r\n")
            opened.append(sock)
        time.sleep(0.5)
        yield
    finally:
        for sock in opened:
            sock.close()


def cpu_seconds(pid: int) -> float:
    """Answer the processor time that a process' children have used."""
    ticks = 0
    for child in children(pid):
        fields = Path(f"/proc/{child}/stat").read_text("utf-8").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()


def memory(pid: int) -> float:
    """Answer the resident memory of a process' children together, in MB."""
    files = [Path(f"/proc/{child}/statm") for child in children(pid)]
    pages = sum(int(file.read_text("ascii").split()[1]) for file in files)
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


Loads: TypeAlias = dict[str, list[dict[str, float]]]


def measure(rounds: int, seconds: int) -> tuple[Loads, list[str]]:
    """Load all servers in turn, several times, so that a noisy moment does not hit one alone."""
    loads: Loads = defaultdict(list)
    edges = {"edge, threads": edge(inline=False), "edge, on the loop": edge(inline=True)}
    with ExitStack() as stack:
        plain = stack.enter_context(running(granian))
        ports = {name: stack.enter_context(running(start)) for name, start in edges.items()}
        for _ in range(rounds):
            loads["plain Flask on granian WSGI"].append(load(*plain, seconds))
            for name, (port, pid) in ports.items():
                loads[name].append(load(port, pid, seconds))
                with streams(port):
                    loads[f"{name}; {STREAMS} streams, {STREAMS} sockets"].append(
                        load(port, pid, seconds)
                    )
                with slow_readers(port):
                    loads[f"{name}; {SLOW_READERS} stalled readers of 5 MB"].append(
                        load(port, pid, seconds)
                    )
        lines = [single("plain Flask on granian WSGI", *plain)]
        lines += [single(name, *where) for name, where in ports.items()]
    return loads, lines


def single(name: str, port: int, pid: int) -> str:
    times = [f"{min(latency(port, path) for _ in range(3)):.3f}" for path in ("/tiny", "/page")]
    huge(port)
    before = memory(pid)
    speed = max(huge(port) for _ in range(5))
    grown = memory(pid) - before
    return f"| {name} | {times[0]} | {times[1]} | {speed:,.0f} | {grown:+.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is needed")
    began = os.getloadavg()[0]
    loads, lines = measure(given.rounds, given.seconds)
    print(f"load average {began:.1f} before, medians of {given.rounds} rounds\n")
    print(
        f"| GET /page ({len(edge_app.PAGE)} bytes), 16 connections | requests/s | "
        "of granian | p50 ms | p99 ms | CPU µs |"
    )
    print("|---|--:|--:|--:|--:|--:|")
    base = loads["plain Flask on granian WSGI"]
    for name, found in loads.items():
        ratio = median(a["rate"] / b["rate"] for a, b in zip(found, base, strict=True))
        rate, p50, p99, cpu = (
            median(one[key] for one in found) for key in ("rate", "p50", "p99", "cpu")
        )
        print(f"| {name} | {rate:,.0f} | {ratio:.0%} | {p50:.2f} | {p99:.2f} | {cpu:.0f} |")
    print("\n| one connection | tiny ms | page ms | generated 126 MB, MB/s | memory MB |")
    print("|---|--:|--:|--:|--:|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
