"""Calling WSGI apps of every permitted shape."""

from contextvars import copy_context

import pytest

from app.web.answers import SMALL, call_wsgi


class Body:
    """Pieces of a body that note whether they were closed."""

    def __init__(self, *pieces, fails=False):
        self.pieces = pieces
        self.fails = fails
        self.is_closed = False

    def __iter__(self):
        yield from self.pieces
        if self.fails:
            raise ValueError("broken")

    def close(self):
        self.is_closed = True


def answer(body, status="200 OK", headers=(), method="GET"):
    def app(_, start_response):
        start_response(status, list(headers))
        return body

    return call_wsgi(app, {"REQUEST_METHOD": method}, copy_context())


def test_a_body_in_one_piece_is_whole_and_closed():
    body = Body(b"hello")

    found = answer(body, headers=[("Content-Length", "5")])

    assert (found.status, found.body, found.rest) == (200, b"hello", None)
    assert body.is_closed


def test_a_short_body_in_pieces_is_joined():
    body = Body(b"he", b"", b"llo")

    found = answer(body, headers=[("Content-Length", "5")])

    assert (found.body, found.rest) == (b"hello", None)
    assert body.is_closed


@pytest.mark.parametrize("headers", [[], [("Content-Length", str(SMALL + 1))]])
def test_a_longer_body_is_left_for_later(headers):
    body = Body(b"", b"first", b"second")

    found = answer(body, headers=headers)

    assert found.body == b"first"
    assert list(found.rest.chunks) == [b"second"]
    assert not body.is_closed
    found.rest.close()
    assert body.is_closed


def test_no_body_has_no_length():
    found = answer(())

    assert found.headers == [(b"content-length", b"0")]


def test_an_unchanged_page_says_nothing_of_a_body():
    found = answer(Body(b"left over"), "304 Not Modified", [("Content-Length", "9"), ("ETag", "x")])

    assert (found.body, found.headers) == (b"", [(b"ETag", b"x")])


def test_the_answer_to_head_says_what_get_would_send():
    found = answer((), headers=[("Content-Length", "9")], method="HEAD")

    assert (found.body, found.headers) == (b"", [(b"Content-Length", b"9")])


def test_an_app_that_breaks_before_its_first_piece_is_closed():
    body = Body(fails=True)

    with pytest.raises(ValueError, match="broken"):
        answer(body)

    assert body.is_closed


def test_an_app_may_start_its_response_with_its_first_piece():
    def app(_, start_response):
        start_response("201 Created", [])
        yield b"late"

    found = call_wsgi(app, {"REQUEST_METHOD": "GET"}, copy_context())

    assert (found.status, found.body) == (201, b"late")


def test_an_app_may_write_in_the_old_way():
    def app(_, start_response):
        write = start_response("200 OK", [])
        write(b"old ")
        write(b"ways ")
        return [b"last"]

    found = call_wsgi(app, {"REQUEST_METHOD": "GET"}, copy_context())

    assert found.body == b"old ways last"
