"""Talking to git servers through dulwich, on a short leash: bounded in time, bytes and direction.

dulwich rather than the git program: it comes with the package and so is there in every container,
runs nothing that a repository or a configuration file names, and takes credentials as values that
never stand in an argument list. Only `ssh` remotes start a program, `ssh` itself.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO, Any
from urllib.parse import urljoin

from dulwich.client import (
    GitClient,
    SSHGitClient,
    SubprocessSSHVendor,
    SubprocessWrapper,
    Urllib3HttpGitClient,
)
from dulwich.protocol import Protocol
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

from app.scm.addresses import parse_url
from app.scm.git_remote import GitRemote
from app.scm.http import why

_REDIRECTS = {301, 302, 303, 307, 308}
_MAX_REDIRECTS = 5
_WATCH_INTERVAL = 0.1


class TransferError(Exception):
    """The transfer was refused or ended by us or by the other side; the message says why."""


@dataclass(slots=True)
class Watch:
    """Counts what comes in, and ends a transfer that is too large, too slow or not wanted."""

    seconds: float
    max_bytes: int
    stop: threading.Event
    _received: int = 0
    _deadline: float = 0.0

    def __post_init__(self) -> None:
        """Start the clock."""
        self._deadline = time.monotonic() + self.seconds

    def check(self) -> None:
        """Raise if the transfer should end."""
        if self.stop.is_set():
            raise TransferError("reading was stopped")
        if time.monotonic() > self._deadline:
            raise TransferError(f"it was not complete after {self.seconds:g} seconds")

    def count(self, size: int) -> None:
        """Add what was received; raise if that is enough."""
        self._received += size
        if self._received > self.max_bytes:
            raise TransferError(f"it sent more than {self.max_bytes} bytes")
        self.check()

    @contextlib.contextmanager
    def ending(self, end: Callable[[], object]) -> Iterator[None]:
        """Call `end` from another thread when the time comes while this one waits for input."""
        is_over = threading.Event()

        def watch() -> None:
            while not is_over.wait(_WATCH_INTERVAL):
                if self.stop.is_set() or time.monotonic() > self._deadline:
                    end()
                    return

        thread = threading.Thread(target=watch, name="git-watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()


@contextlib.contextmanager
def open_client(
    remote: GitRemote, pool: PoolManager, watch: Watch
) -> Iterator[tuple[GitClient, str]]:
    """Open a client for an `https` or `ssh` remote, and the path to ask it for.

    Whatever goes wrong while it is open becomes a `TransferError`: what dulwich raises when the
    other side talks nonsense is not always an error of its own.
    """
    opened = _open_ssh(remote, watch) if remote.scheme == "ssh" else _open_http(remote, pool, watch)
    try:
        with opened as (client, path):
            yield client, path
    except TransferError:
        raise
    except Exception as error:
        # What an ended transfer looks like to dulwich is not why it was ended.
        watch.check()
        cause = error if isinstance(error, HTTPError) else error.__cause__
        words = why(cause) if isinstance(cause, HTTPError) else str(error)
        raise TransferError(words or type(error).__name__) from error


@contextlib.contextmanager
def _open_ssh(remote: GitRemote, watch: Watch) -> Iterator[tuple[GitClient, str]]:
    vendor = _WatchedSsh(watch)
    client = _SshClient(
        remote.host.strip("[]"),
        port=remote.port,
        username=remote.username or None,
        vendor=vendor,
        key_filename=remote.identity_file or None,
        ssh_command="ssh -o BatchMode=yes -o ConnectTimeout=15",
        report_activity=lambda size, way: watch.count(size if way == "read" else 0),
    )
    try:
        with watch.ending(vendor.kill):
            yield client, remote.path
    finally:
        vendor.kill()
        client.close()


@contextlib.contextmanager
def _open_http(
    remote: GitRemote, pool: PoolManager, watch: Watch
) -> Iterator[tuple[GitClient, str]]:
    http = _HttpClient(remote, pool, watch)
    try:
        with watch.ending(http.break_off):
            yield http, ""
    finally:
        http.close()


class _SshClient(SSHGitClient):
    _connections: tuple[Protocol, ...] = ()

    def _connect(
        self, cmd: bytes, path: str | bytes, protocol_version: int | None = None
    ) -> tuple[Protocol, Callable[[], bool], IO[bytes] | None]:
        connection = super()._connect(cmd, path, protocol_version)
        self._connections += (connection[0],)
        return connection

    def close(self) -> None:
        """Close what dulwich leaves open when the other side hangs up early."""
        for connection in self._connections:
            connection.close()

    @staticmethod
    def _warn_filter_objects() -> None:
        """Say nothing: sending everything is fine too."""


class _WatchedSsh(SubprocessSSHVendor):
    """Starts `ssh` and remembers it, to end it in time."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._started: list[SubprocessWrapper] = []

    def run_command(self, *args: Any, **kwargs: Any) -> SubprocessWrapper:
        self._watch.check()
        wrapper = super().run_command(*args, **kwargs)
        self._started.append(wrapper)
        return wrapper

    def kill(self) -> None:
        for wrapper in self._started:
            if wrapper.proc.poll() is None:
                wrapper.proc.kill()


class _HttpClient(Urllib3HttpGitClient):
    """Speaks only to the host it was made for, and only the smart protocol."""

    def __init__(self, remote: GitRemote, pool: PoolManager, watch: Watch) -> None:
        super().__init__(
            remote.url,
            pool_manager=pool,
            username=remote.username or None,
            password=remote.password or None,
        )
        self._remote = remote
        self._watch = watch
        self._responses: list[Any] = []

    @staticmethod
    def _warn_filter_objects() -> None:
        """Say nothing: sending everything is fine too."""

    def break_off(self) -> None:
        """Wake up whoever waits for a response."""
        for response in self._responses:
            with contextlib.suppress(OSError, RuntimeError, ValueError):
                response.shutdown()

    def close(self) -> None:
        """Close the responses; not all of them were read to their end."""
        for response in self._responses:
            response.close()

    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: Any = None,
        raise_for_status: bool = True,  # noqa: ARG002, FBT001, FBT002 - the signature of dulwich
    ) -> Any:
        address = url
        for _ in range(_MAX_REDIRECTS + 1):
            self._check_address(address)
            self._watch.check()
            response, read = super()._http_request(address, headers, data, raise_for_status=False)
            location = response.headers.get("location")
            if response.status not in _REDIRECTS or not location or data is not None:
                break
            response.close()
            address = urljoin(address, location)
        else:
            raise TransferError(f"more than {_MAX_REDIRECTS} redirects")
        self._responses.append(response)
        _check_status(response.status)
        if data is None and not _is_git(response.content_type):
            raise TransferError("there is no git repository, or not one with the smart protocol")
        response.redirect_location = address if address != url else ""
        return response, self._bounded(response, read)

    def _check_address(self, url: str) -> None:
        """Refuse other hosts: redirects and pack addresses of a server lead wherever it likes."""
        address = parse_url(url)
        if address.hostname != parse_url(self._remote.url).hostname:
            raise TransferError(f"it leads to another host, {address.hostname}")
        if address.protocol not in {"https:", f"{self._remote.scheme}:"}:
            raise TransferError("it leads from https to an unprotected address")

    def _bounded(self, response: Any, read: Callable[..., bytes]) -> Callable[[int], bytes]:
        """Read exactly what is asked for, as git's protocol wants, but with a look at the clock."""
        del read  # It waits for the whole of a piece, however slowly that comes.

        def read_exactly(size: int) -> bytes:
            parts = list[bytes]()
            while size > 0 and (part := response.read1(size)):
                self._watch.count(len(part))
                parts.append(part)
                size -= len(part)
            return b"".join(parts)

        return read_exactly


def _is_git(content_type: str | None) -> bool:
    return bool(content_type and content_type.startswith("application/x-git-"))


def _check_status(status: int) -> None:
    if status == HTTPStatus.OK:
        return
    advice = {
        HTTPStatus.UNAUTHORIZED: ", check the user name and the token",
        HTTPStatus.FORBIDDEN: ", check what the token may read",
        HTTPStatus.NOT_FOUND: ", there is no such repository or the token may not see it",
    }
    try:
        known = HTTPStatus(status)
    except ValueError:
        raise TransferError(str(status)) from None
    raise TransferError(f"{status} {known.phrase}{advice.get(known, '')}")
