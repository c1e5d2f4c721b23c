"""Making responses: JSON, nothing, a stream of pieces; and entity tags that save sending them.

`finish_response` is what every response of the app passes last: it gives a tag to what has none,
turns an unchanged answer into 304, and compresses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from flask import Response
from flask.json.provider import JSONProvider
from xxhash import xxh3_128_hexdigest

from app.web.compression import compress
from app.web.requests import Environ

OK = 200
JSON = "application/json; charset=utf-8"
# Set in the environ of a request whose response is sent piece by piece.
STREAMED = "callboard.streamed"
# Set to the template of the route that answers.
ROUTE = "callboard.route"
_NO_CACHE = re.compile(r"(?:^|,)\s*no-cache\s*(?:,|$)")


def json_response(
    value: Any, status: int = 200, *, etag: str | None = None, headers: Mapping[str, str] = {}
) -> Response:
    """Answer with a value as compact JSON."""
    return json_bytes(orjson.dumps(value), status, etag=etag, headers=headers)


def json_bytes(
    body: bytes, status: int = 200, *, etag: str | None = None, headers: Mapping[str, str] = {}
) -> Response:
    """Answer with JSON that is already written; `etag` is its tag if that is known cheaply."""
    response = Response(body, status, content_type=JSON)
    if etag is not None:
        response.headers["ETag"] = etag
    for name, value in headers.items():
        response.headers[name] = value
    return response


def json_stream(pieces: Iterable[bytes], *, headers: Mapping[str, str] = {}) -> Response:
    """Answer with JSON that is made while it is sent; its length and tag are not known."""
    return Response(pieces, content_type=JSON, headers=dict(headers))


def text_response(text: str, status: int = 200) -> Response:
    """Answer with text as Express sends it, which declares it to be HTML."""
    return Response(text, status, content_type="text/html; charset=utf-8")


def empty(status: int = 204) -> Response:
    """Answer without a body, and without saying what type it would be."""
    response = Response(status=status)
    del response.headers["Content-Type"]
    return response


def weak_etag(*parts: bytes | str | int) -> str:
    """Make a weak tag of everything an answer depends on (a revision, a query, who asks).

    A view that knows these before it does its work asks `is_fresh` and answers `not_modified`.
    """
    if len(parts) == 1 and isinstance(parts[0], bytes):
        data = parts[0]
        return f'W/"{len(data):x}-{xxh3_128_hexdigest(data)}"'
    written = [p if isinstance(p, bytes) else str(p).encode() for p in parts]
    data = b"".join(len(part).to_bytes(8) + part for part in written)
    return f'W/"{xxh3_128_hexdigest(data)}"'


def is_fresh(environ: Environ, etag: str) -> bool:
    """Tell whether the client already has what `etag` stands for."""
    known: str | None = environ.get("HTTP_IF_NONE_MATCH")
    if known is None or environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
        return False
    if _NO_CACHE.search(environ.get("HTTP_CACHE_CONTROL", "")):
        return False
    if known.strip() == "*":
        return True
    opaque = etag.removeprefix("W/")
    return any(tag.strip().removeprefix("W/") == opaque for tag in known.split(","))


def not_modified(etag: str) -> Response:
    """Answer that the client's copy is still good."""
    response = empty(304)
    response.headers["ETag"] = etag
    return response


def finish_response(environ: Environ, response: Response) -> Response:
    """Tag, compress and shorten a response as its request allows."""
    # One pass over the few headers there are; asking for one that is missing is slow.
    present = dict(response.headers.items(lower=True))
    if not response.is_sequence:
        environ[STREAMED] = True
    elif response.status_code == OK and environ["REQUEST_METHOD"] in {"GET", "HEAD"}:
        etag = present.get("etag")
        if etag is None and (body := response.get_data()):
            etag = weak_etag(body)
            response.headers.add("ETag", etag)
        if etag is not None and is_fresh(environ, etag):
            _shorten(response)
    compress(environ, response, present)
    return response


def _shorten(response: Response) -> None:
    response.status_code = 304
    response.response = []
    for name in ("Content-Type", "Content-Length", "Content-Encoding"):
        response.headers.pop(name, None)


class OrjsonProvider(JSONProvider):
    """Flask's way to JSON, for views that return plain dicts and lists."""

    def dumps(self, obj: Any, **_: Any) -> str:
        """Write compact JSON."""
        return orjson.dumps(obj).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        """Read JSON."""
        return orjson.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Answer with JSON as every other part of the app does."""
        return json_response(args[0] if args else kwargs)
