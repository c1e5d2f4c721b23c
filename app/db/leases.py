"""Leases: work that one process at a time does, whichever that is.

A lease is a row. Whoever takes it renews it while working; one that was not renewed in time is
free for all. Every taking raises its fence, and a transaction that depends on a lease checks the
fence in itself: a process that was held up for longer than it thought writes nothing any more.

Times are the database's where it has a clock of its own: those of several machines differ.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from app.db.engine import Database
from app.db.statements import Statements
from app.logs import fields
from app.model.uid import new_uid

log = logging.getLogger(__name__)
# What is not renewed for so long is free: a process that dies is made up for after that.
TTL = timedelta(seconds=15)
RENEWALS = 4


class LeaseLostError(Exception):
    """Another process has taken over; nothing more may be written in the name of this work."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that is held."""

    name: str
    fence: int

    def check(self, sql: Statements) -> None:
        """Raise `LeaseLostError` unless the lease is held until the transaction ends."""
        lock = "" if sql.is_sqlite else " FOR SHARE"
        row = sql.row(f"SELECT fence FROM lease WHERE name = ?{lock}", self.name)
        if row is None or row[0] != self.fence:
            raise LeaseLostError(f"Another process has taken over: {self.name}")


def new_holder() -> str:
    """Make a name for something in this process that takes leases."""
    return f"{socket.gethostname()}/{os.getpid()}/{new_uid()}"


@dataclass(frozen=True, slots=True)
class Leases:
    """Takes leases in the name of one holder; may be shared by threads."""

    database: Database
    holder: str = field(default_factory=new_holder)
    ttl: timedelta = TTL

    @contextmanager
    def held(self, name: str) -> Iterator[Lease | None]:
        """Hold a lease for the block, or answer None: someone has it."""
        lease = self.take(name)
        if lease is None:
            yield None
            return
        ended = threading.Event()
        heart = threading.Thread(
            target=self._renew, args=(lease, ended), name=f"lease {name}", daemon=True
        )
        heart.start()
        try:
            yield lease
        finally:
            ended.set()
            heart.join()
            try:
                self.release(lease)
            except Exception as error:  # noqa: BLE001 - it ends by itself, and the work counts
                log.warning("cannot give back", extra=fields(lease=name, reason=str(error)))

    def take(self, name: str) -> Lease | None:
        """Take a lease if it is free."""
        # Most that ask do not get it, which must not cost a writing transaction.
        with self.database.snapshot() as connection:
            sql = Statements.on(connection)
            if not self._is_free(sql, name):
                return None
        with self.database.begin() as connection:
            sql = Statements.on(connection)
            now = _now(sql)
            row = sql.row(
                "INSERT INTO lease (name, holder, fence, until) VALUES (?, ?, 1, ?) "
                "ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, "
                "fence = lease.fence + 1, until = excluded.until WHERE lease.until <= ? "
                "RETURNING fence",
                name, self.holder, now + self.ttl, now,
            )  # fmt: skip
        return Lease(name, row[0]) if row else None

    def release(self, lease: Lease) -> None:
        """Give a lease back, unless somebody has it by now."""
        with self.database.begin() as connection:
            sql = Statements.on(connection)
            sql.execute(
                "UPDATE lease SET until = ? WHERE name = ? AND fence = ?",
                _now(sql), lease.name, lease.fence,
            )  # fmt: skip

    def _is_free(self, sql: Statements, name: str) -> bool:
        now = _now(sql)
        return sql.row("SELECT 1 FROM lease WHERE name = ? AND until > ?", name, now) is None

    def _renew(self, lease: Lease, ended: threading.Event) -> None:
        pause = self.ttl.total_seconds() / RENEWALS
        while not ended.wait(pause):
            try:
                with self.database.begin() as connection:
                    sql = Statements.on(connection)
                    is_held = sql.execute(
                        "UPDATE lease SET until = ? WHERE name = ? AND fence = ?",
                        _now(sql) + self.ttl, lease.name, lease.fence,
                    )  # fmt: skip
            except Exception as error:  # noqa: BLE001 - the database may come back in time
                log.warning("cannot renew", extra=fields(lease=lease.name, reason=str(error)))
                continue
            if not is_held:
                log.warning("another process has taken over", extra=fields(lease=lease.name))
                return


def _now(sql: Statements) -> datetime:
    # Processes that share a file share a clock.
    if sql.is_sqlite:
        return datetime.now(UTC)
    row = sql.row("SELECT clock_timestamp()")
    now: datetime = row[0] if row else datetime.now(UTC)
    return now
