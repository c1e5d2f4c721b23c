"""What all readers of locations share: how much they read, and how they say that it failed."""

from __future__ import annotations

from dataclasses import dataclass

from app.errors import CallboardError, UpstreamError

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    """How much one reading may cost; beyond it the reading fails and says which limit it met."""

    max_bytes: int = 5 * _MIB
    """One file, after decompression."""
    max_files: int = 10_000
    """The files one pattern matches."""
    max_total_bytes: int = 512 * _MIB
    """The files one pattern matches, together."""
    max_entries: int = 1_000_000
    """The names a pattern looks at."""
    max_redirects: int = 5
    connect_timeout: float = 10.0
    read_timeout: float = 20.0
    """Silence on a connection."""
    total_timeout: float = 60.0
    """One file over HTTP, redirects included."""


class UnreadableError(UpstreamError):
    """A place could not be read; the message is complete, as Backstage words it."""

    def __init__(self, system: str, message: str) -> None:
        """Name the `system` for reports; it is no part of the message."""
        super().__init__(system, message)
        self.args = (message,)


def error_name(error: CallboardError) -> str:
    """Name an error of a reader as Backstage does: `NotFoundError`, `NotAllowedError`, `Error`."""
    return "Error" if isinstance(error, UpstreamError) else type(error).__name__


def spoken(error: CallboardError) -> str:
    """Write an error as JavaScript prints it inside another message, its name first."""
    return f"{error_name(error)}: {error}"
