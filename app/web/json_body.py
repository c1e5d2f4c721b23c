"""JSON bodies, read as Express' body parser reads them.

What is wrong with a body is a `NamedError` with the parser's name, status and properties;
OpenAPI-validated plugins turn it into an `InputError` with the same message.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

import orjson
from flask import Request

from app.web.errors import NamedError
from app.web.requests import Environ

DEFAULT_LIMIT = 100 * 1024
JSON_TYPE = "application/json"
# V8 shows this many characters on either side of what it did not expect.
_CONTEXT = 10
_MESSAGES = {
    "Expecting ':' delimiter": "Expected ':' after property name in JSON",
    "Invalid control character at": "Bad control character in string literal in JSON",
    "Invalid \\escape": "Bad escaped character in JSON",
    "Invalid \\uXXXX escape": "Bad Unicode escape in JSON",
    "Extra data": "Unexpected non-whitespace character after JSON",
}


def media_type(environ: Environ) -> str:
    """Answer the media type of the body with its parameters; "" if none is declared."""
    declared: str = environ.get("CONTENT_TYPE", "")
    kind, *parameters = declared.split(";")
    kept = sorted(p.strip() for p in parameters if "=" in p and "boundary=" not in p.lower())
    return "; ".join([kind.strip().lower(), *kept]) if kind.strip() else ""


def is_json(environ: Environ) -> bool:
    """Tell whether the body is declared to be JSON."""
    declared: str = environ.get("CONTENT_TYPE", "")
    return declared == JSON_TYPE or declared.partition(";")[0].strip().lower() == JSON_TYPE


def read_json(request: Request, *, limit: int = DEFAULT_LIMIT) -> Any:
    """Read the body of a request; it is `{}` if it is empty or not declared to be JSON.

    Raises `NamedError` if it is larger than `limit`, oddly encoded, or no JSON object or array.
    """
    environ: Environ = request.environ
    if not is_json(environ):
        return {}
    _check_charset(environ)
    data = _decoded(_received(request, limit), environ.get("HTTP_CONTENT_ENCODING", ""), limit)
    return parse_json(data) if data else {}


def parse_json(data: bytes) -> Any:
    """Parse the JSON text of a body, which has to be an object or an array."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        text = data.decode("utf-8", "replace")
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise _syntax_error(_explain(text, error), text) from None
    if not isinstance(value, dict | list):
        text = data.decode("utf-8", "replace")
        start = len(text) - len(text.lstrip())
        raise _syntax_error(_unexpected(text, start), text)
    return value


def _received(request: Request, limit: int) -> bytes:
    length = request.content_length
    if length is not None and length > limit:
        raise _too_large(limit, expected=length, length=length)
    data = request.stream.read(limit + 1)
    if len(data) > limit:
        raise _too_large(limit, received=len(data))
    return data


def _decoded(data: bytes, encoding: str, limit: int) -> bytes:
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"} or not data:
        return data
    if encoding not in {"gzip", "deflate"}:
        message = f'unsupported content encoding "{encoding}"'
        properties = {"encoding": encoding, "type": "encoding.unsupported"}
        raise NamedError("UnsupportedMediaTypeError", message, 415, properties)
    inflater = zlib.decompressobj(wbits=47)  # gzip or zlib, whichever it is
    try:
        inflated = inflater.decompress(data, limit + 1)
    except zlib.error as error:
        raise NamedError("Error", str(error), 400, {"type": "stream.error"}) from None
    if len(inflated) > limit:
        raise _too_large(limit, received=len(inflated))
    if not inflater.eof:
        raise NamedError("Error", "unexpected end of file", 400, {"type": "stream.error"})
    return inflated


def _check_charset(environ: Environ) -> None:
    declared: str = environ.get("CONTENT_TYPE", "")
    if "charset" not in declared.lower():
        return
    for parameter in declared.split(";")[1:]:
        name, _, value = parameter.partition("=")
        charset = value.strip().strip('"').lower()
        if name.strip().lower() == "charset" and charset not in {"utf-8", "utf8"}:
            message = f'unsupported charset "{charset.upper()}"'
            properties = {"charset": charset, "type": "charset.unsupported"}
            raise NamedError("UnsupportedMediaTypeError", message, 415, properties)


def _too_large(limit: int, **sizes: int) -> NamedError:
    properties = {**sizes, "limit": limit, "type": "entity.too.large"}
    return NamedError("PayloadTooLargeError", "request entity too large", 413, properties)


def _syntax_error(message: str, body: str) -> NamedError:
    properties = {
        "expose": True,
        "statusCode": 400,
        "status": 400,
        "body": body,
        "type": "entity.parse.failed",
    }
    return NamedError("SyntaxError", message, 400, properties)


def _explain(text: str, strict: orjson.JSONDecodeError) -> str:
    """Say what is wrong with JSON text in the words of Backstage's runtime."""
    try:
        # As an integer a number of thousands of digits would be refused in other words.
        json.loads(text, parse_int=float)
    except json.JSONDecodeError as error:
        return _translated(text, error.msg, error.pos)
    except RecursionError:
        return "JSON is nested too deeply"
    # Python also takes `NaN`, numbers beyond all bounds, and halves of characters.
    if strict.msg.startswith("unexpected character"):
        return _unexpected(text, strict.pos)
    return f"{strict.msg[:1].upper()}{strict.msg[1:]} in JSON at position {strict.pos}"


def _translated(text: str, message: str, position: int) -> str:
    if message.startswith("Expecting value"):
        return _unexpected(text, position)
    if message.startswith("Unterminated string"):
        message, position = "Unterminated string in JSON", len(text)
    elif message.startswith("Expecting property name"):
        is_first = text[:position].rstrip().endswith("{")
        message = "property name or '}'" if is_first else "double-quoted property name"
        message = f"Expected {message} in JSON"
    elif message.startswith("Expecting ',' delimiter"):
        message = f"Expected {_closing(text[:position])} in JSON"
    else:
        message = _MESSAGES.get(message, message)
    return f"{message} at position {position}"


def _closing(before: str) -> str:
    """Say what may follow after a value: it depends on what is open there."""
    opened, in_string, escaped = list[str](), False, False
    for character in before:
        if in_string:
            in_string = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_string = True
        elif character in "{[":
            opened.append(character)
        elif character in "}]" and opened:
            opened.pop()
    is_array = bool(opened) and opened[-1] == "["
    return "',' or ']' after array element" if is_array else "',' or '}' after property value"


def _unexpected(text: str, position: int) -> str:
    if position >= len(text):
        return "Unexpected end of JSON input"
    start, end = position - _CONTEXT, position + _CONTEXT
    shown = f'"{text[max(start, 0) : end]}"'
    if len(text) <= 2 * _CONTEXT:
        shown = f'"{text}"'
    else:
        shown = f"{'...' if start > 0 else ''}{shown}{'...' if end < len(text) else ''}"
    return f"Unexpected token '{text[position]}', {shown} is not valid JSON"
