"""Names in paths arrive as they are called, whatever is in them."""

from __future__ import annotations

import pytest
from flask import Flask
from werkzeug.test import run_wsgi_app

from app.web.asgi import environ_of
from app.web.segments import use_segments


@pytest.fixture
def ask():
    app = Flask("segments")
    use_segments(app.url_map)
    app.add_url_rule("/one/<name>/end", "one", lambda name: f"one {name}")
    app.add_url_rule("/all/<path:rest>", "all", lambda rest: f"all {rest}")

    def ask(path):
        scope = {"type": "http", "raw_path": path, "query_string": b"", "headers": []}
        chunks, status, _ = run_wsgi_app(app, environ_of(scope, b""))
        return b"".join(chunks).decode() if status.startswith("200") else status[:3]

    return ask


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (b"/one/a/end", "one a"),
        (b"/one/a%2Fb/end", "one a/b"),
        (b"/one/%2f%2F/end", "one //"),
        (b"/one/a%252Fb/end", "one a%2Fb"),
        (b"/one/a/b/end", "404"),
        (b"/one%2Fa/end", "404"),
        (b"/one/a%2Fend", "404"),
        (b"/all/a/b%2Fc", "all a/b/c"),
        (b"/one/%C3%A4/end", "one \u00e4"),
    ],
)
def test_an_encoded_slash_is_part_of_a_name_and_divides_nothing(ask, path, answer):
    assert ask(path) == answer
