"""Which release this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def release() -> str:
    """Answer the version, also when run from a source tree that is not installed."""
    try:
        return version("callboard")
    except PackageNotFoundError:
        return "(not installed)"
