"""Log lines: one per event, with its fields, without secrets."""

from __future__ import annotations

import io
import logging
import shlex

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.logs import REQUEST_ID, JsonFormatter, LogfmtFormatter, Masking, set_up_logging

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1c2VyIn0.abcDEF_-1"


def record(message: str, **fields) -> logging.LogRecord:
    made = logging.LogRecord("app.test", logging.INFO, __file__, 1, message, (), None)
    made.created, made.msecs = 1_795_467_232.042, 42
    made.fields = fields
    return made


def logfmt(message: str, *secrets: str, **fields) -> str:
    return LogfmtFormatter(Masking(secrets)).format(record(message, **fields))


def test_a_line_has_its_time_level_logger_event_and_fields():
    assert logfmt("location read", files=3, ok=True, share=0.5) == (
        "time=2026-11-23T20:53:52.042Z level=info logger=app.test "
        'event="location read" files=3 ok=true share=0.5'
    )


def test_the_same_as_json():
    line = JsonFormatter(Masking()).format(record("location read", files=3, ref=("a", 1)))

    assert orjson.loads(line) == {
        "time": "2026-11-23T20:53:52.042Z",
        "level": "info",
        "logger": "app.test",
        "event": "location read",
        "files": 3,
        "ref": "('a', 1)",
    }


def test_lines_of_a_request_carry_its_id():
    token = REQUEST_ID.set("abc")
    try:
        assert logfmt("x").endswith("event=x request=abc")
    finally:
        REQUEST_ID.reset(token)


@pytest.mark.parametrize("text", ["", "a b", 'say "x"', "a=b", "line\nbreak", "\x1b[31m", "\u2028"])
def test_a_value_never_breaks_its_line(text):
    line = logfmt("x", value=text)

    assert len(line.splitlines()) == 1
    written = line.split("value=", 1)[1]
    assert orjson.loads(written) == text


@given(st.text())
def test_any_text_stays_on_one_line(text):
    line = logfmt(text, value=text)

    assert "\n" not in line
    assert "\r" not in line


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="'\\\"")))
def test_lines_can_be_taken_apart_again(text):
    pairs = dict(pair.split("=", 1) for pair in shlex.split(logfmt("x", a=text, b=1)))

    assert pairs["b"] == "1"


def test_a_traceback_is_part_of_its_line():
    made = record("failed")
    error = ValueError("inside")
    made.exc_info = (ValueError, error, None)

    line = LogfmtFormatter(Masking()).format(made)

    assert len(line.splitlines()) == 1
    assert "ValueError: inside" in line


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ("bearer   xyz next", "bearer *** next"),
        (f"token {JWT} was refused", "token *** was refused"),
        ("/a?access_token=xyz&b=1", "/a?access_token=***&b=1"),
        ("/a?b=1&API_KEY=xyz", "/a?b=1&API_KEY=***"),
        ("/a?private_token=xyz&x-secret=y", "/a?private_token=***&x-secret=***"),
        ("/a?code=1&state=2&filter=kind=x", "/a?code=***&state=***&filter=kind=x"),
        ("/a?tokens=3&keyboard=x", "/a?tokens=3&keyboard=x"),
        ("the password is hunter22", "the password is ***"),
        ("no secrets here", "no secrets here"),
    ],
)
def test_secrets_are_masked(text, masked):
    assert Masking(["hunter22", ""])(text) == masked


@pytest.mark.parametrize("form", [LogfmtFormatter, JsonFormatter])
def test_secrets_are_masked_wherever_they_stand(form):
    secret = 'quo"ted'
    made = record(f"event {secret} Bearer {JWT}", url="/x?token=abc", detail=[secret, 1])

    line = form(Masking([secret])).format(made)

    for part in ("quo", JWT, "abc"):
        assert part not in line


@pytest.fixture
def root():
    root = logging.getLogger()
    before = root.handlers[:], root.level
    flags = logging.logThreads, logging.logProcesses, logging.logMultiprocessing
    yield root
    root.handlers[:], root.level = before
    logging.logThreads, logging.logProcesses, logging.logMultiprocessing = flags
    logging.captureWarnings(capture=False)


def test_logging_is_set_up_once_for_everything(root):
    first, second = io.StringIO(), io.StringIO()
    set_up_logging(first)
    set_up_logging(second, form="json", level="warn", secrets=["s3cret"])

    logging.getLogger("anything").info("not shown")
    logging.getLogger("anything").warning("shown s3cret")

    assert first.getvalue() == ""
    [line] = second.getvalue().splitlines()
    assert orjson.loads(line)["event"] == "shown ***"
    assert orjson.loads(line)["level"] == "warn"
