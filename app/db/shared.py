"""Several steps in one transaction: what opens transactions, and one that stands in for a database.

Steps that begin transactions of their own can be put together: given a `SharedTransaction` in place
of the database, each begins and ends inside the one that is open, and whoever opened it decides
what becomes of all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection


class Transactions(Protocol):
    """What opens transactions: a database, or one transaction that several steps share."""

    def begin(self) -> AbstractContextManager[Connection]:
        """Open a writing transaction: a clean exit commits, an exception rolls back."""

    def snapshot(self) -> AbstractContextManager[Connection]:
        """Open a reading transaction."""


@dataclass(frozen=True, slots=True)
class SharedTransaction:
    """One open transaction; steps that begin inside of it see what those before them wrote.

    A step that fails does not undo what it wrote: let the failure end the whole.
    """

    connection: Connection

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Write in the transaction that is open."""
        yield self.connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Read in the transaction that is open."""
        yield self.connection
