"""A web process on a real port: requests, bodies, limits, overload, stopping."""

import http.client
import re
import socket
import threading
import time

import orjson
import pytest

from app.serve.child import Child
from app.serve.listening import listen
from app.serve.web import run_web
from app.web.bodies import WINDOW
from app.web.edge import never
from tests.app.serve import site
from tests.app.serve.site import LARGE, quick
from tests.app.serve.wire import read_to_end, until

# Requests


def test_flask_answers_requests_on_a_kept_connection(web):
    client = web.client()
    for name in ("one", "two"):
        client.request("GET", f"/hello/{name}?a=1&a=2")
        response = client.getresponse()
        assert response.status == 200
        found = orjson.loads(response.read())
        assert (found["hello"], found["query"]) == (name, {"a": ["1", "2"]})
    client.close()


def test_a_path_arrives_decoded(web):
    _, body = web.get("/hello/%C3%A4%20b")

    assert orjson.loads(body)["hello"] == "ä b"


def test_the_head_of_a_page_has_its_length_and_no_body(web):
    response, body = web.get("/large", "HEAD")

    assert (response.headers["Content-Length"], body) == (str(len(LARGE)), b"")


def test_an_unknown_path_is_answered_by_flask(web):
    response, _ = web.get("/nowhere")

    assert response.status == 404


def test_a_bug_in_a_view_is_a_500(web, caplog):
    response, _ = web.get("/fails")

    assert response.status == 500


def test_pipelined_requests_are_answered_in_order(web):
    with web.connect() as sock:
        sock.sendall(b"GET /hello/a HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        sock.sendall(b"GET /hello/b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert re.findall(rb'"hello":"(\w)"', read_to_end(sock)) == [b"a", b"a", b"b"]


def test_an_old_client_gets_an_answer_that_ends_with_the_connection(web):
    with web.connect() as sock:
        sock.sendall(b"GET /hello/a HTTP/1.0\r\n\r\n")
        answer = read_to_end(sock)

    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"hello":"a"' in answer


@pytest.mark.parametrize(
    "nonsense",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused(web, nonsense, caplog):
    with web.connect() as sock:
        sock.sendall(nonsense)
        assert read_to_end(sock).startswith(b"HTTP/1.1 400")


# Request bodies


def test_a_body_arrives_whole(web):
    _, body = web.get("/length", "POST", b"x" * 300_000)

    assert orjson.loads(body) == {"length": 300_000}


def test_a_chunked_body_arrives_whole(web):
    _, body = web.get("/length", "POST", iter([b"abc", b"d" * 100_000]))

    assert orjson.loads(body) == {"length": 100_003}


@pytest.mark.parametrize("body", [b"x" * 200_000, iter([b"x" * 50_000] * 4)])
def test_a_body_over_the_limit_is_refused_in_the_usual_form(serve, body):
    response, answer = serve(max_body=150_000).get("/length", "POST", body)

    assert response.status == 413
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert orjson.loads(answer) == {
        "error": {"name": "PayloadTooLargeError", "message": "request entity too large"},
        "request": {"method": "POST", "url": "/length"},
        "response": {"statusCode": 413},
    }


def test_a_client_that_asks_first_need_not_send_a_body_over_the_limit(serve):
    head = b"POST /length HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: "
    with serve(max_body=10).connect() as sock:
        sock.sendall(head + b"11\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 413")
    with serve(max_body=10).connect() as sock:
        sock.sendall(head + b"3\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 100")
        sock.sendall(b"abc")
        assert b'{"length":3}' in sock.recv(4096)


def test_a_body_that_does_not_come_is_given_up(serve):
    with serve(body_timeout=0.1).connect() as sock:
        sock.sendall(b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        assert sock.recv(4096).startswith(b"HTTP/1.1 408")


# Response bodies


def test_a_generated_body_arrives_whole(serve):
    running = serve()

    _, body = running.get("/pieces/200")

    assert len(body) == 200 * WINDOW // 8
    assert running.site.ended.is_set()


@pytest.mark.parametrize("inline", [never, lambda *_: True])
def test_a_generated_body_knows_its_request_on_every_thread(serve, inline):
    running = serve(inline=inline)

    bodies = [running.get(f"/in-context?a={letter}")[1] for letter in "xyz"]

    assert bodies == [letter * 40 * (WINDOW // 8) for letter in (b"x", b"y", b"z")]


def test_a_generated_body_may_be_empty(web):
    response, body = web.get("/nothing")

    assert (response.status, body) == (200, b"")


def test_a_body_that_breaks_does_not_look_complete(web, caplog):
    with pytest.raises(http.client.IncompleteRead):
        web.get("/breaks")


def test_slow_readers_hold_no_threads(serve):
    running = serve(threads=2)
    stalled = []
    for path in ("/large", "/large", "/large", "/pieces/500", "/pieces/500", "/pieces/500"):
        sock = running.connect()
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        stalled.append(sock)

    for _ in range(20):
        assert running.get("/hello/x")[0].status == 200
    for sock in stalled:
        sock.close()


def test_a_generated_body_waits_for_its_reader_in_little_memory(serve):
    running = serve()
    with running.connect() as sock:
        sock.sendall(b"GET /pieces/2000 HTTP/1.1\r\nHost: x\r\n\r\n")
        sock.recv(100)
        time.sleep(0.3)
        assert running.site.pulled < 400  # the kernel's buffers hold some megabytes
    assert running.site.ended.wait(5)
    assert running.site.pulled < 400


# Where calls run


def test_a_quick_call_runs_on_the_event_loop(serve):
    running = serve(inline=quick)

    running.get("/thread")

    assert running.site.caller == running.thread.name


def test_other_calls_run_in_the_pool(serve):
    running = serve()

    running.get("/thread")

    assert running.site.caller == "request-1"


def test_a_quick_call_that_has_to_wait_is_begun_anew_in_the_pool(serve, caplog):
    running = serve(inline=quick)

    _, body = running.get("/thread?waits=1", "POST", b" with its body")

    assert body == b"request-1 with its body"
    assert "failed" not in caplog.text
    running.get("/thread")
    assert running.site.caller == running.thread.name


@pytest.mark.parametrize(("body", "query"), [(b"x" * 200, ""), (b"", "x" * 200)])
def test_what_takes_much_to_ask_is_not_quick(serve, body, query):
    running = serve(inline=quick, inline_bytes=100)

    running.get(f"/thread?{query}", "POST", body)
    assert running.site.caller == "request-1"
    running.get("/thread", "POST", b"x" * 100)
    assert running.site.caller == running.thread.name


def test_a_call_that_was_not_quick_sends_the_next_ones_to_the_pool(serve, caplog):
    running = serve(inline=quick, slow_inline=0.05, inline_pause=0.5)

    running.get("/thread?seconds=0.06")
    assert "held up the process" in caplog.text
    running.get("/thread")
    assert running.site.caller == "request-1"
    time.sleep(0.6)
    running.get("/thread")
    assert running.site.caller == running.thread.name


def test_an_overloaded_server_says_so(serve):
    running = serve(threads=1, queue=1, retry_after=7)
    waiting = [threading.Thread(target=running.get, args=("/held",)) for _ in range(2)]
    for thread in waiting:
        thread.start()
        assert running.site.entered.wait(5)
        time.sleep(0.1)

    response, body = running.get("/hello/x")

    assert response.status == 503
    assert response.headers["Retry-After"] == "7"
    assert orjson.loads(body)["error"]["name"] == "ServiceUnavailableError"
    running.site.release.set()
    for thread in waiting:
        thread.join()
    assert running.get("/hello/x")[0].status == 200


# Clients that do not behave


def test_a_connection_on_which_nothing_is_said_is_closed(serve):
    with serve(head_timeout=0.2).connect() as sock:
        assert sock.recv(10) == b""


def send_until_refused(sock, piece, times, pause=0.0):
    """Tell whether the server broke the connection while it was sent so many pieces."""
    try:
        for _ in range(times):
            sock.sendall(piece)
            time.sleep(pause)
    except OSError:
        return True
    return False


def test_an_idle_connection_is_closed_after_a_while(serve):
    with serve(keep_alive=1).connect() as sock:
        sock.sendall(b"GET /hello/x HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")
        assert sock.recv(10) == b""


def test_empty_lines_do_not_keep_a_connection_open(serve):
    with serve(keep_alive=1).connect() as sock:
        sock.sendall(b"GET /hello/x HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")
        sock.sendall(b"\r\n")
        assert sock.recv(10) == b""


def test_a_head_that_drips_is_given_up(serve):
    with serve(head_timeout=0.3).connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        assert send_until_refused(sock, b"a: b\r\n", 40, pause=0.05)


def test_an_endless_head_is_refused(web):
    with web.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nEndless: ")
        assert send_until_refused(sock, b"x" * 65536, 2000)
        answer = read_to_end(sock)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431")


def test_a_large_head_is_refused_with_a_reason(web):
    with web.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nLarge: ")
        time.sleep(0.05)  # what arrives together with the beginning is not counted
        sock.sendall(b"x" * 66_000)
        assert sock.recv(4096).startswith(b"HTTP/1.1 431")


def test_tiny_chunks_are_no_crime(web):
    _, body = web.get("/length", "POST", iter([b"x"] * 20_000))

    assert orjson.loads(body) == {"length": 20_000}


def test_endless_trailers_are_refused(web):
    head = b"POST /length HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
    with web.connect() as sock:
        sock.sendall(head)
        assert send_until_refused(sock, b"a: " + b"b" * 60_000 + b"\r\n", 2000)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the kernel has no such limit")
def test_a_reader_that_stopped_reading_is_dropped(serve):
    running = serve(stalled_after=0.5)
    with running.connect() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(b"GET /pieces/5000 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert running.site.ended.wait(10)


# Starting and stopping


def test_connections_wait_until_the_app_is_ready(serve):
    running = serve(ready=False)
    with running.connect() as sock:
        sock.sendall(b"GET /readiness HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            sock.recv(10)
        assert not running.ready.is_set()
        running.site.lifecycle.ready()
        sock.settimeout(5)
        assert read_to_end(sock).startswith(b"HTTP/1.1 200")
    assert running.ready.wait(5)


def test_a_process_may_accept_before_it_is_ready(serve):
    running = serve(ready=False, accepts_early=True)

    response, body = running.get("/readiness")

    assert (response.status, orjson.loads(body)) == (503, {"status": "starting"})
    assert not running.ready.is_set()
    running.site.lifecycle.ready()
    assert running.ready.wait(5)


def test_a_process_that_never_became_ready_stops_as_well(serve):
    serve(ready=False).stop()


def test_a_process_that_was_stopped_while_it_started_does_not_serve():
    child = Child("web", tuple(listen("127.0.0.1", 0)))
    child.stopping.set()

    site.web(child)

    for sock in child.sockets:
        sock.close()


def test_stopping_finishes_running_requests_and_turns_readiness_off_first(serve):
    running = serve(drain=0.5)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(running.get("/held")))
    thread.start()
    assert running.site.entered.wait(5)
    running.child.stopping.set()
    until(lambda: running.site.lifecycle.is_stopping)

    response, body = running.get("/readiness")

    assert (response.status, orjson.loads(body)) == (503, {"status": "stopping"})
    time.sleep(0.7)
    with pytest.raises(ConnectionRefusedError):
        running.connect()
    running.site.release.set()
    thread.join()
    assert answers[0][1] == b"held"
    running.stop()


def test_an_idle_kept_connection_does_not_delay_stopping(serve):
    running = serve()
    client = running.client()
    client.request("GET", "/hello/x")
    client.getresponse().read()

    began = time.monotonic()
    running.stop()

    assert time.monotonic() - began < 2
    client.close()


def test_a_request_that_takes_too_long_is_given_up_when_stopping(serve, caplog):
    running = serve(grace=1)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(running.get("/held")))
    thread.start()
    assert running.site.entered.wait(5)

    began = time.monotonic()
    running.stop()

    assert time.monotonic() - began < 3
    thread.join()
    assert answers[0][0].status == 503
    assert orjson.loads(answers[0][1])["error"]["message"] == "Service is shutting down"


def test_a_process_serves_every_socket_it_is_given(tmp_path):
    sockets = (*listen(f"unix:{tmp_path}/callboard.sock", 0), *listen("127.0.0.1", 0))
    ready = threading.Event()
    child = Child("web", sockets, ready=ready.set)
    thread = threading.Thread(target=site.web, args=(child,))
    thread.start()
    assert ready.wait(5)

    for sock in (
        socket.create_connection(sockets[1].getsockname()),
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
    ):
        with sock:
            if sock.family == socket.AF_UNIX:
                sock.connect(f"{tmp_path}/callboard.sock")
            sock.sendall(b"GET /hello/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert b'"hello":"x"' in read_to_end(sock)
    child.stopping.set()
    thread.join(5)


def test_what_the_app_raises_while_it_is_made_ends_the_process():
    def broken(_):
        raise ValueError("no database")

    with pytest.raises(ValueError, match="no database"):
        run_web(Child("web"), broken)


def test_a_client_that_has_just_connected_is_still_served_when_stopping(serve):
    running = serve()
    with running.connect() as sock:
        time.sleep(0.1)
        running.child.stopping.set()
        until(lambda: running.site.lifecycle.is_stopping)
        time.sleep(0.3)
        sock.sendall(b"GET /hello/x HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = read_to_end(sock)

    assert b'"hello":"x"' in answer
    assert b"connection: close" in answer


def test_a_client_that_only_connected_does_not_delay_stopping_for_long(serve):
    running = serve()
    with running.connect():
        time.sleep(0.1)
        began = time.monotonic()
        running.stop()

    assert time.monotonic() - began < 3
