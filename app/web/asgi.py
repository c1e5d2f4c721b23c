"""ASGI's shapes, and their translation to and from WSGI's."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import lru_cache
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

import orjson

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Environ: TypeAlias = dict[str, Any]
WireHeaders: TypeAlias = list[tuple[bytes, bytes]]

# Stands in `PATH_INFO` for a slash that the client encoded, because it is part of a name. It is a
# code point that is no character; routes get the slash (`app.web.segments`).
ENCODED_SLASH = "\ufdd0"
_MARK = ENCODED_SLASH.encode()
_SLASH = re.compile(rb"%2f", re.IGNORECASE)
_MOUNT = re.compile(r"^/api/[^/]+(?=/|$)")
# What says how long the body is; we say that ourselves, because the body is read whole.
_FRAMING = {"CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"}


@lru_cache(maxsize=512)
def _variable(header: bytes) -> str:
    """Name a header as WSGI does, or answer "" for one that must not be passed on."""
    name = header.decode("latin-1")
    if "_" in name:
        # `X_Forwarded_For` would arrive under the name of `X-Forwarded-For`.
        return ""
    variable = name.upper().replace("-", "_")
    return variable if variable in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{variable}"


def _decoded(raw_path: bytes) -> bytes:
    """Decode a path; a slash that was encoded divides nothing (see `ENCODED_SLASH`)."""
    return unquote_to_bytes(_SLASH.sub(_MARK, raw_path))


def environ_of(scope: Scope, body: bytes) -> Environ:
    """Describe a request, or a socket's handshake, whose whole body is `body` to a WSGI app."""
    raw_path: bytes = scope["raw_path"]
    path = _decoded(raw_path) if b"%" in raw_path else raw_path
    query = scope["query_string"].decode("latin-1")
    host, port = scope.get("server") or ("localhost", 0)
    client, client_port = scope.get("client") or ("", 0)
    target = raw_path.decode("latin-1")
    environ: Environ = {
        "REQUEST_METHOD": scope.get("method", "GET"),
        "SCRIPT_NAME": "",
        "PATH_INFO": path.decode("latin-1"),
        "QUERY_STRING": query,
        "REQUEST_URI": f"{target}?{query}" if query else target,
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or ""),
        "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
        "REMOTE_ADDR": client,
        "REMOTE_PORT": str(client_port),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https" if scope.get("scheme") in {"https", "wss"} else "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        variable = _variable(name)
        if not variable or variable in _FRAMING:
            continue
        text = value.decode("latin-1")
        if variable in environ:
            separator = "; " if variable == "HTTP_COOKIE" else ","
            text = f"{environ[variable]}{separator}{text}"
        environ[variable] = text
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
    return environ


def wire_headers(headers: Iterable[tuple[str, str]]) -> WireHeaders:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def content_length(headers: WireHeaders) -> int | None:
    """Answer the length that `headers` announce, or None if they do not."""
    for name, value in headers:
        if name.lower() == b"content-length":
            return int(value)
    return None


def error_body(scope: Scope, status: int, name: str, message: str, **details: object) -> bytes:
    """Write an error as every plugin does, for requests that never reach one."""
    raw_path: bytes = scope["raw_path"]
    query: bytes = scope["query_string"]
    url = _MOUNT.sub("", raw_path.decode("latin-1")) or "/"
    return orjson.dumps(
        {
            "error": {"name": name, "message": message, **details},
            "request": {
                "method": scope.get("method", "GET"),
                "url": f"{url}?{query.decode('latin-1')}" if query else url,
            },
            "response": {"statusCode": status},
        }
    )
