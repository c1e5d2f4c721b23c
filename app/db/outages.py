"""Telling a database that does not answer, for now, from one that refuses what it was told."""

from __future__ import annotations

import sqlite3

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionError

# What SQLite says when other processes have been writing for longer than a writer waits.
_BUSY = ("locked", "busy")


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
