"""Opening the configured database, making it if that is asked for."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL

from app.db.engine import Database, open_database
from app.db.migrate import migrate
from app.db.outages import is_outage
from app.logs import fields
from app.settings import DatabaseSettings, DatabaseSsl, PostgresDatabase, SqliteDatabase

log = logging.getLogger(__name__)
# How soon a database that does not answer is tried again, and how long that gets (seconds).
AGAIN = 0.5
LONGEST_PAUSE = 5.0


def open_configured(settings: DatabaseSettings, data_directory: Path) -> Database:
    """Open the database and bring its schema up to date."""
    database = connect(settings, data_directory)
    try:
        revision = migrate(database)
    except BaseException:
        database.close()
        raise
    log.debug("database ready", extra=fields(revision=revision))
    return database


def open_patiently(
    settings: DatabaseSettings, data_directory: Path, stop: threading.Event
) -> Database | None:
    """Open the database, as soon as it answers; None if told to stop before.

    For processes that are started again: the database may be, too, and dying of that would only
    make it take longer.
    """
    pause = AGAIN
    while not stop.is_set():
        database = open_unless_away(settings, data_directory)
        if database is not None:
            return database
        stop.wait(pause)
        pause = min(LONGEST_PAUSE, pause * 2)
    return None


def open_unless_away(settings: DatabaseSettings, data_directory: Path) -> Database | None:
    """Open the database; say so in the log and answer None if it does not answer for now."""
    try:
        return open_configured(settings, data_directory)
    except Exception as error:
        if not is_outage(error):
            raise
        log.warning("the database does not answer", extra=fields(reason=str(error)))
        return None


def connect(settings: DatabaseSettings, data_directory: Path) -> Database:
    """Open the database as it is, making it if it is missing and may be made."""
    if isinstance(settings, PostgresDatabase):
        url = _url(settings, data_directory)
        if settings.should_create and settings.database:
            _ensure_database(url, settings.database)
        if settings.should_create_schema and settings.schema:
            _ensure_schema(url, settings.schema)
    return unconnected(settings, data_directory)


def unconnected(settings: DatabaseSettings, data_directory: Path) -> Database:
    """Answer the database without asking whether it is there; the first transaction will."""
    if isinstance(settings, SqliteDatabase):
        return open_database(URL.create("sqlite", database=str(settings.path)))
    return open_database(_url(settings, data_directory))


def _url(settings: PostgresDatabase, data_directory: Path) -> URL:
    query = dict(settings.options)
    if settings.ssl is not None:
        query |= _ssl_options(settings.ssl, data_directory)
    options = [
        f"-c {name}={value}"
        for name, value in (("search_path", settings.schema), ("role", settings.role))
        if value
    ]
    if options:
        query["options"] = " ".join([query.get("options", ""), *options]).strip()
    host = settings.host
    if host and host.startswith("/"):
        # The folder of a Unix socket is no part of an address.
        query["host"], host = host, None
    return URL.create(
        "postgresql",
        username=settings.user,
        password=settings.password,
        host=host,
        port=settings.port,
        database=settings.database,
        query=query,
    )


def _ssl_options(ssl: DatabaseSsl, data_directory: Path) -> dict[str, str]:
    """Hand certificates to libpq, which wants them as files."""
    options = {"sslmode": "verify-full" if ssl.is_verified else "require"}
    folder = data_directory / "tls"
    for option, name, text in (
        ("sslrootcert", "ca.pem", ssl.ca),
        ("sslcert", "cert.pem", ssl.cert),
        ("sslkey", "key.pem", ssl.key),
    ):
        if text:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = folder / name
            path.touch(mode=0o600)
            path.write_text(text)
            options[option] = str(path)
    if ssl.is_verified and not ssl.ca:
        options["sslrootcert"] = "system"
    return options


def _ensure_database(url: URL, name: str) -> None:
    """Make the database over the server's own `postgres` database, as Backstage does."""
    try:
        psycopg.connect(_text(url), connect_timeout=5).close()
    except psycopg.OperationalError as error:
        if "does not exist" not in str(error):
            raise
    else:
        return
    admin = _text(url.set(database="postgres"))
    with psycopg.connect(admin, autocommit=True, connect_timeout=5) as connection:
        try:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except psycopg.errors.DuplicateDatabase:
            log.debug("another process made the database")


def _ensure_schema(url: URL, name: str) -> None:
    with psycopg.connect(_text(url), autocommit=True, connect_timeout=5) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(name)))


def _text(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
