"""Plain SQL on a driver's connection, written once for SQLite and PostgreSQL.

The statements of this system are few, hot and known; this module lets a store write them as text
with `?` for values and hides the three things in which the dialects differ: the placeholder, the
membership test (`x = ANY(?)` takes a list on both) and bulk writing, for which SQLite has a fast
`executemany` and PostgreSQL `unnest`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import BigInteger, Boolean, Connection, DateTime, Integer, LargeBinary, Table

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Statements:
    """Runs SQL text on one DBAPI connection, inside whatever transaction it is in."""

    connection: Any
    is_sqlite: bool

    @classmethod
    def on(cls, connection: Connection) -> Statements:
        """Use the driver's connection below an SQLAlchemy one."""
        raw = connection.connection.dbapi_connection
        return cls(raw, connection.dialect.name == "sqlite")

    def rows(self, sql: str, *values: Any) -> list[Row]:
        """Run a query and fetch everything it finds."""
        return self._run(sql, values).fetchall()  # type: ignore[no-any-return]

    def row(self, sql: str, *values: Any) -> Row | None:
        """Run a query and fetch its first row, if there is one."""
        return self._run(sql, values).fetchone()  # type: ignore[no-any-return]

    def execute(self, sql: str, *values: Any) -> int:
        """Run a statement and answer how many rows it touched."""
        return int(self._run(sql, values).rowcount)

    def insert(
        self, table: Table, columns: Sequence[str], rows: Iterable[Row], *, conflict: str = ""
    ) -> None:
        """Insert many rows; `conflict` is what follows `ON CONFLICT`, if anything may clash."""
        rows = rows if isinstance(rows, list) else list(rows)
        if rows:
            self._write_many(_insert_sql(table, tuple(columns), conflict, self.is_sqlite), rows)

    def update(self, table: Table, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """Update many rows by primary key; each row is the new values and then the key."""
        rows = rows if isinstance(rows, list) else list(rows)
        if rows:
            self._write_many(_update_sql(table, tuple(columns), self.is_sqlite), rows)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Send what is written in the block without waiting for each statement to be done.

        A query waits for what was sent before it. What fails is raised there, or at the end of the
        block; how many rows a statement touched is not known.
        """
        if self.is_sqlite:
            yield
        else:
            with self.connection.pipeline():
                yield

    def _run(self, sql: str, values: tuple[Any, ...]) -> Any:
        if self.is_sqlite:
            values = tuple(orjson.dumps(v).decode() if isinstance(v, list) else v for v in values)
            return self.connection.execute(_sqlite_text(sql), values)
        # Documents would travel as hexadecimal text otherwise.
        return self.connection.execute(_postgres_text(sql), values, prepare=True, binary=True)

    def _write_many(self, sql: str, rows: list[Row]) -> None:
        if self.is_sqlite:
            self.connection.executemany(sql, rows)
        else:
            self.connection.execute(sql, [list(column) for column in zip(*rows, strict=True)])


@lru_cache(maxsize=512)
def _sqlite_text(sql: str) -> str:
    return sql.replace("= ANY(?)", "IN (SELECT value FROM json_each(?))")


@lru_cache(maxsize=512)
def _postgres_text(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")


@lru_cache(maxsize=128)
def _insert_sql(table: Table, columns: tuple[str, ...], conflict: str, is_sqlite: bool) -> str:  # noqa: FBT001
    names = ", ".join(f'"{name}"' for name in columns)
    tail = f" ON CONFLICT {conflict}" if conflict else ""
    if is_sqlite:
        marks = ", ".join("?" * len(columns))
        return f'INSERT INTO "{table.name}" ({names}) VALUES ({marks}){tail}'
    return f'INSERT INTO "{table.name}" ({names}) SELECT * FROM {_unnest(table, columns)}{tail}'


@lru_cache(maxsize=128)
def _update_sql(table: Table, columns: tuple[str, ...], is_sqlite: bool) -> str:  # noqa: FBT001
    (key,) = (column.name for column in table.primary_key)
    if is_sqlite:
        marks = ", ".join(f'"{name}" = ?' for name in columns)
        return f'UPDATE "{table.name}" SET {marks} WHERE "{key}" = ?'
    names = ", ".join(f'"{name}"' for name in (*columns, key))
    marks = ", ".join(f'"{name}" = new."{name}"' for name in columns)
    source = f"{_unnest(table, (*columns, key))} AS new({names})"
    return f'UPDATE "{table.name}" AS old SET {marks} FROM {source} WHERE old."{key}" = new."{key}"'


def _unnest(table: Table, columns: tuple[str, ...]) -> str:
    casts = ", ".join(f"%b::{_postgres_type(table.c[name].type)}[]" for name in columns)
    return f"unnest({casts})"


def _postgres_type(kind: Any) -> str:
    for known, name in (
        (BigInteger, "bigint"),
        (Integer, "integer"),
        (Boolean, "boolean"),
        (LargeBinary, "bytea"),
        (DateTime, "timestamptz"),
    ):
        if isinstance(kind, known):
            return name
    return "text"
