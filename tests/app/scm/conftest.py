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
    """Small, but with the patience that a busy machine needs."""
    return ReadingLimits(max_bytes=10_000, read_timeout=20.0, total_timeout=40.0, max_redirects=5)


@pytest.fixture
def pool(limits):
    pool = open_pool(limits)
    yield pool
    pool.clear()
