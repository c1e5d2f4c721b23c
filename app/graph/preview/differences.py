"""Where two JSON documents differ: the JSON pointers of what was added, removed or replaced."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from app.model.json_pointer import pointer_to


@dataclass(frozen=True, slots=True)
class Difference:
    """One place that differs; `before` or `after` is None where there is nothing."""

    pointer: str
    operation: Literal["add", "remove", "replace"]
    before: Any = None
    after: Any = None


def differences(before: Any, after: Any, pointer: str = "") -> Iterator[Difference]:
    """Yield the places that differ, in the order of the documents; objects are looked into.

    Lists are compared item by item, so that one item more in front makes all of them differ.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        for key in (*before, *(key for key in after if key not in before)):
            below = pointer + pointer_to(key)
            if key not in after:
                yield Difference(below, "remove", before=before[key])
            elif key not in before:
                yield Difference(below, "add", after=after[key])
            else:
                yield from differences(before[key], after[key], below)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, pair in enumerate(zip(before, after, strict=True)):
            yield from differences(*pair, f"{pointer}/{number}")
    elif before != after or type(before) is not type(after):
        yield Difference(pointer, "replace", before, after)
