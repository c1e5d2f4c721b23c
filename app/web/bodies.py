"""A response body that a WSGI app yields piece by piece, on its way to a client.

Pieces are pulled on a pool thread and sent by the event loop. The thread never waits for the
client: when enough is ready it goes back to the pool and is asked again once that has been sent.
So a slow reader holds some memory, but no thread; and a body is as large as it likes in constant
memory. Successive pieces may be pulled by different threads, but always in the context of their
request.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import Context

from app.web.pool import Pool

WINDOW = 512 * 1024


class BodyPump:
    """Pulls from `chunks` ahead of the reader, at most about `WINDOW` bytes."""

    def __init__(
        self,
        chunks: Iterator[bytes],
        close: Callable[[], None],
        context: Context,
        pool: Pool,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._chunks = chunks
        self._close = close
        self._context = context
        self._pool = pool
        self._loop = loop
        self._news = asyncio.Event()
        self._lock = threading.Lock()
        self._ready: list[bytes] = []
        self._size = 0
        self._error: BaseException | None = None
        # A pump is made before its first fill, which `start` leaves to the pool.
        self._filling = False
        self._ended = False
        self._abandoned = False

    def start(self) -> None:
        """Begin to pull."""
        with self._lock:
            self._resume()

    async def take(self) -> bytes:
        """Wait for what comes next and answer all that is ready; nothing is the end.

        Raises what the app raised, after everything it yielded before was taken.
        """
        while True:
            with self._lock:
                if self._ready:
                    data = self._ready[0] if len(self._ready) == 1 else b"".join(self._ready)
                    self._ready.clear()
                    self._size = 0
                    self._resume()
                    return data
                if self._error is not None:
                    raise self._error
                if self._ended:
                    return b""
                self._news.clear()
            await self._news.wait()

    def abandon(self) -> None:
        """Stop pulling, and close the iterable: nobody reads it any more."""
        with self._lock:
            self._abandoned = True
            self._resume()

    def _resume(self) -> None:
        if not self._filling and not self._ended:
            self._filling = True
            self._pool.submit(self._fill)

    def _fill(self) -> None:
        error: BaseException | None = None
        try:
            if self._context.run(self._pull):
                return
        except BaseException as raised:  # noqa: BLE001 - `take` raises it where the request is known
            error = raised
        try:
            self._context.run(self._close)
        except BaseException as raised:  # noqa: BLE001
            error = error or raised
        with self._lock:
            self._error, self._ended, self._filling = error, True, False
        self._tell()

    def _pull(self) -> bool:
        """Pull until there is enough; tell whether more may come."""
        while not self._abandoned:
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            if not chunk:
                continue
            with self._lock:
                news = not self._ready
                self._ready.append(chunk)
                self._size += len(chunk)
                full = self._size >= WINDOW
                if full:
                    self._filling = False
            if news:
                self._tell()
            if full:
                return True
        return False

    def _tell(self) -> None:
        with suppress(RuntimeError):  # the loop is gone, and so is the client
            self._loop.call_soon_threadsafe(self._news.set)
