"""Telling a database that does not answer, for now, from one that refuses what it was told."""

from __future__ import annotations

import logging
import sqlite3

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from app.logs import fields

# What SQLite says when other processes have been writing for longer than a writer waits.
_BUSY = ("locked", "busy")
# What PostgreSQL says to those it will not let in the next time either. Drivers give no code to
# connections that came to nothing; texts in other languages count as outages.
_REFUSALS = (
    "authentication failed",
    "no pg_hba.conf entry",
    "no password supplied",
    "not permitted to log in",
    "permission denied",
    "does not exist",
    "does not support SSL",
    "certificate verify failed",
)


def is_outage(error: BaseException) -> bool:
    """Tell whether trying the same again later may help: it restarts, is away, or too busy."""
    if isinstance(error, NoConnectionError):
        return True
    if isinstance(error, DBAPIError):
        return error.orig is not None and is_outage(error.orig)
    if isinstance(error, sqlite3.OperationalError):
        return any(word in str(error) for word in _BUSY)
    # Drivers call using a connection that is gone an error of the interface.
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)


def is_refusal(error: BaseException) -> bool:
    """Tell whether a server is there and lets nobody in who comes with what is configured."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, psycopg.OperationalError) and any(
        words in str(cause) for words in _REFUSALS
    )


def log_failure(log: logging.Logger, event: str, error: Exception, **more: object) -> None:
    """Log a failure in the background: a line for an outage, and else its traceback."""
    if is_outage(error):
        log.warning(event, extra=fields(reason=str(error).partition("\n")[0], **more))
    else:
        log.error(event, exc_info=error, extra=fields(**more))
