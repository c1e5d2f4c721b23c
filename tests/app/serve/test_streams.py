"""Event streams and WebSockets through a web process on a real port."""

import socket
import time
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from app.web.live import UNREAD
from tests.app.serve.wire import read_to_end, until


def ask(running, path, connection="close"):
    sock = running.connect()
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n\r\n".encode())
    return sock


def read_until(sock, mark):
    data = b""
    while mark not in data:
        more = sock.recv(4096)
        assert more, data
        assert len(data) < 100_000
        data += more
    return data


def open_socket(running, token="token"):
    return connect(f"ws://127.0.0.1:{running.port}/echo", subprotocols=[token], compression=None)


def counts(running):
    client = running.client()
    client.request("GET", "/counts")
    found = client.getresponse().read()
    client.close()
    return found


# Events


def test_events_arrive_one_by_one_and_the_stream_ends_with_its_source(web):
    with ask(web, "/count/3", "keep-alive") as sock:
        answer = read_until(sock, b"0\r\n\r\n")

    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: text/event-stream\r\n" in head
    assert b"connection: keep-alive" in head
    assert b"content-length" not in head
    assert [b"data: %d\n\n" % n in body for n in range(3)] == [True] * 3


def test_a_client_that_leaves_ends_the_source(serve):
    running = serve()
    sock = ask(running, "/count/1?forever")
    read_until(sock, b"data: 0")
    assert not running.site.ended.is_set()

    sock.close()

    assert running.site.ended.wait(5)
    until(lambda: b'"events":0' in counts(running))


def test_a_silent_stream_is_kept_alive_by_comments(serve):
    with ask(serve(comment_every=0.05), "/count/1?forever") as sock:
        answer = read_until(sock, b": keep-alive\n\n\r\ne")

    assert answer.count(b"data:") == 1


def test_a_source_that_fails_breaks_the_stream(web, caplog):
    with ask(web, "/source-fails") as sock:
        answer = read_to_end(sock)

    assert b"data: one\n\n" in answer
    assert not answer.endswith(b"0\r\n\r\n")
    assert "the source broke" in caplog.text


def test_the_head_of_a_stream_ends_at_once(web):
    response, body = web.get("/count/1?forever", "HEAD")

    assert (response.status, body) == (200, b"")


def test_many_streams_hold_no_threads(serve):
    running = serve(threads=2)
    with ExitStack() as stack:
        for _ in range(30):
            sock = stack.enter_context(ask(running, "/count/1?forever"))
            read_until(sock, b"data: 0")
        for _ in range(30):
            stack.enter_context(open_socket(running))

        assert running.get("/hello/x")[0].status == 200
        assert b'"events":30,"sockets":30' in counts(running).replace(b" ", b"")


def test_a_client_that_does_not_read_stops_only_its_own_stream(serve):
    running = serve(threads=1)
    with ask(running, "/count/10000000"), ask(running, "/count/2") as other:
        assert b"data: 1\n\n" in read_to_end(other)


# Sockets


def test_a_socket_echoes_the_offered_subprotocol(web):
    with open_socket(web, "a.b-c") as opened:
        assert opened.subprotocol == "a.b-c"
        opened.send("hello")
        assert opened.recv(5) == "hello"
        opened.send(b"\x00\x01")
        assert opened.recv(5) == b"\x00\x01"


def test_a_socket_outlives_the_connection_it_began_on(serve):
    running = serve(keep_alive=1, head_timeout=0.5)
    with running.connect() as sock:
        sock.sendall(b"GET /hello/x HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")
        sock.sendall(
            b"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert sock.recv(4096).startswith(b"HTTP/1.1 101")
        sock.settimeout(1.5)
        with pytest.raises(TimeoutError):
            sock.recv(10)


def test_flask_can_refuse_a_handshake(web, caplog):
    with pytest.raises(InvalidStatus) as refused:
        open_socket(web, "wrong")

    assert refused.value.response.status_code == 401
    assert b"AuthenticationError" in refused.value.response.body
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("path", "status"),
    [("/nowhere", 404), ("/hello/x", 400), ("/pieces/100", 426), ("/count/3?forever", 400)],
)
def test_a_handshake_for_something_else_is_refused(web, path, status):
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{web.port}{path}")

    assert refused.value.response.status_code == status


def test_a_socket_needs_a_handshake(web):
    response, _ = web.get("/echo")

    assert response.status == 426


def test_the_handler_may_end_a_socket(web):
    with open_socket(web) as opened:
        opened.send("bye")
        with pytest.raises(ConnectionClosed) as closed:
            opened.recv(5)

    assert closed.value.rcvd.code == 1000


def test_a_handler_that_fails_closes_its_socket(web, caplog):
    with open_socket(web) as opened:
        opened.send("fail")
        with pytest.raises(ConnectionClosed) as closed:
            opened.recv(5)

    assert closed.value.rcvd.code == 1011
    assert "no such thing" in caplog.text


@pytest.mark.parametrize("is_polite", [True, False])
def test_a_client_that_leaves_cancels_the_handler(serve, is_polite):
    running = serve()
    with open_socket(running) as opened:
        opened.send("sleep")
        time.sleep(0.05)
        if not is_polite:
            opened.socket.shutdown(socket.SHUT_RDWR)

    assert running.site.ended.wait(5)
    until(lambda: b'"sockets":0' in counts(running))


def test_a_client_may_not_outrun_the_handler(web):
    with open_socket(web) as opened:
        opened.send("sleep")
        for _ in range(UNREAD + 2):
            opened.send("more")
        with pytest.raises(ConnectionClosed) as closed:
            opened.recv(5)

    assert closed.value.rcvd.code == 1008


def test_a_message_over_the_limit_closes_the_socket(web):
    with open_socket(web) as opened:
        opened.send("x" * 20_000)
        with pytest.raises(ConnectionClosed) as closed:
            opened.recv(5)

    assert closed.value.rcvd.code == 1009


# Stopping


def test_stopping_ends_streams_and_sockets_in_order(serve, caplog):
    running = serve()
    with ask(running, "/count/1?forever") as events, open_socket(running) as opened:
        read_until(events, b"data: 0")
        opened.send("sleep")

        began = time.monotonic()
        running.stop()

        assert time.monotonic() - began < 2
        assert read_to_end(events).endswith(b"0\r\n\r\n")
        with pytest.raises(ConnectionClosed) as closed:
            opened.recv(5)
    assert closed.value.rcvd.code == 1012
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
