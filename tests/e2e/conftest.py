"""End-to-end tests take minutes and are run when they are asked for: `make e2e`."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave these tests out, unless this folder or something in it was named."""
    named = [Path(config.invocation_params.dir, arg.split("::")[0]) for arg in config.args]
    is_named = any(path.resolve().is_relative_to(HERE) for path in named)
    return None if is_named else True
