"""What differs between two documents, in JSON pointers.

Objects are compared by key. Lists are compared by value, not by place: an item that moved because
another was put before it is no difference. Items with a name of their own (a `url`, `name`, `id` or
`type` and `targetRef`) are held against the item of that name; in a list that has no order (tags,
relations) the order is no difference, elsewhere another order of the same items is one. The tag of
the version (`metadata.etag`) is left out, because it always differs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import orjson

from app.model.json_pointer import pointer_to

Operation: TypeAlias = Literal["added", "removed", "changed"]
LEFT_OUT = frozenset({"/metadata/etag"})
UNORDERED = frozenset({"/relations", "/metadata/tags"})
_NAMES = ("url", "name", "id", "key")


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference; `before` means nothing for what was added, `after` for what was removed.

    The pointer of an item of a list is its place in the document that has it: the later one unless
    it was removed.
    """

    operation: Operation
    pointer: str
    before: Any = None
    after: Any = None

    def json(self) -> dict[str, Any]:
        """Write it as answers have it."""
        written: dict[str, Any] = {"op": self.operation, "pointer": self.pointer}
        if self.operation != "added":
            written["from"] = self.before
        if self.operation != "removed":
            written["to"] = self.after
        return written


def differences(before: Any, after: Any) -> list[Difference]:
    """List what differs, in the order of keys and places; None stands for no document."""
    if before is None and after is None:
        return []
    if before is None:
        return [Difference("added", "", after=after)]
    if after is None:
        return [Difference("removed", "", before=before)]
    return list(_differences("", before, after))


def _differences(at: str, before: Any, after: Any) -> Iterator[Difference]:
    if at in LEFT_OUT:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _between_objects(at, before, after)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _between_lists(at, before, after)
    elif _written(before) != _written(after):
        yield Difference("changed", at, before, after)


def _between_objects(
    at: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[Difference]:
    for key in sorted(before.keys() | after.keys()):
        below = at + pointer_to(key)
        if below in LEFT_OUT:
            continue
        if key not in after:
            yield Difference("removed", below, before=before[key])
        elif key not in before:
            yield Difference("added", below, after=after[key])
        else:
            yield from _differences(below, before[key], after[key])


def _between_lists(at: str, before: list[Any], after: list[Any]) -> Iterator[Difference]:
    old, new = [_written(item) for item in before], [_written(item) for item in after]
    if old == new:
        return
    gone, come = _left_over(old, new), _left_over(new, old)
    if not gone and not come:
        if at not in UNORDERED:
            yield Difference("changed", at, before, after)
        return
    pairs = _pairs(at, before, after, gone, come)
    partner = {place: other for other, place in pairs.items()}
    for place in gone:
        if place not in pairs:
            yield Difference("removed", f"{at}/{place}", before=before[place])
    for place in come:
        if place in partner:
            yield from _differences(f"{at}/{place}", before[partner[place]], after[place])
        else:
            yield Difference("added", f"{at}/{place}", after=after[place])


def _left_over(items: Sequence[bytes], others: Sequence[bytes]) -> list[int]:
    """List the places of items that the other list has not, or not so often."""
    spare = Counter(others)
    left = list[int]()
    for place, item in enumerate(items):
        if spare[item]:
            spare[item] -= 1
        else:
            left.append(place)
    return left


def _pairs(
    at: str, before: list[Any], after: list[Any], gone: list[int], come: list[int]
) -> dict[int, int]:
    """Tell which of the items that are gone became which of those that have come."""
    named = {name: place for place in come if (name := _name_of(after[place])) is not None}
    pairs = {
        place: named.pop(name)
        for place in gone
        if (name := _name_of(before[place])) is not None and name in named
    }
    if len(before) == len(after) and at not in UNORDERED:
        taken = set(pairs.values())
        both = set(gone) & set(come) - taken - pairs.keys()
        pairs |= {place: place for place in both if _may_become(before[place], after[place])}
    return pairs


def _name_of(item: Any) -> tuple[str, str] | None:
    if isinstance(item, Mapping):
        for key in _NAMES:
            if isinstance(item.get(key), str):
                return key, item[key]
    return None


def _may_become(old: Any, new: Any) -> bool:
    """Tell whether an item without a name is the one that stands in the same place now."""
    if _name_of(old) is not None or _name_of(new) is not None:
        return False
    return isinstance(old, Mapping | list) and type(old) is type(new)


def _written(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
