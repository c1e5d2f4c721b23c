"""How deep JSON is nested: what is handed in by callers may be deeper than can be written again."""

from __future__ import annotations

from typing import Any


def is_deeper(value: Any, levels: int) -> bool:
    """Tell whether there are more than `levels` objects and arrays inside each other."""
    inside = [value]
    for _ in range(levels + 1):
        inside = [
            inner
            for outer in inside
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not inside:
            return False
    return True
