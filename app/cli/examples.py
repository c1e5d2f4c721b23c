"""How the examples in a command's help are written."""

from __future__ import annotations


def examples(*lines: str) -> str:
    """Make the end of a help text; the mark keeps click from filling the lines."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])
