"""Cross-origin requests, answered as npm's `cors` does with Backstage's settings.

An origin is allowed if a pattern matches it. Requests from elsewhere get no header at all, and
their preflights are ordinary requests that meet the barrier.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias

from app.scm.globs import compile_glob
from app.settings import CorsSettings
from app.web.requests import Environ

METHODS = ("GET", "HEAD", "PUT", "PATCH", "POST", "DELETE")
NO_CONTENT = 204
HeaderList: TypeAlias = list[tuple[str, str]]
_STARS = re.compile(r"\*{2,}")


class Cors:
    """Decides about origins and writes the headers; without settings there are none."""

    def __init__(self, settings: CorsSettings | None) -> None:
        self._settings = settings or CorsSettings(origin=())
        self._is_wildcard = self._settings.origin is None
        # Backstage matches without regard to case, and gives `**` no meaning beyond `*`.
        self._patterns = [
            compile_glob(_STARS.sub("*", pattern), ignore_case=True)
            for pattern in self._settings.origin or ()
        ]
        self._allows = lru_cache(maxsize=256)(self._matches)
        self._common: HeaderList = []
        if self._settings.credentials:
            self._common.append(("Access-Control-Allow-Credentials", "true"))
        self._exposed: HeaderList = []
        if self._settings.exposed_headers:
            exposed = ",".join(self._settings.exposed_headers)
            self._exposed.append(("Access-Control-Expose-Headers", exposed))

    def headers(self, environ: Environ) -> HeaderList | None:
        """Answer the headers of an ordinary response, None if the origin is not allowed.

        Where the answer depends on the origin, the list holds a `Vary` to be merged in front.
        """
        if environ["REQUEST_METHOD"] == "OPTIONS":  # a preflight that was let through
            answered = self._preflight(environ)
            return answered if answered is None else answered[1]
        origin = self._origin(environ)
        return None if origin is None else [*origin, *self._common, *self._exposed]

    def preflight(self, environ: Environ) -> tuple[int, HeaderList] | None:
        """Answer a preflight, None if the request has to go on (it may not even be one)."""
        if environ["REQUEST_METHOD"] != "OPTIONS" or self._settings.preflight_continue:
            return None
        answered = self._preflight(environ)
        if answered is None:
            return None
        status, headers = answered
        return status, [*headers, ("Content-Length", "0")]

    def _preflight(self, environ: Environ) -> tuple[int, HeaderList] | None:
        origin = self._origin(environ)
        if origin is None:
            return None
        settings = self._settings
        headers = [*origin, *self._common]
        headers.append(("Access-Control-Allow-Methods", ",".join(settings.methods or METHODS)))
        if settings.allowed_headers is not None:
            allowed = ",".join(settings.allowed_headers)
        else:
            allowed = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
            headers = _varying(headers, "Access-Control-Request-Headers")
        if allowed:
            headers.append(("Access-Control-Allow-Headers", allowed))
        if settings.max_age is not None:
            headers.append(("Access-Control-Max-Age", str(settings.max_age)))
        return settings.options_success_status or NO_CONTENT, [*headers, *self._exposed]

    def _origin(self, environ: Environ) -> HeaderList | None:
        if self._is_wildcard:
            return [("Access-Control-Allow-Origin", "*")]
        origin: str | None = environ.get("HTTP_ORIGIN")
        if origin is None or not self._allows(origin):
            return None
        return [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]

    def _matches(self, origin: str) -> bool:
        return any(pattern.matches(origin) for pattern in self._patterns)


def _varying(headers: HeaderList, name: str) -> HeaderList:
    present = next((value for key, value in headers if key == "Vary"), None)
    others = [(key, value) for key, value in headers if key != "Vary"]
    return [*others, ("Vary", name if present is None else f"{present}, {name}")]
