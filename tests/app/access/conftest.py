"""An access service on a small database, and a clock that tests move."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from app.access.service import AccessService, AccessSettings
from app.db.engine import Database, open_database
from app.db.tables import metadata
from app.settings import AccessRestriction, LegacyAccess, StaticAccess

STATIC = "static-token-of-ci"
RESTRICTED = "static-token-of-the-crawler"
SECRET = b"0123456789abcdef0123456789abcdef"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 21, 0, 0, 250_000, UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **duration: float) -> None:
        self.now += timedelta(**duration)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def small_database(tmp_path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path}/access.sqlite")
    metadata.create_all(database.engine)
    yield database
    database.close()


@pytest.fixture
def settings() -> AccessSettings:
    return AccessSettings(
        "http://localhost:7007",
        (
            StaticAccess(STATIC, "ci"),
            StaticAccess(
                RESTRICTED,
                "crawler",
                (
                    AccessRestriction("catalog", ("catalog.entity.read",), ("read",)),
                    AccessRestriction("search"),
                ),
            ),
            LegacyAccess(SECRET, "external:old"),
        ),
    )


@pytest.fixture
def access(small_database, settings, clock) -> AccessService:
    return AccessService(small_database, settings, clock)


@pytest.fixture
def other_process(small_database, settings, clock) -> AccessService:
    """The same service in another process: it shares the database and nothing else."""
    return AccessService(small_database, settings, clock)
