"""Errors on the wire: Backstage's `ResponseError` shape, one translation for all features.

A `CallboardError` keeps its name and its message. Anything else is a bug: its answer carries an id
and nothing else, the log has the traceback under the same id.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from app.db.outages import is_outage
from app.errors import (
    AuthenticationError,
    CallboardError,
    ConfigError,
    ConflictError,
    InputError,
    NotAllowedError,
    NotFoundError,
    NotImplementedByServerError,
    ServiceUnavailableError,
    UpstreamError,
)
from app.logs import fields
from app.web.requests import Environ, relative_url
from app.web.responses import empty, json_response

log = logging.getLogger(__name__)

INTERNAL, UNAVAILABLE = 500, 503
# In how many seconds it is worth while to ask again.
RETRY_AFTER = "1"
_NO_LETTERS = re.compile("[^A-Za-z]+")

STATUS: dict[type[BaseException], int] = {
    InputError: 400,
    AuthenticationError: 401,
    NotAllowedError: 403,
    NotFoundError: 404,
    ConflictError: 409,
    NotImplementedByServerError: 501,
    UpstreamError: 502,
    ServiceUnavailableError: 503,
}
WIRE_NAMES: dict[type[BaseException], str] = {NotImplementedByServerError: "NotImplementedError"}


class NamedError(CallboardError):
    """An error whose name, status and further properties the contract prescribes."""

    def __init__(
        self, name: str, message: str, status: int = INTERNAL, properties: Mapping[str, Any] = {}
    ) -> None:
        """Keep the name shown on the wire, and what stands beside it in `error`."""
        super().__init__(message)
        self.name = name
        self.status = status
        self.properties = properties


def wire_name(error: CallboardError) -> str:
    """Answer the name that clients know an error by."""
    if isinstance(error, NamedError):
        return error.name
    return WIRE_NAMES.get(type(error), type(error).__name__)


def wire_message(error: CallboardError) -> str:
    """Answer the message; a cause in our own words (`raise … from error`) is part of it."""
    cause = error.__cause__
    if isinstance(cause, CallboardError):
        return f"{error}; caused by {wire_name(cause)}: {wire_message(cause)}"
    return str(error)


def serialize_error(error: CallboardError) -> dict[str, Any]:
    """Write an error as clients read it, its causes included."""
    written: dict[str, Any] = {"name": wire_name(error), "message": wire_message(error)}
    if isinstance(error, NamedError):
        written.update(error.properties)
    if isinstance(error.__cause__, CallboardError):
        written["cause"] = serialize_error(error.__cause__)
    return written


def status_of(error: CallboardError) -> int:
    """Answer the HTTP status of an error."""
    if isinstance(error, NamedError):
        return error.status
    return next((STATUS[kind] for kind in type(error).mro() if kind in STATUS), INTERNAL)


def error_response(error: Exception, environ: Environ) -> Response:
    """Answer a request with what went wrong."""
    if is_outage(error):
        log.warning("the database does not answer", extra=fields(reason=str(error)))
        error = ServiceUnavailableError("The database does not answer, try again later")
    if not isinstance(error, CallboardError) or isinstance(error, ConfigError):
        error = _hidden(error, environ)
    elif status_of(error) >= INTERNAL and not isinstance(error, ServiceUnavailableError):
        log.error("request failed", extra=fields(error=repr(error)))
    status = status_of(error)
    body = {
        "error": serialize_error(error),
        "request": {"method": environ["REQUEST_METHOD"], "url": relative_url(environ)},
        "response": {"statusCode": status},
    }
    headers = {"Retry-After": RETRY_AFTER} if status == UNAVAILABLE else {}
    return json_response(body, status, headers=headers)


def register_errors(app: Flask) -> None:
    """Answer every exception that leaves a view or a hook of `app`."""

    def answer(error: Exception) -> Response:
        return error_response(error, request.environ)

    def answer_http(error: HTTPException) -> Response:
        if isinstance(error, NotFound | MethodNotAllowed):
            return empty(404)
        status = error.code or INTERNAL
        name = f"{_NO_LETTERS.sub('', error.name)}Error"
        return error_response(NamedError(name, error.description or "", status), request.environ)

    app.register_error_handler(HTTPException, answer_http)
    app.register_error_handler(Exception, answer)


def _hidden(error: Exception, environ: Environ) -> NamedError:
    log_id = secrets.token_hex(10)
    where = fields(logId=log_id, method=environ["REQUEST_METHOD"], path=environ["PATH_INFO"])
    log.error("internal error", exc_info=error, extra=where)
    return NamedError("Error", f"An internal error occurred logId={log_id}")
