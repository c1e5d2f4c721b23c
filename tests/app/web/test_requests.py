"""Reading a WSGI request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web.requests import auth_cookie, bearer_token, raw_url, relative_url


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("/api/catalog/entities?filter=a%3Db", "/entities?filter=a%3Db"),
        ("/api/catalog/entities/", "/entities/"),
        ("/api/catalog", "/"),
        ("/api/catalog/", "/"),
        ("/api/catalog?a=/b", "/?a=/b"),
        ("/api/catalog//x", "//x"),
        ("/nope?x", "/nope?x"),
        ("/", "/"),
    ],
)
def test_a_url_is_shown_relative_to_the_plugin(sent, shown):
    assert relative_url({"REQUEST_URI": sent}) == shown


@pytest.mark.parametrize(
    ("path", "query", "url"),
    [("/api/x/ä b", "", "/api/x/%C3%A4%20b"), ("/a:b", "c=d", "/a:b?c=d"), ("", "", "/")],
)
def test_without_the_raw_url_it_is_encoded_anew(path, query, url):
    environ = {"PATH_INFO": path.encode().decode("latin-1"), "QUERY_STRING": query}

    assert raw_url(environ) == url


def test_an_absolute_request_target_is_not_mistaken_for_a_path():
    environ = {"REQUEST_URI": "http://host/a", "PATH_INFO": "/a", "QUERY_STRING": ""}

    assert raw_url(environ) == "/a"


@given(st.text())
def test_any_header_is_a_bearer_token_or_none(header):
    token = bearer_token({"HTTP_AUTHORIZATION": header})

    assert token is None or (header.endswith(token) and not token.isspace())


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("backstage-auth=a.b.c", "a.b.c"),
        ("x=1; backstage-auth=a; backstage-auth=b", "a"),
        ('backstage-auth="a%2Eb"', "a.b"),
        ("not-backstage-auth=a", None),
        ("backstage-auth", None),
        ("backstage-auth=", None),
        ("", None),
    ],
)
def test_the_cookie_is_found_among_others(header, token):
    assert auth_cookie({"HTTP_COOKIE": header}) == token
