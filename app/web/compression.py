"""Compressing responses with gzip, where Express' `compression` would, and saying so in `Vary`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from flask import Response
from isal import isal_zlib

from app.web.requests import Environ

# Smaller bodies are not worth it.
THRESHOLD = 1024
LEVEL = 1
GZIP_WINDOW = 31
ACCEPT_ENCODING = "Accept-Encoding"
_COMPRESSIBLE = re.compile(
    r"text/|application/(?:json|javascript|xml|x-yaml|yaml|wasm|x-ndjson|manifest\+json)$"
    r"|[^;]+\+(?:json|text|xml)$"
)
_NO_TRANSFORM = re.compile(r"(?:^|,)\s*no-transform\s*(?:,|$)")


def compress(environ: Environ, response: Response, present: Mapping[str, str]) -> None:
    """Compress the body if that helps and is wanted; leave event streams to flow as they are.

    `present` holds the headers of `response` by their names in lower case.
    """
    kind = present.get("content-type")
    if kind is None or not _is_compressible(kind):
        return
    if _NO_TRANSFORM.search(present.get("cache-control", "")):
        return
    _vary(response, present.get("vary"))
    accepted = environ.get("HTTP_ACCEPT_ENCODING")
    if accepted is None or not accepts_gzip(accepted) or environ["REQUEST_METHOD"] == "HEAD":
        return
    if "content-encoding" in present or kind.startswith("text/event-stream"):
        return
    if not response.is_sequence:
        response.response = _Compressed(response.response)
        response.headers.pop("Content-Length", None)
    else:
        body = response.get_data()
        if len(body) < THRESHOLD:
            return
        response.set_data(isal_zlib.compress(body, LEVEL, wbits=GZIP_WINDOW))
    response.headers.add("Content-Encoding", "gzip")


def _vary(response: Response, present: str | None) -> None:
    if present is None:
        response.headers.add("Vary", ACCEPT_ENCODING)
    elif ACCEPT_ENCODING.lower() not in {part.strip().lower() for part in present.split(",")}:
        response.headers["Vary"] = f"{present}, {ACCEPT_ENCODING}"


@lru_cache(maxsize=256)
def accepts_gzip(header: str) -> bool:
    """Tell whether gzip is acceptable and not worse to the client than no encoding at all."""
    weights: dict[str, float] = {}
    for part in header.lower().split(","):
        coding, _, parameters = part.strip().partition(";")
        weights[coding.strip()] = _weight(parameters)
    gzip = weights.get("gzip", weights.get("*", 0.0))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


@lru_cache(maxsize=256)
def _is_compressible(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return _COMPRESSIBLE.match(kind) is not None


class _Compressed:
    """The pieces of a body, compressed as they come; closing it closes where they come from."""

    def __init__(self, pieces: Iterable[str] | Iterable[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        compressor = isal_zlib.compressobj(LEVEL, wbits=GZIP_WINDOW)
        for piece in self._pieces:
            data = compressor.compress(piece.encode() if isinstance(piece, str) else piece)
            if data:
                yield data
        yield compressor.flush()

    def close(self) -> None:
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()
