"""Where in a file a field stands, found by reading its document once more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from app.model.yaml_events import events_of
from app.model.yaml_scalars import key_text, typed

_STARTS = (MappingStartEvent, SequenceStartEvent)
_ENDS = (MappingEndEvent, SequenceEndEvent)
_NODES = (ScalarEvent, AliasEvent, *_STARTS)


@dataclass(slots=True)
class _Level:
    """A collection on the way: the key or index its next value has, and where that key stands."""

    is_mapping: bool
    matches: bool
    index: int = 0
    key: str | None = None
    key_event: Any = None


def find_place(text: str, first_line: int, line: int, pointer: str) -> tuple[int, int] | None:  # noqa: C901
    """Find the place of `pointer` in the document of `text` whose value starts on `line`.

    A scalar is found where it stands, a collection where its key does. A field that does not exist
    is found at the deepest one on the way to it. None means that no document starts there. Raises
    `Fault` if the text is not YAML.
    """
    wanted = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    levels: list[_Level] = []
    found: Any = None
    depth = -1
    for event in events_of(text, first_line):
        kind = event.__class__
        if kind in _ENDS:
            levels.pop()
            if not levels and found is not None:
                break
            _step(levels)
            continue
        if kind not in _NODES:
            continue
        is_collection = kind in _STARTS
        level = levels[-1] if levels else None
        if level and level.is_mapping and level.key is None:
            if is_collection:
                levels.append(_Level(kind is MappingStartEvent, matches=False))
            else:
                level.key, level.key_event = _key_of(event), event
            continue
        matches = _matches(level, wanted, len(levels), first_line + event.start_mark.line == line)
        if matches and len(levels) > depth:
            depth = len(levels)
            found = level.key_event if level and is_collection and level.key_event else event
            if depth == len(wanted):
                break
        if is_collection:
            levels.append(_Level(kind is MappingStartEvent, matches))
        else:
            _step(levels)
    if found is None:
        return None
    return first_line + found.start_mark.line, found.start_mark.column + 1


def _matches(level: _Level | None, wanted: list[str], depth: int, starts_there: bool) -> bool:  # noqa: FBT001
    if level is None:
        return starts_there
    if not level.matches or depth > len(wanted):
        return False
    return wanted[depth - 1] == (level.key if level.is_mapping else str(level.index))


def _step(levels: list[_Level]) -> None:
    """Get ready for the next value of the innermost level, whose last one is complete."""
    if levels:
        level = levels[-1]
        if level.is_mapping and level.key is None:
            level.key = ""  # a collection served as the key; no pointer names it
        else:
            level.key, level.key_event = None, None
            level.index += 1


def _key_of(event: Any) -> str:
    if event.__class__ is not ScalarEvent:
        return ""
    is_plain = not event.style and event.implicit[0]
    return key_text(typed(event.value)) if is_plain else str(event.value)
