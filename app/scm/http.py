"""Pooled HTTP connections for readers: no cookies, no proxies from the environment, no patience."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from urllib3 import PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.response import HTTPResponse
from urllib3.util import Timeout

from app.scm.reading import ReadingLimits

HEADER_PATIENCE = 3
"""How many read timeouts a server may take to send all of its headers."""


def open_pool(limits: ReadingLimits, proxy: str = "") -> PoolManager:
    """Open a pool that reads through `proxy`, or directly; it repeats and follows nothing."""
    timeout = Timeout(connect=limits.connect_timeout, read=limits.read_timeout)
    headers = {"user-agent": "callboard", "accept": "*/*"}
    pool = (
        ProxyManager(proxy, headers=headers, timeout=timeout, retries=False)
        if proxy
        else PoolManager(headers=headers, timeout=timeout, retries=False)
    )
    pool.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
    return pool


_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (NameResolutionError, "the host name is not known"),
    (NewConnectionError, "no connection"),
    (ConnectTimeoutError, "no connection in time"),
    (ReadTimeoutError, "no answer in time"),
    (SSLError, "no trusted connection"),
    (ProtocolError, "the connection broke off"),
)


def why(error: Exception) -> str:
    """Say in a few words why a request failed."""
    if isinstance(error, MaxRetryError) and error.reason is not None:
        error = error.reason
    words = next((words for kind, words in _WORDS if isinstance(error, kind)), "")
    cause = error.__cause__ or error.__context__
    if isinstance(cause, OSError) and cause.strerror and words.startswith("no "):
        return f"{words}, {cause.strerror.lower()}"
    return words or str(error) or type(error).__name__


@contextlib.contextmanager
def _headers_within(sock: socket.socket | None, seconds: float | None) -> Iterator[None]:
    """Break the connection if the headers take too long in all; a timeout only sees silence."""
    if sock is None or not seconds:
        yield
        return
    is_late = threading.Event()

    def break_off() -> None:
        is_late.set()
        with contextlib.suppress(OSError):
            # Not `sock.shutdown`: a TLS socket would forget its state under the reader's feet.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, break_off)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        if is_late.is_set():
            raise TimeoutError("the headers took too long") from error
        raise
    finally:
        timer.cancel()
    if is_late.is_set():
        # To `http.client`, headers that break off are headers that are complete.
        raise TimeoutError("the headers took too long")


class _PlainConnection(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override] # as in urllib3
        with _headers_within(self.sock, _seconds(self.timeout)):
            return super().getresponse()


class _TlsConnection(HTTPSConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override] # as in urllib3
        with _headers_within(self.sock, _seconds(self.timeout)):
            return super().getresponse()


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def _seconds(timeout: object) -> float | None:
    return timeout * HEADER_PATIENCE if isinstance(timeout, int | float) else None
