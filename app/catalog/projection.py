"""The `fields` parameter: entities reduced to the paths that are asked for.

A path is split at its dots, and parts are joined again from the left until a key matches, so that
`metadata.annotations.backstage.io/view-url` finds its annotation. What is missing is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from app.catalog.filters import JS_SPACE
from app.errors import InputError

_LONGEST_PLACE = 10


@dataclass(frozen=True, slots=True)
class Projection:
    """Which paths of an entity to keep, in this order."""

    paths: tuple[tuple[str, ...], ...]

    def reduce(self, document: bytes) -> bytes:
        """Reduce an entity that is given, and answered, as JSON."""
        return orjson.dumps(self.of(orjson.loads(document)))

    def of(self, entity: dict[str, Any]) -> dict[str, Any]:
        """Reduce an entity; the answer shares its values."""
        output: dict[str, Any] = {}
        for path in self.paths:
            head = path[0]
            branch = entity.get(head)
            if len(path) == 1:
                if head in entity:
                    output[head] = branch
            elif len(path) == 2 and type(branch) is dict and path[1] in branch:  # noqa: PLR2004
                kept = output.get(head)
                if type(kept) is not dict:
                    kept = output[head] = {}
                kept[path[1]] = branch[path[1]]
            else:
                _copy(path, entity, output)
        return output


def parse_fields(texts: Iterable[str]) -> Projection | None:
    """Read fields; None if there are none, which keeps everything. Raises `InputError`."""
    stripped = (text.strip(JS_SPACE) for text in texts)
    fields = list(dict.fromkeys(filter(None, stripped)))
    for field in fields:
        if "[" in field:
            raise InputError(f'Invalid field "{field}", array type fields are not supported')
    return Projection(tuple(tuple(field.split(".")) for field in fields)) if fields else None


def _copy(path: tuple[str, ...], entity: dict[str, Any], output: dict[str, Any]) -> None:
    """Copy what a path leads to, making the objects and arrays on the way."""
    steps: list[tuple[Any, Any]] = []
    value: Any = entity
    part: str | None = None
    for name in path:
        part = name if part is None else f"{part}.{name}"
        key = _key(value, part)
        if key is not None:
            value = value[key]
            steps.append((key, value))
            part = None
    if part is None:
        _put(output, steps)


def _key(value: Any, part: str) -> str | int | None:
    """Find what `part` names in an object or array."""
    if isinstance(value, dict):
        return part if part in value else None
    if isinstance(value, list) and part.isdecimal() and part.isascii():
        place = int(part) if len(part) < _LONGEST_PLACE else len(value)
        return place if place < len(value) and str(place) == part else None
    return None


def _put(target: Any, steps: list[tuple[Any, Any]]) -> None:
    for key, value in steps[:-1]:
        kind = dict if isinstance(value, dict) else list
        inner = _at(target, key)
        if not isinstance(inner, kind):
            inner = kind()
            _set(target, key, inner)
        target = inner
    _set(target, *steps[-1])


def _at(target: Any, key: Any) -> Any:
    if isinstance(target, list):
        return target[key] if key < len(target) else None
    return target.get(key)


def _set(target: Any, key: Any, value: Any) -> None:
    if isinstance(target, list):
        target.extend([None] * (key + 1 - len(target)))
    target[key] = value
