"""Streams under a server that knows nothing of them."""

import pytest
from flask import Flask

from app.web.streams import Event, event_stream, web_socket


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Event("hello"), "data: hello\n\n"),
        (Event("hello", event="log", id="7"), "id: 7\nevent: log\ndata: hello\n\n"),
        (Event("a\nb\r\nc\rd"), "data: a\ndata: b\ndata: c\ndata: d\n\n"),
        (Event(""), "data: \n\n"),
        (Event("ä"), "data: ä\n\n"),
    ],
)
def test_an_event_is_written_as_the_standard_says(event, text):
    assert event.encode().decode() == text


def test_a_line_break_in_a_name_begins_no_other_field():
    lines = Event("x", event="a\ndata: evil", id="1\r2").encode().splitlines()

    assert lines == [b"id: 1 2", b"event: a data: evil", b"data: x", b""]


@pytest.fixture
def ended():
    return []


@pytest.fixture
def client(ended):
    app = Flask(__name__)

    @app.get("/events")
    def events():
        async def source():
            try:
                for number in range(3):
                    yield Event(str(number), event="count")
            finally:
                ended.append(True)

        return event_stream(source())

    @app.get("/socket")
    def socket():
        async def handler(_):
            pass

        return web_socket(handler)

    return app.test_client()


def test_events_are_served_from_the_thread_of_the_request(client, ended):
    response = client.get("/events")

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.text.count("event: count\n") == 3
    assert ended == [True]


def test_leaving_a_stream_early_ends_its_source(client, ended):
    response = client.get("/events", buffered=False)
    first = next(response.iter_encoded())
    response.close()

    assert first == b"event: count\ndata: 0\n\n"
    assert ended == [True]


def test_a_socket_asks_for_an_upgrade(client):
    response = client.get("/socket")

    assert response.status_code == 426
    assert response.headers["Upgrade"] == "websocket"
    assert response.json["error"]["name"] == "UpgradeRequiredError"


def test_the_head_of_a_stream_has_no_body(client):
    response = client.head("/events")

    assert response.status_code == 200
    assert response.data == b""
