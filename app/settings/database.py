"""`backend.database`: where the data are kept, by Backstage's keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from marshmallow import ValidationError, fields

from app.settings.fields import Flag, LooseText, Text, Whole, between, one_of
from app.settings.section import Section

_PLUGIN = "callboard"
_FILE = "callboard.sqlite"
_MEMORY = ":memory:"
_MAX_IDENTIFIER = 63
_SCHEMA_PREFIX = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)
_FOREIGN = ("azure", "cloudsql", "rds")


@dataclass(frozen=True, slots=True)
class SqliteDatabase:
    """One SQLite file, shared by all processes."""

    path: Path


@dataclass(frozen=True, slots=True)
class DatabaseSsl:
    """How a PostgreSQL connection is encrypted; certificates are PEM texts."""

    is_verified: bool = True
    ca: str | None = None
    cert: str | None = None
    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class PostgresDatabase:
    """One PostgreSQL database. What is None is left to the client library and its variables.

    `should_create` and `should_create_schema` ask for the database and the schema to be made if
    they are missing. `options` are further parameters of a connection string.
    """

    host: str | None = None
    port: int | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    schema: str | None = None
    role: str | None = None
    ssl: DatabaseSsl | None = None
    should_create: bool = True
    should_create_schema: bool = False
    options: Mapping[str, str] = field(default_factory=dict)


DatabaseSettings: TypeAlias = SqliteDatabase | PostgresDatabase


class SslSchema(Section):
    """`ssl: true`, or an object with certificates."""

    model = DatabaseSsl
    ignored = frozenset({"servername", "passphrase", "minVersion", "maxVersion"})

    is_verified = Flag(data_key="rejectUnauthorized")
    ca = Text()
    cert = Text()
    key = Text()

    def expand(self, data: Any) -> Any:
        """Take `true` for the verified default."""
        return {} if data is True else data


@dataclass(frozen=True, slots=True)
class Connection:
    """`connection` as it was written, for either database."""

    text: str | None = field(default=None, repr=False)
    filename: str | None = None
    directory: str | None = None
    host: str | None = None
    port: int | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    ssl: DatabaseSsl | None = None


class ConnectionSchema(Section):
    """A connection string or file name, or an object."""

    model = Connection
    ignored = frozenset(
        {"application_name", "keepAlive", "connectionTimeoutMillis", "statement_timeout", "flags"}
    )

    text = Text(data_key="connectionString")
    filename = Text()
    directory = Text()
    host = Text()
    port = Whole(validate=between(1, 65_535))
    user = LooseText()
    password = LooseText()
    database = LooseText()
    ssl = fields.Nested(SslSchema)
    type = Text(load_default="default", validate=one_of("default", *_FOREIGN))

    def expand(self, data: Any) -> Any:
        """Take a text for a connection string, and `ssl: false` for no `ssl`."""
        if isinstance(data, str):
            return {"connectionString": data}
        if isinstance(data, Mapping) and data.get("ssl") is False:
            return {key: value for key, value in data.items() if key != "ssl"}
        return data

    def build(self, data: Mapping[str, Any]) -> Connection:
        """Refuse connections whose credentials come from a cloud's own service."""
        if data["type"] in _FOREIGN:
            raise ValidationError({"type": [f"'{data['type']}' is not supported, use a password"]})
        return Connection(**{key: value for key, value in data.items() if key != "type"})


@dataclass(frozen=True, slots=True)
class WrittenDatabase:
    """`backend.database` as it was written."""

    client: str | None
    connection: Connection | None
    prefix: str
    schema_prefix: str
    division: Literal["database", "schema"]
    role: str | None
    should_create: bool
    should_create_schema: bool


class DatabaseSchema(Section):
    """Backstage's `backend.database`; what concerns its query builder is ignored."""

    model = WrittenDatabase
    ignored = frozenset({"knexConfig", "pool", "plugin", "skipMigrations", "useNullAsDefault"})

    client = Text(
        load_default=None,
        validate=one_of("better-sqlite3", "sqlite3", "pg", "embedded-postgres"),
    )
    connection = fields.Nested(ConnectionSchema, load_default=None)
    prefix = Text(required=True)
    schema_prefix = LooseText(data_key="schemaPrefix", required=True)
    division = Text(
        data_key="pluginDivisionMode", required=True, validate=one_of("database", "schema")
    )
    role = Text(load_default=None)
    should_create = Flag(data_key="ensureExists", required=True)
    should_create_schema = Flag(data_key="ensureSchemaExists", required=True)

    def build(self, data: Mapping[str, Any]) -> WrittenDatabase:
        """Check what the client needs."""
        written = WrittenDatabase(**data)
        wrong: dict[str, list[str]] = {}
        if written.client is None and written.connection is not None:
            wrong["client"] = ["required"]
        if written.client == "pg" and written.connection is None:
            wrong["connection"] = ["required"]
        if written.schema_prefix and not _SCHEMA_PREFIX.match(written.schema_prefix):
            wrong["schemaPrefix"] = ["wanted a letter or _, then letters, digits or _"]
        if len((written.schema_prefix + _PLUGIN).encode()) > _MAX_IDENTIFIER:
            wrong["schemaPrefix"] = ["too long for the name of a schema"]
        if wrong:
            raise ValidationError(wrong)
        if written.client == "pg" and written.connection and written.connection.text:
            _parse_connection_string(written.connection.text)
        return written


def choose_database(
    written: WrittenDatabase, data_directory: Path, directory: Path
) -> tuple[DatabaseSettings, tuple[str, ...]]:
    """Decide for one database; relative paths start at `directory`. Also says what is unusual."""
    if written.client == "pg" and written.connection is not None:
        return _postgres(written, written.connection), ()
    connection = written.connection or Connection()
    name = connection.filename or connection.text
    if name == _MEMORY:
        path = data_directory / _FILE
        return SqliteDatabase(path), (f"kept in {path} rather than in memory: processes share it",)
    if written.client == "embedded-postgres":
        path = data_directory / _FILE
        return SqliteDatabase(path), (f"kept in {path} rather than in an embedded PostgreSQL",)
    if name:
        return SqliteDatabase(directory / (connection.directory or "") / name), ()
    if connection.directory:
        return SqliteDatabase(directory / connection.directory / _FILE), ()
    return SqliteDatabase(data_directory / _FILE), ()


def _postgres(written: WrittenDatabase, connection: Connection) -> PostgresDatabase:
    given = _parse_connection_string(connection.text) if connection.text else {}
    for key in ("host", "port", "user", "password", "database", "ssl"):
        value = getattr(connection, key)
        given = given if value is None else {**given, key: value}
    if written.division == "schema":
        given |= {
            "schema": f"{written.schema_prefix}{_PLUGIN}",
            "should_create_schema": written.should_create or written.should_create_schema,
        }
    elif not given.get("database"):
        given["database"] = f"{written.prefix}{_PLUGIN}"
    return PostgresDatabase(role=written.role, should_create=written.should_create, **given)


def _parse_connection_string(text: str) -> dict[str, Any]:
    """Take `postgresql://user:password@host:port/database?option=…` apart."""
    wrong = ValidationError(
        {"connection": ["wanted a URL such as postgresql://user@host/database"]}
    )
    try:
        address = urlsplit(text)
        port = address.port
    except ValueError:
        raise wrong from None
    if address.scheme not in {"postgresql", "postgres"}:
        raise wrong
    parts = {
        "host": address.hostname,
        "user": address.username,
        "password": address.password,
        "database": address.path.removeprefix("/"),
    }
    options = dict(parse_qsl(address.query))
    found: dict[str, Any] = {key: unquote(part) for key, part in parts.items() if part}
    found |= {key: options.pop(key) for key in ("host", "user", "password") if key in options}
    return {**found, **({"port": port} if port else {}), "options": options}
