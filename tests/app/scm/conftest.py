"""Servers on real ports, and readers that are closed again."""

from __future__ import annotations

import pytest

from app.scm.http import open_pool
from app.scm.reading import ReadingLimits
from tests.app.scm.web_server import web_server


@pytest.fixture
def site():
    with web_server() as server:
        yield server


@pytest.fixture
def limits():
    return ReadingLimits(
        max_bytes=10_000, connect_timeout=1.0, read_timeout=0.3, total_timeout=1.0, max_redirects=5
    )


@pytest.fixture
def pool(limits):
    pool = open_pool(limits)
    yield pool
    pool.clear()
