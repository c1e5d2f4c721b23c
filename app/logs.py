"""Logging, set up once: one line per event, `key=value` or JSON, the request's id on each.

Everything uses the standard library's loggers. What belongs to an event goes into its fields:
`log.info("location read", extra=fields(location=ref, files=3))`. Secrets are masked on
the way out, so that no caller has to remember it: bearer tokens, JWTs, query parameters that are
named like secrets, and the values that `set_up_logging` is told.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Collection, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Literal, TextIO

import orjson

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING}
MASK = "***"

_PLAIN = re.compile(r"[^\s\"=\\\x00-\x1f\x7f-\x9f\u2028\u2029]+")
# JSON leaves these as they are, terminals and other readers may not.
_LINE_BREAKS = re.compile(r"[\x7f-\x9f\u2028\u2029]")
_TOKENS = re.compile(r"(?i:(bearer)\s+)[^\s\"'\\]+|eyJ[\w-]{6,}\.[\w-]+(?:\.[\w-]*)*")
_SECRET_NAMES = (
    "access_token", "api_key", "apikey", "assertion", "auth", "client_secret", "code",
    "code_verifier", "credential", "key", "password", "passwd", "private_token", "refresh_token",
    "secret", "sig", "signature", "state", "token",
)  # fmt: skip
_PARAMETERS = re.compile(
    rf"(?i)([?&](?:[\w.-]*[_.-])?(?:{'|'.join(_SECRET_NAMES)})(?:\[\w*\])?=)[^&\s\"]+"
)


def set_up_logging(
    stream: TextIO,
    *,
    form: Literal["logfmt", "json"] = "logfmt",
    level: Literal["debug", "info", "warn", "error"] = "info",
    secrets: Collection[str] = (),
) -> None:
    """Send every log line to `stream`, in one form; replaces what was set up before."""
    handler = logging.StreamHandler(stream)
    masking = Masking(secrets)
    handler.setFormatter(JsonFormatter(masking) if form == "json" else LogfmtFormatter(masking))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(LEVELS.get(level, logging.ERROR))
    logging.captureWarnings(capture=True)
    # What no line shows need not be found out for each of them.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def fields(**values: object) -> dict[str, dict[str, object]]:
    """Make the `extra` of a log call: what the line says besides its event."""
    return {"fields": values}


class Masking:
    """Hides what must not be in a log."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        known = {s for secret in secrets if secret for s in (secret, _quoted(secret)[1:-1])}
        longest_first = sorted(known, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if known else None

    def __call__(self, text: str) -> str:
        """Answer `text` with everything secret replaced by `***`."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        if "eyJ" in text or "earer" in text or "EARER" in text:
            text = _TOKENS.sub(lambda found: f"{found[1]} {MASK}" if found[1] else MASK, text)
        if "?" in text or "&" in text:
            text = _PARAMETERS.sub(rf"\1{MASK}", text)
        return text


class LogfmtFormatter(logging.Formatter):
    """`time=… level=info logger=app.web event="request" method=GET …`."""

    def __init__(self, masking: Masking) -> None:
        super().__init__()
        self._masking = masking

    def format(self, record: logging.LogRecord) -> str:
        """Write one line; a value with spaces or control characters is quoted as JSON is."""
        line = " ".join(f"{name}={_logfmt(value)}" for name, value in _pairs(self, record).items())
        return self._masking(line)


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def __init__(self, masking: Masking) -> None:
        super().__init__()
        self._masking = masking

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        pairs = _pairs(self, record)
        plain = {name: v if isinstance(v, int | float) else _text(v) for name, v in pairs.items()}
        return self._masking(orjson.dumps(plain, option=orjson.OPT_NON_STR_KEYS).decode())


def _pairs(formatter: logging.Formatter, record: logging.LogRecord) -> dict[str, Any]:
    fields: Mapping[str, Any] = getattr(record, "fields", {})
    pairs = {
        "time": f"{_second(int(record.created))}.{int(record.msecs):03d}Z",
        "level": "warn" if record.levelno == logging.WARNING else record.levelname.lower(),
        "logger": record.name,
        "event": record.getMessage(),
        **fields,
    }
    request_id = REQUEST_ID.get()
    if request_id:
        pairs["request"] = request_id
    if record.exc_info:
        pairs["trace"] = formatter.formatException(record.exc_info)
    return pairs


@lru_cache(maxsize=8)
def _second(created: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(created))


def _text(value: object) -> str:
    return str(value).encode("utf-8", "replace").decode()


def _quoted(text: str) -> str:
    quoted = orjson.dumps(_text(text)).decode()
    return _LINE_BREAKS.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)


def _logfmt(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return text if _PLAIN.fullmatch(text) else _quoted(text)
