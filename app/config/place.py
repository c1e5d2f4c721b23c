"""Values that remember where they were written, and how layers of them are merged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from app.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Place:
    """A file and a line counted from 1 (0: unknown), or another source such as the environment."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Absent(Enum):
    """A value that was written but came to nothing, because a variable in it is not set."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Node:
    """A scalar, a `dict` of nodes, a `list` of nodes, or `ABSENT`.

    `missing` names the variables whose absence made this value, or items of this list, absent.
    """

    value: Any = field(repr=False)
    place: Place
    is_secret: bool = False
    missing: tuple[str, ...] = ()


def merge(high: Node, low: Node) -> Node:
    """Lay `high` over `low`: objects merge, everything else is replaced, `ABSENT` lets through.

    A null covers what lies below it, so that a later file can take a section away.
    """
    if high.value is ABSENT and low.value is not ABSENT:
        return low
    if not isinstance(high.value, dict) or not isinstance(low.value, dict):
        return high
    merged = {
        key: merge(child, low.value[key]) if key in low.value else child
        for key, child in high.value.items()
    }
    return Node({**merged, **{k: n for k, n in low.value.items() if k not in merged}}, high.place)


def without_nulls(node: Node) -> Node:
    """Take nulls out of objects, as reading does; lists are kept as they were written."""
    if not isinstance(node.value, dict):
        return node
    kept = {k: without_nulls(n) for k, n in node.value.items() if n.value is not None}
    return Node(kept, node.place, node.is_secret)


def plain(node: Node) -> Any:
    """Forget the places: the value as JSON knows it, without what is absent."""
    if isinstance(node.value, dict):
        return {k: plain(n) for k, n in node.value.items() if n.value is not ABSENT}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def nodes_by_path(node: Node, path: str = "") -> Mapping[str, Node]:
    """Index a tree by paths such as `a.b[0].c`; the root has the empty path."""
    found = {path: node}
    if isinstance(node.value, dict):
        for key, child in node.value.items():
            found |= nodes_by_path(child, join(path, key))
    elif isinstance(node.value, list):
        for index, child in enumerate(node.value):
            found |= nodes_by_path(child, join(path, index))
    return found


def join(path: str, part: str | int) -> str:
    """Extend a path by a key or an index."""
    if isinstance(part, int):
        return f"{path}[{part}]"
    return f"{path}.{part}" if path else part


def config_error(path: str, message: str, place: Place) -> ConfigError:
    """Make the error for one mistake, as `path: message (file:line)`."""
    return ConfigError(f"{path or 'the top level'}: {message} ({place})")
