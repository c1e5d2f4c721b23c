"""A request as ASGI describes it, told to a WSGI app."""

import orjson
import pytest

from app.web.asgi import ENCODED_SLASH, environ_of, error_body


def scope(path=b"/", query=b"", headers=(), **more):
    return {
        "type": "http",
        "method": "GET",
        "raw_path": path,
        "query_string": query,
        "headers": list(headers),
        "server": ("127.0.0.1", 7007),
        "client": ("127.0.0.9", 5000),
        "http_version": "1.1",
        "scheme": "http",
        **more,
    }


def test_the_path_is_decoded_once_and_the_target_kept_as_it_was():
    environ = environ_of(scope(b"/a%20b/%C3%A4%25", b"q=%20"), b"")

    assert environ["PATH_INFO"].encode("latin-1").decode() == "/a b/ä%"
    assert environ["REQUEST_URI"] == "/a%20b/%C3%A4%25?q=%20"
    assert environ["QUERY_STRING"] == "q=%20"


@pytest.mark.parametrize("slash", [b"%2F", b"%2f"])
def test_a_slash_that_was_encoded_is_told_from_one_that_was_not(slash):
    environ = environ_of(scope(b"/a" + slash + b"b/c%252Fd"), b"")

    assert environ["PATH_INFO"].encode("latin-1").decode() == f"/a{ENCODED_SLASH}b/c%2Fd"


def test_headers_take_wsgi_names():
    headers = [(b"content-type", b"text/plain"), (b"x-one", b"1")]

    environ = environ_of(scope(headers=headers), b"")

    assert environ["CONTENT_TYPE"] == "text/plain"
    assert environ["HTTP_X_ONE"] == "1"


def test_repeated_headers_are_joined():
    headers = [(b"x-one", b"1"), (b"x-one", b"2"), (b"cookie", b"a=1"), (b"cookie", b"b=2")]

    environ = environ_of(scope(headers=headers), b"")

    assert environ["HTTP_X_ONE"] == "1,2"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"


def test_a_header_cannot_pose_as_another_by_an_underscore():
    environ = environ_of(scope(headers=[(b"x_forwarded_for", b"evil")]), b"")

    assert "HTTP_X_FORWARDED_FOR" not in environ


def test_a_chunked_body_arrives_with_its_length():
    headers = [(b"transfer-encoding", b"chunked")]

    environ = environ_of(scope(headers=headers), b"hello")

    assert environ["CONTENT_LENGTH"] == "5"
    assert "HTTP_TRANSFER_ENCODING" not in environ
    assert environ["wsgi.input"].read() == b"hello"


def test_a_unix_socket_has_no_addresses():
    environ = environ_of(scope(server=("/run/callboard.sock", None), client=None), b"")

    assert environ["SERVER_PORT"] == ""
    assert environ["REMOTE_ADDR"] == ""


def test_the_url_in_an_error_is_relative_to_its_plugin():
    body = error_body(scope(b"/api/catalog/entities", b"a=b"), 413, "Name", "text")

    assert orjson.loads(body) == {
        "error": {"name": "Name", "message": "text"},
        "request": {"method": "GET", "url": "/entities?a=b"},
        "response": {"statusCode": 413},
    }
