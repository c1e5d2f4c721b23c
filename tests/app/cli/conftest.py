"""What tests of commands share."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.cli.catalog_server import CatalogServer, catalog_server


@pytest.fixture
def server() -> Iterator[CatalogServer]:
    with catalog_server() as running:
        yield running


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in an empty folder, without tokens, and leave logging as it was."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("CALLBOARD_TOKEN", raising=False)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield folder
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
