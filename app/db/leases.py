"""Leases: work that one process at a time does, whichever that is.

A lease is a row. Whoever takes it renews it while working; one that was not renewed in time is
free for all. Every taking raises its fence, and a transaction that depends on a lease checks the
fence in itself: a process that was held up for longer than it thought writes nothing any more.
When the work is to be done again stands in the row too, so that of many processes that all wake up
for it one does it.

Work that takes longer than its bound is given up: its lease is not renewed any more but taken from
it, so that it writes nothing either, should it go on.

Times are the database's where it has a clock of its own: those of several machines differ.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeAlias

from app.db.engine import Database
from app.db.holders import NOBODY, is_gone, new_holder
from app.db.instants import read_instant
from app.db.statements import Statements
from app.logs import fields

log = logging.getLogger(__name__)
# What is not renewed for so long is free: a process that dies is made up for after that.
TTL = timedelta(seconds=15)
RENEWALS = 4
MOMENT = timedelta(milliseconds=1)
# How often someone who waits for a lease asks for it.
ASK_EVERY = 0.2
# How long work that was given up may take to notice.
NOTICE = timedelta(seconds=30)
# Runs inside a writing transaction; raises if it must not be committed.
Check: TypeAlias = Callable[[Statements], None]


class LeaseLostError(Exception):
    """Another process has taken over; nothing more may be written in the name of this work."""


class GivenUpError(LeaseLostError):
    """The work has taken too long; nothing more may be written in its name."""


@dataclass(frozen=True, slots=True)
class Pace:
    """When work may be taken that was done before.

    It is due when the lease says so; for others than its last holder `grace` later, so that work
    stays where its caches are. What was not taken since `since` is due in any case.
    """

    grace: timedelta = timedelta(0)
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Bound:
    """How long work may take, and what happens beyond.

    `given_up` is part of the transaction in which the lease is taken from the work, which is due
    again after `pause` (None: nothing is said about that). Work that does not end within `notice`
    of that hangs, and `stuck` is called; it may end the process.
    """

    longest: timedelta
    pause: timedelta | None = None
    given_up: Callable[[Statements], None] = lambda _: None
    stuck: Callable[[], None] = lambda: None
    notice: timedelta = NOTICE


class LeaseRow(NamedTuple):
    """A lease as it is stored.

    `next_at` is not later than `taken_at` if the work was not ended, and None if it was done out of
    turn: whoever has it to do decides for himself.
    """

    name: str
    holder: str
    fence: int
    until: datetime
    taken_at: datetime
    next_at: datetime | None

    def is_free(self, now: datetime) -> bool:
        """Tell whether nobody does this work now."""
        return self.until <= now or is_gone(self.holder)

    def is_overdue(self, now: datetime, grace: timedelta) -> bool:
        """Tell whether somebody else than the last holder should do the work."""
        if self.next_at is None or not self.is_free(now):
            return False
        return self.next_at <= self.taken_at or self.next_at + grace <= now

    def is_due(self, now: datetime, pace: Pace, holder: str) -> bool:
        """Tell whether `holder` may do the work now."""
        if self.next_at is None or (pace.since is not None and self.taken_at < pace.since):
            return self.is_free(now)
        return self.is_overdue(now, timedelta(0) if self.holder == holder else pace.grace)


@dataclass(slots=True)
class Lease:
    """A lease that is held. Without a word about the next time its work counts as not ended."""

    name: str
    fence: int
    taken_at: datetime
    next_at: datetime | None
    # Why it was taken from the work, if that took too long.
    given_up: str = ""

    def ended(self) -> None:
        """Say that the work is ended, and nothing about when it is due again."""
        self.next_at = None

    def again_after(self, pause: timedelta) -> None:
        """Say that the work is ended, and due again so long after it was taken up."""
        self.next_at = self.taken_at + pause

    def check(self, sql: Statements) -> None:
        """Raise `LeaseLostError` unless the lease is held until the transaction ends."""
        lock = "" if sql.is_sqlite else " FOR SHARE"
        row = sql.row(f"SELECT fence FROM lease WHERE name = ?{lock}", self.name)
        if row is None or row[0] != self.fence:
            if self.given_up:
                raise GivenUpError(self.given_up)
            raise LeaseLostError(f"Another process has taken over: {self.name}")


@dataclass(frozen=True, slots=True)
class Leases:
    """Takes leases in the name of one holder; may be shared by threads."""

    database: Database
    holder: str = field(default_factory=new_holder)
    ttl: timedelta = TTL

    def now(self) -> datetime:
        """Answer the time that counts."""
        with self.database.snapshot() as connection:
            return _now(Statements.on(connection))

    def look(self) -> tuple[datetime, dict[str, LeaseRow]]:
        """Answer the time and every lease."""
        with self.database.snapshot() as connection:
            sql = Statements.on(connection)
            return _now(sql), {row.name: row for row in _rows(sql, "")}

    @contextmanager
    def held(
        self, name: str, pace: Pace | None = None, bound: Bound | None = None
    ) -> Iterator[Lease | None]:
        """Hold a lease for the block, or answer None: someone has it, or it is not due."""
        lease = self.take(name, pace)
        if lease is None:
            yield None
            return
        ended = threading.Event()
        heart = threading.Thread(
            target=self._look_after, args=(lease, ended, bound), name=f"lease {name}", daemon=True
        )
        heart.start()
        try:
            yield lease
        finally:
            ended.set()
            heart.join()
            try:
                self.release(lease)
            except Exception as error:  # noqa: BLE001 - nobody holds it for long, and the work counts
                log.warning("cannot give back", extra=fields(lease=name, reason=str(error)))

    @contextmanager
    def waiting(
        self, name: str, stop: threading.Event, bound: Bound | None = None
    ) -> Iterator[Lease | None]:
        """Hold a lease for the block as soon as nobody else does; None if stopped before."""
        while not stop.is_set():
            with self.held(name, bound=bound) as lease:
                if lease is not None:
                    yield lease
                    return
            stop.wait(ASK_EVERY)
        yield None

    def take(self, name: str, pace: Pace | None = None) -> Lease | None:
        """Take a lease that is free, and due if there is a pace to it."""
        # Most that ask do not get it, which must not cost a writing transaction.
        with self.database.snapshot() as connection:
            sql = Statements.on(connection)
            now, row = _now(sql), next(iter(_rows(sql, "WHERE name = ?", name)), None)
        if row is not None:
            is_mine = row.is_free(now) if pace is None else row.is_due(now, pace, self.holder)
            if not is_mine:
                return None
        with self.database.begin() as connection:
            sql = Statements.on(connection)
            now = _now(sql)
            fence = self._take(sql, name, row, now)
        return None if fence is None else Lease(name, fence, now, now)

    def _take(self, sql: Statements, name: str, row: LeaseRow | None, now: datetime) -> int | None:
        """Take what still is as it was when it was looked at."""
        until = now + self.ttl
        if row is None:
            made = sql.row(
                "INSERT INTO lease (name, holder, fence, until, taken_at, next_at) "
                "VALUES (?, ?, 1, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING fence",
                name, self.holder, until, now, now,
            )  # fmt: skip
            return 1 if made else None
        taken = sql.execute(
            "UPDATE lease SET holder = ?, fence = fence + 1, until = ?, taken_at = ?, next_at = ? "
            "WHERE name = ? AND fence = ? AND until = ?",
            self.holder, until, now, now, name, row.fence, row.until,
        )  # fmt: skip
        return row.fence + 1 if taken else None

    def release(self, lease: Lease) -> None:
        """Give a lease back, unless somebody has it by now."""
        with self.database.begin() as connection:
            sql = Statements.on(connection)
            sql.execute(
                "UPDATE lease SET until = ?, next_at = ? WHERE name = ? AND fence = ?",
                _now(sql), lease.next_at, lease.name, lease.fence,
            )  # fmt: skip

    def retire(self) -> None:
        """Say that this holder is gone, and that nobody needs to wait for it."""
        try:
            with self.database.begin() as connection:
                sql = Statements.on(connection)
                sql.execute("UPDATE lease SET holder = ? WHERE holder = ?", NOBODY, self.holder)
        except Exception as error:  # noqa: BLE001 - it only makes others wait a little
            log.warning("cannot say goodbye", extra=fields(reason=str(error)))

    def forget(self, unused_for: timedelta) -> None:
        """Remove the leases of work that nobody does any more."""
        with self.database.begin() as connection:
            sql = Statements.on(connection)
            before = _now(sql) - unused_for
            sql.execute("DELETE FROM lease WHERE until < ? AND taken_at < ?", before, before)

    def _look_after(self, lease: Lease, ended: threading.Event, bound: Bound | None) -> None:
        """Renew a lease until its work has ended, or has taken too long."""
        longest = threading.TIMEOUT_MAX if bound is None else bound.longest.total_seconds()
        deadline = time.monotonic() + longest
        renewal = self.ttl.total_seconds() / RENEWALS
        pause, is_held = min(renewal, longest), True
        while is_held:
            if ended.wait(pause):
                return
            left = deadline - time.monotonic()
            pause = min(renewal, left) if left > 0 else renewal
            try:
                if bound is not None and left <= 0:
                    self._give_up(lease, bound)
                    is_held = False
                else:
                    is_held = self._renew(lease)
            except Exception as error:  # noqa: BLE001 - the database may come back in time
                log.warning("cannot renew", extra=fields(lease=lease.name, reason=str(error)))
        if not lease.given_up:
            log.warning("another process has taken over", extra=fields(lease=lease.name))
        if bound is not None:
            notice = max(deadline - time.monotonic(), 0) + bound.notice.total_seconds()
            if not ended.wait(notice):
                bound.stuck()

    def _renew(self, lease: Lease) -> bool:
        """Keep a lease for another while; answer whether it still was held."""
        with self.database.begin() as connection:
            sql = Statements.on(connection)
            renewed = sql.execute(
                "UPDATE lease SET until = ? WHERE name = ? AND fence = ?",
                _now(sql) + self.ttl, lease.name, lease.fence,
            )  # fmt: skip
        return bool(renewed)

    def _give_up(self, lease: Lease, bound: Bound) -> None:
        """Take a lease from work that takes too long, unless somebody else has."""
        lease.given_up = f"It took longer than {bound.longest} and was given up: {lease.name}"
        with self.database.begin() as connection:
            sql = Statements.on(connection)
            now = _now(sql)
            next_at = None if bound.pause is None else now + bound.pause
            # Whoever starts meanwhile (instead of this process, perhaps) would begin with what was
            # not taken since, and hang as well: so it stands as taken until it is due.
            taken_at = now if next_at is None else next_at - MOMENT
            taken = sql.execute(
                "UPDATE lease SET until = ?, fence = fence + 1, taken_at = ?, next_at = ? "
                "WHERE name = ? AND fence = ?",
                now, taken_at, next_at, lease.name, lease.fence,
            )  # fmt: skip
            if taken:
                bound.given_up(sql)
        if taken:
            log.error("given up", extra=fields(lease=lease.name, longest=str(bound.longest)))


def _now(sql: Statements) -> datetime:
    # Processes that share a file share a clock.
    if sql.is_sqlite:
        return datetime.now(UTC)
    row = sql.row("SELECT clock_timestamp()")
    now: datetime = row[0] if row else datetime.now(UTC)
    return now


def _rows(sql: Statements, condition: str, *values: str) -> list[LeaseRow]:
    rows = sql.rows(
        f"SELECT name, holder, fence, until, taken_at, next_at FROM lease {condition}", *values
    )
    return [
        LeaseRow(*row[:3], *(value and read_instant(value) for value in row[3:])) for row in rows
    ]
