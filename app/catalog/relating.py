"""How the write side learns which relations an entity's author wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

# From processed entity data to (type, target ref) pairs.
RelationFinder: TypeAlias = Callable[[Mapping[str, Any]], Iterable[tuple[str, str]]]
