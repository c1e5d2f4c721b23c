"""The sockets a server listens on.

The supervisor opens them once and keeps them, so that the port is bound before any web process
starts and stays bound whatever happens to one. Each process has one of its own: the kernel spreads
connections evenly among them, which processes that race for one socket do not. What a process does
not accept, the others do (`app.serve.spares`).
"""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.errors import ConfigError

BACKLOG = 2048
UNIX = "unix:"
# Seconds a client may leave sent data unacknowledged, or its receive window shut, before the
# kernel drops the connection: what a server cannot see while it waits for room to write.
STALLED_AFTER = 120
PROBE_AFTER, PROBE_EVERY, PROBES = 60, 15, 4


@dataclass(frozen=True, slots=True)
class Share:
    """What one of several processes listens on, and what the others do."""

    sockets: tuple[socket.socket, ...]
    spares: tuple[socket.socket, ...] = ()


def listen_shares(
    host: str, port: int, processes: int, stalled_after: float = STALLED_AFTER
) -> list[Share]:
    """Listen as `listen` does, once for each of so many processes."""
    if processes == 1 or host.startswith(UNIX):
        return [Share(tuple(listen(host, port, stalled_after)))] * processes
    # Sockets that share a port are shared by whoever asks, also by a second server started by
    # mistake; one that does not share finds out.
    alone = listen(host, port, stalled_after)
    port = alone[0].getsockname()[1]
    close_all(alone)
    opened = [
        tuple(_listen_all(host, port, stalled_after, is_shared=True)) for _ in range(processes)
    ]
    return [
        Share(own, tuple(sock for other in opened if other is not own for sock in other))
        for own in opened
    ]


def listen(host: str, port: int, stalled_after: float = STALLED_AFTER) -> list[socket.socket]:
    """Listen on every address of `host`, or on a Unix socket if it is `unix:/path`.

    An empty host, `0.0.0.0` and `::` are all addresses of the machine, the last for IPv6 and IPv4.
    Port 0 is any free one. Raises `ConfigError` if that is not possible.
    """
    if host.startswith(UNIX):
        return [_listen_unix(Path(host.removeprefix(UNIX)))]
    return _listen_all(host, port, stalled_after, is_shared=False)


def _listen_all(
    host: str, port: int, stalled_after: float, *, is_shared: bool
) -> list[socket.socket]:
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise ConfigError(f"Cannot listen on {host}:{port}: {error.strerror}") from error
    opened: list[socket.socket] = []
    for family, _, _, _, address in dict.fromkeys(found):
        if opened and port == 0:
            # The second address of a name gets the port that was free for the first.
            address = (address[0], opened[0].getsockname()[1], *address[2:])  # noqa: PLW2901
        try:
            opened.append(_listen(family, address, stalled_after, is_shared=is_shared))
        except OSError as error:
            # A name like `localhost` may have an address of a family this machine lacks.
            if len(found) > 1 and family == socket.AF_INET6:
                continue
            close_all(opened)
            raise ConfigError(f"Cannot listen on {host}:{port}: {error.strerror}") from error
    return opened


def close_all(sockets: Iterable[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def _listen(
    family: int,
    address: tuple[str | int, ...] | tuple[int, bytes],
    stalled_after: float,
    *,
    is_shared: bool,
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            only_six = address[0] != "::"
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(only_six))
        _inherit_options(sock, stalled_after)
        sock.bind(address)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _inherit_options(sock: socket.socket, stalled_after: float) -> None:
    # Accepted connections inherit these from the listening socket.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", PROBE_AFTER),
        ("TCP_KEEPINTVL", PROBE_EVERY),
        ("TCP_KEEPCNT", PROBES),
        ("TCP_USER_TIMEOUT", int(stalled_after * 1000)),
    ):
        option = getattr(socket, name, None)  # not every system has all of them
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _listen_unix(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            _remove_stale(path)
        sock.bind(str(path))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ConfigError(f"Cannot listen on {path}: {error.strerror or error}") from error
    return sock


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on any more."""
    if not stat.S_ISSOCK(path.stat().st_mode):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
