"""The one order in which the graph changes.

A number is taken by updating a one-row table inside the writing transaction, so the row's lock
makes sequence order commit order; a database sequence would hand out numbers out of order.
"""

from __future__ import annotations

from app.db.statements import Statements


def lock_graph(sql: Statements) -> None:
    """Wait until no other transaction writes the graph; the lock ends with this one.

    SQLite has a single writer anyway. On PostgreSQL this makes writers queue in front of the graph
    instead of meeting each other's row locks inside it.
    """
    if not sql.is_sqlite:
        sql.row("SELECT seq FROM sequence WHERE id = 1 FOR UPDATE")


def take(sql: Statements, count: int) -> int:
    """Take `count` numbers and answer the first of them."""
    row = sql.row("UPDATE sequence SET seq = seq + ? WHERE id = 1 RETURNING seq", count)
    if row is None:
        raise LookupError("the sequence row is missing: run the migrations")
    return int(row[0]) - count + 1


def lineage(sql: Statements) -> str:
    """Answer what tells this database from others."""
    row = sql.row("SELECT lineage FROM sequence WHERE id = 1")
    return str(row[0]) if row else ""


def oldest(sql: Statements) -> int:
    """Answer the oldest number whose state the history can still tell."""
    row = sql.row("SELECT oldest FROM sequence WHERE id = 1")
    return int(row[0]) if row else 0


def forget_before(sql: Statements, seq: int) -> None:
    """Say that states before `seq` cannot be told any more; never goes back."""
    sql.execute("UPDATE sequence SET oldest = ? WHERE id = 1 AND oldest < ?", seq, seq)


def newest(sql: Statements) -> int:
    """Answer the newest number; the first read of a snapshot."""
    row = sql.row("SELECT seq FROM sequence WHERE id = 1")
    return int(row[0]) if row else 0
