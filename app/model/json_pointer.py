"""JSON pointers (RFC 6901)."""

from __future__ import annotations


def pointer_to(*parts: object) -> str:
    """Write the pointer that leads through these keys and places."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
