"""What a WSGI app answers to one request: a head, and a body that is whole or still to come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextvars import Context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.web.asgi import Environ, Scope, WireHeaders, content_length, error_body, wire_headers

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

JSON: WireHeaders = [(b"content-type", b"application/json; charset=utf-8")]
# A body of announced length up to this is collected in one go.
SMALL = 256 * 1024
NO_BODY = frozenset({204, 304})


@dataclass(slots=True)
class Answer:
    """What the WSGI app answered: a head, and a body that is whole or still to be pulled."""

    status: int
    headers: WireHeaders
    body: bytes
    rest: Rest | None = None


@dataclass(frozen=True, slots=True)
class Rest:
    """The body that is still to be pulled, in the context of its request, and then closed."""

    chunks: Iterator[bytes]
    close: Callable[[], None]
    context: Context


def call_wsgi(wsgi: WSGIApplication, environ: Environ, context: Context) -> Answer:
    """Call a WSGI app up to its first piece of body, or to its end if it is short."""
    head: list[Any] = []
    written: list[bytes] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], _error: object = None, /
    ) -> Callable[[bytes], object]:
        head[:] = (int(status[:3]), headers)
        return written.append

    result = wsgi(environ, start_response)
    try:
        chunks = iter(result)
        first = next(filter(None, chunks), b"")
        status, headers = head[0], wire_headers(head[1])
        if written:
            first = b"".join((*written, first))
        length = content_length(headers)
        if length is not None and len(first) < length <= SMALL:
            first = b"".join((first, *chunks))
    except BaseException:
        _close(result)
        raise
    if status in NO_BODY or environ["REQUEST_METHOD"] == "HEAD":
        _close(result)
        # The headers of a HEAD request describe the body of the GET.
        return Answer(status, unsized(headers) if status in NO_BODY else headers, b"")
    if len(first) == length or not first:
        _close(result)
        if length is None:
            headers.append((b"content-length", b"0"))
        return Answer(status, headers, first)
    return Answer(status, headers, first, Rest(chunks, lambda: _close(result), context))


def unsized(headers: WireHeaders) -> WireHeaders:
    return [header for header in headers if header[0].lower() != b"content-length"]


def _close(result: Iterable[bytes]) -> None:
    close: Callable[[], object] | None = getattr(result, "close", None)
    if close is not None:
        close()


def refuse(scope: Scope, status: int, name: str, message: str) -> Answer:
    body = error_body(scope, status, name, message)
    return Answer(status, [*JSON, (b"content-length", str(len(body)).encode())], body)
