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
    """Which paths of an entity to keep, in this order, each with its parts."""

    paths: tuple[tuple[str, tuple[str, ...]], ...]

    def reduce(self, document: bytes) -> bytes:
        """Reduce an entity that is given, and answered, as JSON."""
        return orjson.dumps(self.of(orjson.loads(document)))

    def of(self, entity: dict[str, Any]) -> dict[str, Any]:
        """Reduce an entity; the answer shares its values."""
        output: dict[str, Any] = {}
        for text, path in self.paths:
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
                _copy(text, entity, output)
        return output


def parse_fields(texts: Iterable[str]) -> Projection | None:
    """Read fields; None if there are none, which keeps everything. Raises `InputError`."""
    stripped = (text.strip(JS_SPACE) for text in texts)
    fields = list(dict.fromkeys(filter(None, stripped)))
    for field in fields:
        if "[" in field:
            raise InputError(f'Invalid field "{field}", array type fields are not supported')
    return _projection(fields) if fields else None


def _projection(fields: Iterable[str]) -> Projection:
    return Projection(tuple((field, tuple(field.split(".", 3))) for field in fields))


def _copy(text: str, entity: dict[str, Any], output: dict[str, Any]) -> None:
    """Copy what a path leads to, making the objects and arrays on the way."""
    steps: list[tuple[Any, Any]] = []
    value: Any = entity
    begin = 0
    while begin <= len(text):
        found = _step(value, text, begin)
        if found is None:
            return
        key, begin = found
        value = value[key]
        steps.append((key, value))
    _put(output, steps)


def _step(value: Any, text: str, begin: int) -> tuple[str | int, int] | None:
    """Find what the path from `begin` on names in an object or array, and where it goes on.

    The shortest key counts. Keys are looked for in the path and not the other way round, so that
    a path costs no more than its length, however many dots it has.
    """
    end = text.find(".", begin)
    part = text[begin:] if end < 0 else text[begin:end]
    if isinstance(value, list):
        place = _place(value, part)
        return None if place is None else (place, begin + len(part) + 1)
    if not isinstance(value, dict):
        return None
    if part in value:
        return part, begin + len(part) + 1
    dotted = [
        key
        for key in value
        if text.startswith(key, begin)
        and len(key) > len(part)
        and text[begin + len(key) : begin + len(key) + 1] in ("", ".")
    ]
    if not dotted:
        return None
    key = min(dotted, key=len)
    return key, begin + len(key) + 1


def _place(value: list[Any], part: str) -> int | None:
    if not (part.isdecimal() and part.isascii() and len(part) < _LONGEST_PLACE):
        return None
    place = int(part)
    return place if place < len(value) and str(place) == part else None


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
