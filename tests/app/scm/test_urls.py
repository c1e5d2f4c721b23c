"""Reading from web servers: who may be asked, what may come back, and how long it may take."""

from __future__ import annotations

import gzip
import json
import socket
import time
import zlib
from dataclasses import replace

import pytest
from ada_url import URL

from app.errors import InputError, NotAllowedError, NotFoundError
from app.scm.hosts import AllowList
from app.scm.http import open_pool
from app.scm.reading import UnreadableError, spoken
from app.scm.urls import WebReader


@pytest.fixture
def reader(site, pool, limits):
    return WebReader(AllowList.parse([{"host": f"127.0.0.1:{site.port}"}]), pool, limits)


@pytest.fixture
def hurried(site, limits):
    """A reader without patience."""
    limits = replace(limits, read_timeout=0.3, total_timeout=1.0)
    pool = open_pool(limits)
    yield WebReader(AllowList.parse([{"host": f"127.0.0.1:{site.port}"}]), pool, limits)
    pool.clear()


def test_a_file_is_read(site, reader):
    url = site.answer("/a.yaml", b"kind: Component\n")

    reading = reader.fetch(url)

    assert [(c.location, c.data) for c in reading.contents] == [
        (f"url:{url}", b"kind: Component\n")
    ]


def test_no_cookies_and_no_credentials_are_sent(site, reader):
    url = site.answer("/a.yaml", b"x", set_cookie="session=1")
    reader.fetch(url)
    reader.fetch(url)

    assert not any({"cookie", "authorization"} & headers.keys() for _, headers in site.requests)


def test_a_missing_file_is_not_found(site, reader):
    with pytest.raises(NotFoundError) as error:
        reader.fetch(f"{site.url}/gone.txt")

    assert spoken(error.value) == (
        f"NotFoundError: could not read {site.url}/gone.txt, 404 Not Found"
    )


def test_another_failure_is_named_with_its_status(site, reader):
    url = site.answer("/a.yaml", status=500)

    with pytest.raises(UnreadableError) as error:
        reader.fetch(url)

    assert spoken(error.value) == f"Error: could not read {url}, 500 Internal Server Error"


def test_other_hosts_are_refused(reader):
    with pytest.raises(NotAllowedError) as error:
        reader.fetch("http://127.0.0.1:1/x.yaml")

    assert str(error.value) == (
        "Reading from 'http://127.0.0.1:1/x.yaml' is not allowed. You may need to configure an "
        "integration for the target host, or add it to the configured list of allowed hosts at "
        "'backend.reading.allow'"
    )
    assert not reader.serves(URL("http://127.0.0.1:1/x.yaml"))


def test_a_url_with_a_password_is_refused_without_showing_it(site, reader):
    with pytest.raises(UnreadableError, match="user name or a password") as error:
        reader.fetch(f"http://me:secret@127.0.0.1:{site.port}/x.yaml")

    assert "secret" not in str(error.value)


def test_a_pattern_is_refused_and_a_query_is_none(site, reader):
    with pytest.raises(InputError, match=r"^Unsupported search pattern URL$"):
        reader.search(f"{site.url}/*.yaml")

    url = site.answer("/a.yaml?ref=*", b"x")
    assert reader.search(url).contents[0].data == b"x"


def test_redirects_are_followed_and_the_location_stays_the_one_asked_for(site, reader):
    site.answer("/real.yaml", b"x")
    for number in range(5):
        site.redirect(f"/{number}", f"/{number + 1}" if number < 4 else "real.yaml")

    reading = reader.fetch(f"{site.url}/0")

    assert (reading.contents[0].location, reading.contents[0].data) == (f"url:{site.url}/0", b"x")


def test_endless_redirects_end(site, reader):
    url = site.redirect("/a", "/a")

    with pytest.raises(UnreadableError, match="more than 5 redirects"):
        reader.fetch(url)

    assert len(site.requests) == 6


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.1:1/x", "http://localhost:{port}/x", "file:///etc/passwd", "//[::1]/x"],
)
def test_a_redirect_leads_nowhere_that_may_not_be_read(site, reader, target):
    url = site.redirect("/a", target.format(port=site.port))

    with pytest.raises(NotAllowedError, match=r"^Reading from '"):
        reader.fetch(url)

    assert [path for path, _ in site.requests] == ["/a"]


def test_a_redirect_is_held_to_the_allowed_paths(site, pool, limits):
    allow = AllowList.parse([{"host": f"127.0.0.1:{site.port}", "paths": ["/public/"]}])
    url = site.redirect("/public/a", "../private/b")

    with pytest.raises(NotAllowedError):
        WebReader(allow, pool, limits).fetch(url)


def test_a_redirect_with_a_password_or_to_nonsense_is_refused(site, reader):
    with pytest.raises(UnreadableError, match="user name or a password"):
        reader.fetch(site.redirect("/a", f"http://u:p@127.0.0.1:{site.port}/b"))
    with pytest.raises(InputError, match="Invalid URL"):
        reader.fetch(site.redirect("/b", "http://[nonsense"))


def test_an_unchanged_file_costs_a_304(site, reader):
    def answer(handler):
        if handler.headers.get("if-none-match") == '"v1"':
            handler.send_response(304)
            handler.end_headers()
        else:
            handler.send(b"x", headers={"etag": '"v1"', "last-modified": "yesterday"})

    url = site.answer_with("/a.yaml", answer)
    first = reader.fetch(url)

    assert reader.fetch(url, first.fingerprint) is None
    assert site.requests[-1][1]["if-modified-since"] == "yesterday"
    assert reader.fetch(url).contents[0].data == b"x"


def test_connections_are_used_again(site, reader):
    ports = set()

    def answer(handler):
        ports.add(handler.client_address)
        if handler.headers.get("if-none-match"):
            handler.send_response(304)
            handler.end_headers()
        else:
            handler.send(b"x" * 5000, headers={"etag": '"1"'})

    url = site.answer_with("/a.yaml", answer)
    fingerprint = reader.fetch(url).fingerprint
    for _ in range(3):
        reader.fetch(url, fingerprint)

    assert len(ports) == 1


def test_an_unchanged_file_is_known_by_its_content_where_the_server_says_nothing(site, reader):
    url = site.answer("/a.yaml", b"one")
    first = reader.fetch(url)

    assert reader.fetch(url, first.fingerprint) is None

    site.answer("/a.yaml", b"two")
    assert reader.fetch(url, first.fingerprint).contents[0].data == b"two"


@pytest.mark.parametrize("fingerprint", ["nonsense", "[]", "[1,2,3,4]", "null", '{"a":1}'])
def test_a_fingerprint_of_another_kind_is_ignored(site, reader, fingerprint):
    assert reader.fetch(site.answer("/a.yaml", b"x"), fingerprint) is not None


def test_a_304_that_nobody_asked_for_is_an_error(site, reader):
    with pytest.raises(UnreadableError, match="304 Not Modified"):
        reader.fetch(site.answer("/a.yaml", status=304))


def test_gzip_is_understood(site, reader):
    body = b"kind: Component\n" * 100
    url = site.answer(
        "/a.yaml", gzip.compress(body[:800]) + gzip.compress(body[800:]), content_encoding="gzip"
    )

    assert reader.fetch(url).contents[0].data == body
    assert site.requests[0][1]["accept-encoding"] == "gzip"


def test_a_large_file_is_not_read_to_its_end(site, reader):
    sent = []

    def answer(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        for _ in range(10_000):
            handler.wfile.write(b"x" * 10_000)
            sent.append(1)

    url = site.answer_with("/a.yaml", answer)

    with pytest.raises(UnreadableError, match="it has more than 10000 bytes"):
        reader.fetch(url)
    assert len(sent) < 5000


def test_a_bomb_is_not_unpacked(site, reader):
    bomb = zlib.compressobj(9, wbits=31)
    body = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(50)) + bomb.flush()
    url = site.answer("/a.yaml", body, content_encoding="gzip")
    began = time.perf_counter()

    with pytest.raises(UnreadableError, match="it has more than 10000 bytes"):
        reader.fetch(url)
    assert time.perf_counter() - began < 3


TORN_GZIP = gzip.compress(b"x" * 500, mtime=0)[:-4]


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(TORN_GZIP, "gzip"), (b"not gzip", "gzip"), (b"x", "br"), (b"", "gzip")],
)
def test_content_that_cannot_be_unpacked_is_an_error(site, reader, body, encoding):
    url = site.answer("/a.yaml", body, content_encoding=encoding)

    with pytest.raises(UnreadableError, match=f"^Unable to read {url}, Error: "):
        reader.fetch(url)


def drip(handler, *, seconds, in_headers=False):
    """Send one byte after the other, never so late that a read times out."""
    ends = time.monotonic() + seconds
    handler.close_connection = True
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + (b"x-a: " if in_headers else b"\r\n"))
    while time.monotonic() < ends:
        handler.wfile.write(b"y")
        time.sleep(0.05)


@pytest.mark.parametrize("in_headers", [False, True])
def test_a_server_that_drips_is_left_alone_after_a_while(site, hurried, in_headers):
    url = site.answer_with("/a.yaml", lambda h: drip(h, seconds=20, in_headers=in_headers))
    began = time.monotonic()

    with pytest.raises(UnreadableError, match=r"not complete after|no answer in time|broke off"):
        hurried.fetch(url)
    assert time.monotonic() - began < 10


def test_a_server_that_says_nothing_is_not_waited_for(site, hurried):
    url = site.answer_with("/a.yaml", lambda _: time.sleep(1))

    with pytest.raises(UnreadableError, match="no answer in time"):
        hurried.fetch(url)


def test_a_file_that_breaks_off_is_an_error_and_not_a_shorter_file(site, reader):
    def short(handler):
        handler.close_connection = True
        handler.send_response(200)
        handler.send_header("content-length", "100")
        handler.end_headers()
        handler.wfile.write(b"kind: Component\n")

    def broken_chunk(handler):
        handler.close_connection = True
        handler.send_response(200)
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"10\r\nkind: Component\n\r\n20\r\nmeta")

    def broken_headers(handler):
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\netag: 1\r\ncontent-le")

    for answer in (short, broken_chunk, broken_headers):
        with pytest.raises(UnreadableError, match="broke off"):
            reader.fetch(site.answer_with("/a.yaml", answer))


def test_an_empty_file_is_a_file(site, reader):
    assert reader.fetch(site.answer("/empty.yaml")).contents[0].data == b""


def test_a_host_that_is_not_there_is_an_error(pool, limits):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    reader = WebReader(AllowList.parse([{"host": f"127.0.0.1:{port}"}]), pool, limits)

    with pytest.raises(UnreadableError, match="no connection, connection refused"):
        reader.fetch(f"http://127.0.0.1:{port}/a.yaml")


def test_an_idle_connection_that_was_closed_is_replaced(site, reader):
    first = []

    def answer(handler):
        if not first:
            first.append(1)
            handler.close_connection = True  # without saying so
        handler.send(b"x")

    url = site.answer_with("/a.yaml", answer)
    reader.fetch(url)

    assert reader.fetch(url).contents[0].data == b"x"


def test_the_fingerprint_holds_no_secrets_and_is_plain_text(site, reader):
    fingerprint = reader.fetch(site.answer("/a.yaml", b"x", etag='W/"1"')).fingerprint

    assert json.loads(fingerprint)[1:] == ['W/"1"', ""]
