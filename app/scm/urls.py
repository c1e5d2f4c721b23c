"""Reading `url` locations on plain web servers, as far as `backend.reading.allow` permits.

Bounded in time and in size before and after decompression, redirects checked one by one, and cheap
while nothing changes: what was read is asked for again with its `ETag` and `Last-Modified`.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NamedTuple

from ada_url import URL
from urllib3 import BaseHTTPResponse, PoolManager
from urllib3.exceptions import HTTPError, ProtocolError

from app.errors import InputError, NotAllowedError, NotFoundError
from app.ports import Content, Reading
from app.scm.addresses import parse_url, resolve_url, without_userinfo
from app.scm.hosts import AllowList
from app.scm.http import why
from app.scm.reading import ReadingLimits, UnreadableError

CHUNK = 1 << 16
_REDIRECTS = {301, 302, 303, 307, 308}
_PATTERN = re.compile(r"[*?]")


class _Known(NamedTuple):
    """What a fingerprint remembers of the last answer."""

    digest: str = ""
    etag: str = ""
    modified: str = ""

    @classmethod
    def of(cls, fingerprint: str) -> _Known:
        try:
            return cls(*map(str, json.loads(fingerprint)))
        except (ValueError, TypeError):
            return cls()

    def headers(self) -> dict[str, str]:
        asked = {"if-none-match": self.etag, "if-modified-since": self.modified}
        return {name: value for name, value in asked.items() if value}


@dataclass(frozen=True, slots=True)
class WebReader:
    """A source of `url` locations: one GET per file."""

    allow: AllowList
    pool: PoolManager
    limits: ReadingLimits = field(default_factory=ReadingLimits)

    def serves(self, url: URL) -> bool:
        """Tell whether `url` may be read."""
        return self.allow.permits(url)

    def search(self, url: str, fingerprint: str = "") -> Reading | None:
        """Read the one file at `url`: a plain web server cannot be asked what matches a pattern."""
        if _PATTERN.search(parse_url(url).pathname):
            raise InputError("Unsupported search pattern URL")
        return self.fetch(url, fingerprint)

    def fetch(self, url: str, fingerprint: str = "") -> Reading | None:
        """Read the file at `url`; None if it is still what `fingerprint` stands for."""
        known = _Known.of(fingerprint)
        deadline = time.monotonic() + self.limits.total_timeout
        try:
            response = self._open(url, known, deadline)
            try:
                return self._reading(url, response, known, deadline)
            finally:
                # Unless all of it was read: what may still come is not worth waiting for.
                response.close()
        except (HTTPError, OSError, zlib.error) as error:
            raise self._failed(url, why(error)) from error

    def resolve(self, target: str, base: str) -> str:
        """Make `target` absolute; see `resolve_url`."""
        return resolve_url(target, base)

    def repository(self, url: str) -> None:  # noqa: ARG002 - whatever it is
        """Answer that a plain web server holds no repositories."""
        return

    def _reading(
        self, url: str, response: BaseHTTPResponse, known: _Known, deadline: float
    ) -> Reading | None:
        if response.status == HTTPStatus.NOT_MODIFIED and known.headers():
            response.read1(1)
            return None
        if response.status // 100 != HTTPStatus.OK // 100:
            message = f"could not read {url}, {response.status} {response.reason or ''}".rstrip()
            if response.status == HTTPStatus.NOT_FOUND:
                raise NotFoundError(message)
            raise UnreadableError("url", message)
        data = b"".join(self._body(url, response, deadline))
        digest = hashlib.sha256(data).hexdigest()
        if digest == known.digest:
            return None
        headers = response.headers
        fresh = _Known(digest, headers.get("etag", ""), headers.get("last-modified", ""))
        return Reading((Content(f"url:{url}", data),), json.dumps(fresh))

    def _open(self, url: str, known: _Known, deadline: float) -> BaseHTTPResponse:
        """Ask for `url` and follow its redirects, none of which may lead off the list."""
        address = parse_url(url)
        for _ in range(self.limits.max_redirects + 1):
            self._check(url, address)
            response = self._get(address.href, known)
            location = response.headers.get("location")
            if response.status not in _REDIRECTS or location is None:
                return response
            response.close()
            if time.monotonic() > deadline:
                raise self._failed(url, "no answer in time")
            address = parse_url(location, address.href)
        raise self._failed(url, f"more than {self.limits.max_redirects} redirects")

    def _check(self, url: str, address: URL) -> None:
        if address.username or address.password:
            raise self._failed(
                without_userinfo(url), "URLs with a user name or a password are not read"
            )
        if not self.allow.permits(address):
            raise not_allowed(address.href)

    def _get(self, url: str, known: _Known, *, is_second: bool = False) -> BaseHTTPResponse:
        headers = {**self.pool.headers, "accept-encoding": "gzip", **known.headers()}
        asked_at = time.monotonic()
        try:
            return self.pool.request(
                "GET", url, headers=headers, redirect=False, preload_content=False
            )
        except ProtocolError:
            # A pooled connection may have been closed by the other side while it was idle.
            if is_second or time.monotonic() - asked_at > 1:
                raise
        return self._get(url, known, is_second=True)

    def _body(self, url: str, response: BaseHTTPResponse, deadline: float) -> Iterator[bytes]:
        """Yield the content piece by piece, decompressed, until it is whole or too much."""
        size = 0
        encoding = response.headers.get("content-encoding", "").strip().lower()
        if encoding not in {"", "identity", "gzip", "x-gzip"}:
            raise self._failed(url, f"the content encoding {encoding} is not supported")
        pieces = self._raw(url, response, deadline)
        for piece in _inflated(pieces) if "gzip" in encoding else pieces:
            size += len(piece)
            if size > self.limits.max_bytes:
                raise self._failed(url, f"it has more than {self.limits.max_bytes} bytes")
            yield piece
        if not size and not _is_delimited(response):
            # An answer that breaks off within its headers looks like an empty file.
            raise self._failed(url, "the connection broke off")

    def _raw(self, url: str, response: BaseHTTPResponse, deadline: float) -> Iterator[bytes]:
        while piece := response.read1(CHUNK, decode_content=False):
            if time.monotonic() > deadline:
                raise self._failed(
                    url, f"it was not complete after {self.limits.total_timeout:g} seconds"
                )
            yield piece

    def _failed(self, url: str, reason: str) -> UnreadableError:
        return UnreadableError("url", f"Unable to read {url}, Error: {reason}")


def not_allowed(url: str) -> NotAllowedError:
    """Refuse to read `url`, in Backstage's words."""
    return NotAllowedError(
        f"Reading from '{url}' is not allowed. You may need to configure an integration for the "
        "target host, or add it to the configured list of allowed hosts at 'backend.reading.allow'"
    )


def _is_delimited(response: BaseHTTPResponse) -> bool:
    """Tell whether the end of an answer can be told from the end of its connection."""
    return response.status == HTTPStatus.NO_CONTENT or bool(
        {"content-length", "transfer-encoding"} & {name.lower() for name in response.headers}
    )


def _inflated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress gzip in small steps; raises `zlib.error` if it breaks off."""
    inflater = zlib.decompressobj(wbits=31)
    for piece in pieces:
        data = piece
        while data:
            if inflater.eof:
                inflater = zlib.decompressobj(wbits=31)
            yield inflater.decompress(data, CHUNK)
            data = inflater.unconsumed_tail or inflater.unused_data
        # What fits no longer into one step is still inside, though all input was taken.
        while not inflater.eof and (rest := inflater.decompress(b"", CHUNK)):
            yield rest
    if not inflater.eof:
        raise zlib.error("the compressed content broke off")
