"""Errors on the wire."""

from __future__ import annotations

import logging
import sqlite3

import psycopg
import pytest
from flask import abort

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
from app.web.errors import NamedError

from .plugins import USER, client, error_of, plugin


def failing(error: BaseException):
    """The answer of a view that raises `error`."""
    routes = plugin()

    @routes.get("/fail")
    def fail():
        raise error

    return client(routes).get("/api/catalog/fail", headers=USER)


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (InputError("m"), 400, "InputError"),
        (AuthenticationError("m"), 401, "AuthenticationError"),
        (NotAllowedError("m"), 403, "NotAllowedError"),
        (NotFoundError("m"), 404, "NotFoundError"),
        (ConflictError("m"), 409, "ConflictError"),
        (NotImplementedByServerError("m"), 501, "NotImplementedError"),
        (ServiceUnavailableError("m"), 503, "ServiceUnavailableError"),
        (CallboardError("m"), 500, "CallboardError"),
        (NamedError("ZodError", "m"), 500, "ZodError"),
        (NamedError("PayloadTooLargeError", "m", 413), 413, "PayloadTooLargeError"),
    ],
)
def test_an_error_keeps_its_name_and_message(error, status, name):
    assert error_of(failing(error)) == (status, name, "m")


def test_the_body_is_that_of_a_response_error():
    assert failing(NotFoundError("No entity with uid x")).get_json() == {
        "error": {"name": "NotFoundError", "message": "No entity with uid x"},
        "request": {"method": "GET", "url": "/fail"},
        "response": {"statusCode": 404},
    }


def test_who_is_told_to_try_again_is_told_when():
    assert failing(ServiceUnavailableError("m")).headers["Retry-After"] == "1"
    assert "Retry-After" not in failing(InputError("m")).headers


@pytest.mark.parametrize(
    "error", [psycopg.OperationalError("host=secret"), sqlite3.OperationalError("locked: secret")]
)
def test_a_database_that_does_not_answer_is_not_a_bug(error):
    response = failing(error)

    assert error_of(response) == (
        503,
        "ServiceUnavailableError",
        "The database does not answer, try again later",
    )
    assert response.headers["Retry-After"] == "1"
    assert b"secret" not in response.data


def test_an_upstream_names_its_system():
    assert error_of(failing(UpstreamError("GitHub", "timed out"))) == (
        502,
        "UpstreamError",
        "GitHub: timed out",
    )


def test_a_permission_error_may_be_silent():
    assert error_of(failing(NotAllowedError())) == (403, "NotAllowedError", "")


def test_properties_stand_beside_the_message():
    error = failing(NamedError("ZodError", "m", 400, {"issues": [1]})).get_json()["error"]

    assert error == {"name": "ZodError", "message": "m", "issues": [1]}


def test_a_cause_in_our_own_words_is_part_of_the_answer():
    error = AuthenticationError("Refresh failed")
    error.__cause__ = InputError("Missing session cookie")

    assert failing(error).get_json()["error"] == {
        "name": "AuthenticationError",
        "message": "Refresh failed; caused by InputError: Missing session cookie",
        "cause": {"name": "InputError", "message": "Missing session cookie"},
    }


def test_a_foreign_cause_is_nobodys_business():
    error = InputError("Malformed")
    error.__cause__ = ValueError("/etc/secret")

    assert failing(error).get_json()["error"] == {"name": "InputError", "message": "Malformed"}


@pytest.mark.parametrize("error", [ZeroDivisionError("inside"), ConfigError("app-config.yaml:3")])
def test_a_bug_tells_the_caller_nothing_but_where_to_look(error, caplog):
    with caplog.at_level(logging.ERROR):
        response = failing(error)

    status, name, message = error_of(response)
    assert (status, name) == (500, "Error")
    prefix, log_id = message.split("=")
    assert prefix == "An internal error occurred logId"
    assert len(log_id) == 20
    assert caplog.records[0].fields["logId"] == log_id
    assert caplog.records[0].exc_info[1] is error


def test_other_http_errors_have_the_same_shape():
    routes = plugin()
    routes.add_url_rule("/teapot", "teapot", lambda: abort(418))

    response = client(routes).get("/api/catalog/teapot", headers=USER)

    assert error_of(response)[:2] == (418, "ImateapotError")
