"""JSON bodies as Express' parser takes them."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest
from flask import Flask, request
from hypothesis import given
from hypothesis import strategies as st

from app.web.errors import NamedError
from app.web.json_body import parse_json, read_json

APP = Flask("test")


def read(data: bytes, *, limit: int = 1000, **options: Any) -> Any:
    given = {"data": data, "method": "POST", "content_type": "application/json", **options}
    with APP.test_request_context("/", **given):
        return read_json(request._get_current_object(), limit=limit)


def refusal(data: bytes, **options: Any) -> NamedError:
    with pytest.raises(NamedError) as raised:
        read(data, **options)
    return raised.value


def test_an_empty_body_is_an_empty_object():
    assert read(b"") == {}


@pytest.mark.parametrize("kind", ["text/plain", "application/x-json", None])
def test_what_is_not_declared_to_be_json_is_not_looked_at(kind):
    assert read(b"{bad", content_type=kind) == {}


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON;x=y"])
def test_the_type_may_have_parameters(kind):
    assert read(b"[1]", content_type=kind) == [1]


def test_a_body_beyond_the_limit_is_refused_with_its_size():
    error = refusal(b"x" * 1001)

    assert (error.name, error.status, str(error)) == (
        "PayloadTooLargeError",
        413,
        "request entity too large",
    )
    assert error.properties == {
        "expected": 1001,
        "length": 1001,
        "limit": 1000,
        "type": "entity.too.large",
    }


def test_what_is_no_json_is_a_syntax_error_with_the_text():
    error = refusal(b"{bad")

    assert (error.name, error.status) == ("SyntaxError", 400)
    assert error.properties["body"] == "{bad"
    assert error.properties["type"] == "entity.parse.failed"


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_a_compressed_body_is_inflated(pack):
    encoding = "gzip" if pack is gzip.compress else "deflate"

    assert read(pack(b'{"a":1}'), headers={"Content-Encoding": encoding}) == {"a": 1}


def test_a_compressed_body_is_measured_as_it_is_inflated():
    bomb = gzip.compress(b" " * 10_000_000)

    error = refusal(bomb, limit=20_000, headers={"Content-Encoding": "gzip"})

    assert error.name == "PayloadTooLargeError"
    assert error.properties["received"] == 20_001


@pytest.mark.parametrize("data", [b"not gzip", gzip.compress(b'{"a":1}', mtime=0)[:-9]])
def test_a_damaged_body_is_refused(data):
    assert refusal(data, headers={"Content-Encoding": "gzip"}).status == 400


def test_an_unknown_encoding_or_charset_is_refused():
    assert str(refusal(b"{}", headers={"Content-Encoding": "br"})) == (
        'unsupported content encoding "br"'
    )
    error = refusal(b"{}", content_type="application/json; charset=latin1")
    assert (str(error), error.status) == ('unsupported charset "LATIN1"', 415)


def test_bytes_that_are_no_utf8_are_replaced_as_node_does():
    assert read(b'{"a":"\xff"}') == {"a": "\ufffd"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{bad", "Expected property name or '}' in JSON at position 1"),
        ('{"a":1,}', "Expected double-quoted property name in JSON at position 7"),
        ('{"a" 1}', "Expected ':' after property name in JSON at position 5"),
        ('{"a":1 "b"}', "Expected ',' or '}' after property value in JSON at position 7"),
        ('["]" 1]', "Expected ',' or ']' after array element in JSON at position 5"),
        ('{"entityRefs":', "Unexpected end of JSON input"),
        ('{"a":"b', "Unterminated string in JSON at position 7"),
        ('["\\x"]', "Bad escaped character in JSON at position 2"),
        ('["a\nb"]', "Bad control character in string literal in JSON at position 3"),
        ("[1] 2", "Unexpected non-whitespace character after JSON at position 4"),
        ("[nope]", "Unexpected token 'n', \"[nope]\" is not valid JSON"),
        ("[1, 2, 3, 4, nope, 6, 7, 8]",
         "Unexpected token 'n', ...\" 2, 3, 4, nope, 6, 7\"... is not valid JSON"),
        ('"abc"', "Unexpected token '\"', \"\"abc\"\" is not valid JSON"),
        ("17", "Unexpected token '1', \"17\" is not valid JSON"),
        ("[NaN]", "Unexpected token 'N', \"[NaN]\" is not valid JSON"),
        (f"[{'9' * 5000}]", "Number is infinity when parsed as double in JSON at position 1"),
        ('["\\ud800"]', "No low surrogate in string in JSON at position 2"),
    ],
)  # fmt: skip
def test_mistakes_are_named_as_backstages_runtime_names_them(text, message):
    with pytest.raises(NamedError) as raised:
        parse_json(text.encode())
    assert str(raised.value).replace("\\\\", "\\") == message


def test_nesting_without_end_is_refused():
    with pytest.raises(NamedError):
        parse_json(b"[" * 100_000)


@given(st.binary() | st.text('{}[]",:01aeE+-.\\u ').map(str.encode))
def test_any_bytes_are_a_value_or_a_syntax_error(data):
    try:
        assert isinstance(parse_json(data), dict | list)
    except NamedError as error:
        assert error.name == "SyntaxError"  # noqa: PT017
