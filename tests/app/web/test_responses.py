"""Responses: JSON, entity tags, compression."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import pytest
from flask import Response, request
from hypothesis import given
from hypothesis import strategies as st

from app.web.compression import accepts_gzip
from app.web.responses import (
    empty,
    is_fresh,
    json_bytes,
    json_response,
    json_stream,
    not_modified,
    text_response,
    weak_etag,
)

from .plugins import USER, client, plugin

LARGE = b'["' + b"a" * 5000 + b'"]'
GZIP = {"Accept-Encoding": "gzip, deflate, br", **USER}


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def ask(asked):
    routes = plugin()

    @routes.route("/small", methods=["GET", "POST"])
    def small() -> Response:
        return json_response({"é": [1, None]})

    @routes.get("/large")
    def large() -> Response:
        return json_bytes(LARGE)

    @routes.get("/stream")
    def stream() -> Response:
        return json_stream(piece() for _ in range(3))

    def piece() -> bytes:
        return LARGE

    @routes.get("/tagged")
    def tagged() -> Response:
        etag = weak_etag("revision", 7)
        if is_fresh(request.environ, etag):
            return not_modified(etag)
        asked.append("work")
        return json_bytes(LARGE, etag=etag)

    @routes.get("/private")
    def private() -> Response:
        return json_bytes(LARGE, headers={"Cache-Control": "private, no-transform"})

    @routes.get("/image")
    def image() -> Response:
        return Response(LARGE, content_type="image/png")

    @routes.get("/varying")
    def varying() -> Response:
        return json_bytes(LARGE, headers={"Vary": "Accept"})

    @routes.get("/events")
    def events() -> Response:
        return Response(iter([LARGE]), content_type="text/event-stream")

    routes.add_url_rule("/text", "text", lambda: text_response("x" * 2000))
    routes.add_url_rule("/nothing", "nothing", empty)
    return client(routes)


def test_json_is_compact_and_utf8(ask):
    response = ask.get("/api/catalog/small", headers=USER)

    assert response.data == '{"é":[1,null]}'.encode()
    assert response.content_type == "application/json; charset=utf-8"


def test_an_answer_that_is_repeated_costs_no_body(ask):
    first = ask.get("/api/catalog/small", headers=USER)
    again = ask.get("/api/catalog/small", headers={"If-None-Match": first.headers["ETag"], **USER})

    assert first.headers["ETag"].startswith('W/"')
    assert (again.status_code, again.data, again.content_type) == (304, b"", None)
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Vary"] == "Accept-Encoding"
    assert "Content-Length" not in again.headers


@pytest.mark.parametrize("header", ['"x", {etag}', "*", "{strong}", 'W/"y",{etag}'])
def test_any_of_the_tags_a_client_knows_will_do(ask, header):
    etag = ask.get("/api/catalog/small", headers=USER).headers["ETag"]
    known = header.format(etag=etag, strong=etag.removeprefix("W/"))

    assert ask.get("/api/catalog/small", headers={"If-None-Match": known, **USER}).status_code == (
        304
    )


def test_a_client_may_insist_on_the_body(ask):
    headers = {"If-None-Match": "*", "Cache-Control": "no-cache", **USER}

    assert ask.get("/api/catalog/small", headers=headers).status_code == 200


def test_only_what_can_be_repeated_is_tagged(ask):
    assert "ETag" not in ask.post("/api/catalog/small", headers=USER).headers
    assert "ETag" not in ask.get("/api/catalog/nothing", headers=USER).headers
    assert "ETag" not in ask.get("/api/catalog/stream", headers=USER).headers
    posted = ask.post("/api/catalog/small", headers={"If-None-Match": "*", **USER})
    assert posted.status_code == 200


def test_a_view_that_knows_its_tag_need_not_work(ask, asked):
    first = ask.get("/api/catalog/tagged", headers=USER)
    again = ask.get("/api/catalog/tagged", headers={"If-None-Match": first.headers["ETag"], **USER})

    assert (first.status_code, again.status_code) == (200, 304)
    assert asked == ["work"]


PARTS = st.lists(st.text("ab\0", max_size=3), min_size=1, max_size=3)


@given(PARTS, PARTS)
def test_tags_of_different_things_differ(one, other):
    assert (weak_etag(*one) == weak_etag(*other)) == (one == other)


def test_a_large_answer_is_compressed_for_those_who_can_read_it(ask):
    response = ask.get("/api/catalog/large", headers=GZIP)

    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers["Vary"] == "Accept-Encoding"
    assert int(response.headers["Content-Length"]) == len(response.data) < 1000
    assert gzip.decompress(response.data) == LARGE


def test_the_tag_does_not_depend_on_the_encoding(ask):
    plain = ask.get("/api/catalog/large", headers=USER)

    assert plain.data == LARGE
    assert plain.headers["ETag"] == ask.get("/api/catalog/large", headers=GZIP).headers["ETag"]


def test_a_small_answer_is_not_compressed_but_says_that_it_might_be(ask):
    response = ask.get("/api/catalog/small", headers=GZIP)

    assert "Content-Encoding" not in response.headers
    assert response.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("path", ["private", "image", "nothing"])
def test_what_must_not_or_need_not_be_compressed_is_left_alone(ask, path):
    response = ask.get(f"/api/catalog/{path}", headers=GZIP)

    assert "Content-Encoding" not in response.headers
    assert "Vary" not in response.headers


def test_events_flow_as_they_come(ask):
    response = ask.get("/api/catalog/events", headers=GZIP)

    assert response.data == LARGE
    assert response.headers["Vary"] == "Accept-Encoding"


def test_what_a_view_says_of_variation_is_kept(ask):
    response = ask.get("/api/catalog/varying", headers=GZIP)

    assert response.headers["Vary"] == "Accept, Accept-Encoding"


def test_a_stream_is_compressed_piece_by_piece(ask):
    response = ask.get("/api/catalog/stream", headers=GZIP)

    assert gzip.decompress(response.data) == LARGE * 3
    assert "Content-Length" not in response.headers


def test_a_stream_that_is_given_up_is_closed():
    closed = []

    def pieces() -> Iterator[bytes]:
        try:
            while True:
                yield LARGE
        finally:
            closed.append(True)

    routes = plugin()
    routes.add_url_rule("/endless", "endless", lambda: json_stream(pieces()))

    for headers in (USER, GZIP):
        response = client(routes).get("/api/catalog/endless", headers=headers, buffered=False)
        next(iter(response.response))
        response.close()

    assert closed == [True, True]


def test_head_describes_the_plain_body(ask):
    response = ask.head("/api/catalog/large", headers=GZIP)

    assert response.headers["Content-Length"] == str(len(LARGE))
    assert "Content-Encoding" not in response.headers


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("GZIP;q=0.5", True),
        ("deflate, gzip;q=1.0, *;q=0.5", True),
        ("*", True),
        ("br", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("gzip;q=0.2, identity;q=0.8", False),
        ("gzip;q=x", False),
        ("gzip; level=9", True),
        ("", False),
    ],
)
def test_gzip_is_used_where_it_is_acceptable_and_not_worse(header, accepted):
    assert accepts_gzip(header) is accepted


@given(st.text())
def test_any_accept_encoding_is_understood_somehow(header):
    assert accepts_gzip(header) in {True, False}
