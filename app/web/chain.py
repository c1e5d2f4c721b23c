"""The outermost part of every request: its id, CORS, security headers, figures and the access log.

It wraps Flask's WSGI app, in the order of Backstage's root chain, so that what never reaches a
view (a preflight, an unknown path) is treated and logged like the rest.
"""

from __future__ import annotations

import itertools
import logging
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, Any

from app.logs import REQUEST_ID
from app.web.cors import Cors, HeaderList
from app.web.identity import PRINCIPAL
from app.web.metrics import RequestMetrics
from app.web.requests import Environ, raw_url
from app.web.responses import ROUTE, STREAMED

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

access = logging.getLogger("app.web.access")

REQUEST_ID_HEADER = "X-Request-Id"
# Probes and scrapes would drown the log.
QUIET = ("/.backstage/health/", "/metrics")
SECURITY_POLICY = (
    "default-src 'self';base-uri 'self';font-src 'self' https: data:;frame-ancestors 'self';"
    "img-src 'self' data:;object-src 'none';script-src 'self' 'unsafe-eval';"
    "script-src-attr 'none';style-src 'self' https: 'unsafe-inline';upgrade-insecure-requests"
)
# What helmet sends with Backstage's settings; a view that sends one of these itself keeps its own.
SECURITY_HEADERS: HeaderList = [
    ("Content-Security-Policy", SECURITY_POLICY),
    ("Referrer-Policy", "no-referrer"),
    ("Strict-Transport-Security", "max-age=15552000; includeSubDomains"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-DNS-Prefetch-Control", "off"),
    ("X-Download-Options", "noopen"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("X-Permitted-Cross-Domain-Policies", "none"),
    ("X-XSS-Protection", "0"),
]
_OWN = frozenset({"Content-Security-Policy", "X-Frame-Options", "Referrer-Policy"})
_SANE_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)


class Chain:
    """A WSGI app around another one."""

    def __init__(self, app: WSGIApplication, cors: Cors, metrics: RequestMetrics) -> None:
        self._app = app
        self._cors = cors
        self._metrics = metrics
        # Ids have to differ between processes and starts, not to be secret.
        self._id_prefix = secrets.token_hex(6)
        self._id_numbers = itertools.count(1)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        started = perf_counter()
        request_id = self._request_id(environ)
        ours = (REQUEST_ID_HEADER, request_id)
        preflight = self._cors.preflight(environ)
        if preflight is not None:
            status, headers = preflight
            line = f"{status} {HTTPStatus(status).phrase}"
            start_response(line, [*headers, *SECURITY_HEADERS, ours])
            self._finished(environ, started, request_id, status, 0)
            return ()
        REQUEST_ID.set(request_id)
        cors = self._cors.headers(environ)
        status = length = 0

        def start(line: str, headers: HeaderList, *exc_info: Any) -> Callable[[bytes], object]:
            nonlocal status, length
            status = int(line[:3])
            length, headers = _dressed(headers, cors)
            headers.append(ours)
            return start_response(line, headers, *exc_info)

        try:
            body = self._app(environ, start)
        finally:
            # What this thread logs later belongs to other requests or to none.
            REQUEST_ID.set("")
        done = partial(self._finished, environ, started, request_id)
        if STREAMED in environ:
            return Followed(body, lambda sent: done(status, sent))
        done(status, length)
        return body

    def _request_id(self, environ: Environ) -> str:
        given: str | None = environ.get("HTTP_X_REQUEST_ID")
        if given is not None and _SANE_ID.fullmatch(given):
            return given
        return f"{self._id_prefix}{next(self._id_numbers):x}"

    def _finished(
        self, environ: Environ, started: float, request_id: str, status: int, sent: int
    ) -> None:
        seconds = perf_counter() - started
        method = environ["REQUEST_METHOD"]
        self._metrics.observe(method, environ.get(ROUTE), status, seconds)
        level = logging.INFO
        if environ["PATH_INFO"].startswith(QUIET):
            level = logging.DEBUG
        if access.isEnabledFor(level):
            fields = {
                "method": method,
                "url": raw_url(environ),
                "status": status,
                "ms": round(seconds * 1000, 2),
                "bytes": sent,
                "caller": environ.get(PRINCIPAL, ""),
                "client": environ.get("REMOTE_ADDR", ""),
                "request": request_id,
            }
            access.handle(_record(level, fields))


class Followed:
    """A body sent piece by piece; `done` hears of its size when it has ended, however it ends."""

    def __init__(self, body: Iterable[bytes], done: Callable[[int], None]) -> None:
        self._body = body
        self._done = done
        self._sent = 0
        self._is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._body:
            self._sent += len(piece)
            yield piece

    def close(self) -> None:
        """Close what is followed."""
        close = getattr(self._body, "close", None)
        try:
            if close is not None:
                close()
        finally:
            if not self._is_closed:
                self._is_closed = True
                self._done(self._sent)


def _dressed(headers: HeaderList, cors: HeaderList | None) -> tuple[int, HeaderList]:
    """Add what every response carries; answer the length it declares, too."""
    length, vary, own = 0, "", None
    for name, value in headers:
        if name == "Content-Length":
            length = int(value)
        elif name == "Vary":
            vary = value
        elif name in _OWN:
            own = {*(own or ()), name}
    if cors:
        if vary and ("Vary", "Origin") in cors:
            headers = [(n, f"Origin, {v}" if n == "Vary" else v) for n, v in headers]
            cors = [header for header in cors if header[0] != "Vary"]
        headers = headers + cors
    if own is None:
        return length, headers + SECURITY_HEADERS
    return length, headers + [header for header in SECURITY_HEADERS if header[0] not in own]


def _record(level: int, fields: dict[str, Any]) -> logging.LogRecord:
    # Made by hand: the logger would look for the calling line, which costs more than all the rest.
    record = logging.LogRecord(access.name, level, __file__, 0, "request", (), None)
    record.fields = fields
    return record
