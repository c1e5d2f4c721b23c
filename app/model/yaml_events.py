"""YAML documents built from libyaml's events: the exact reader, which knows where everything is.

It is slower than `yaml_lines` and decides what is right: the core schema of YAML 1.2, keys that are
unique, merge keys left alone, aliases expanded within a budget. It never recurses on what it reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from app.model.yaml_scalars import MAYBE_TYPED, key_text, plain_value, tagged_value, typed
from app.model.yaml_wording import Fault, flow_reason, syntax_fault


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a file is read; what goes beyond becomes a problem.

    `nodes` counts the keys and values in all documents of a file, with every alias expanded; the
    text that an alias repeats counts too, by the length. `entity` is for one entity as JSON, once
    its placeholders are filled in.
    """

    bytes: int = 10 * 1024 * 1024
    documents: int = 20_000
    nodes: int = 1_000_000
    depth: int = 100
    key_length: int = 1024
    entity: int = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Document:
    """What one document says: its value, the line it starts on, and how many nodes it has."""

    value: Any
    line: int
    nodes: int


_QUOTES = ("'", '"')
_TEXT_PER_NODE = 32
_MENDINGS = 20
_MENDABLE = 1_000_000
_NO_KEY = object()
_UNFINISHED = object()
_SURROGATES = re.compile(
    r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})"
    r"\\u([dD][c-fC-F][0-9a-fA-F]{2})"
)


def events_of(text: str, first_line: int = 1) -> Iterator[Any]:
    """Parse `text` into events; raises `Fault` at the first place that is not YAML."""
    parser = CParser(text)
    get = parser.get_event
    try:
        while True:
            event = get()
            yield event
            if event.__class__ is StreamEndEvent:
                return
    except yaml.YAMLError as error:
        raise syntax_fault(error, text, first_line) from error


def read_documents(text: str, first_line: int, limits: Limits) -> Iterator[Document]:
    """Build every document in `text`, empty ones included; raises `Fault` where it has to stop.

    Where libyaml is stricter than Backstage's parser the text is mended and read again.
    """
    taken = 0
    for attempt in range(_MENDINGS):
        count, builder = 0, _Builder(text, first_line, limits)
        try:
            for document in builder.documents():
                count += 1
                yield document
        except Fault as fault:
            taken += builder.taken
            fault.nodes = taken
            mended = "" if count or len(text) > _MENDABLE else _mended(text, fault, first_line)
            if not mended or attempt == _MENDINGS - 1:
                raise
            text = mended
        else:
            return


def _mended(text: str, fault: Fault, first_line: int) -> str:
    """Write what libyaml refuses in a way that it takes; empty if there is none."""
    if fault.leniency == "surrogates":
        joined = _SURROGATES.sub(_join_surrogates, text)
        return "" if joined == text else joined
    if fault.leniency == "tab":
        lines = text.split("\n")
        lines[fault.line - first_line] = ""
        return "\n".join(lines)
    return ""


def _join_surrogates(match: re.Match[str]) -> str:
    high, low = int(match[2], 16), int(match[3], 16)
    return f"{match[1]}\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"


@dataclass(slots=True)
class _Frame:
    """A collection that is being filled: where its parent stood, and what names it."""

    container: Any
    is_mapping: bool
    key: Any
    foreign: dict[str, set[Any]] | None
    event: Any
    nodes: int


class _Builder:
    """Turns the events of one text into documents."""

    def __init__(self, text: str, first_line: int, limits: Limits) -> None:
        self._text = text
        self._first_line = first_line
        self._limits = limits
        self.taken = 0
        self._anchors: dict[str, tuple[Any, int]] = {}

    def documents(self) -> Iterator[Document]:  # noqa: C901, PLR0912, PLR0915 (one hot loop)
        limits, stack = self._limits, list[_Frame]()
        container: Any = []
        is_mapping, key, foreign = False, _NO_KEY, None
        nodes, line, before = 0, 0, 0
        finished: Document | None = None
        value: Any
        for event in events_of(self._text, self._first_line):
            kind = event.__class__
            if kind is ScalarEvent:
                value = event.value
                is_key = is_mapping and key is _NO_KEY
                if event.tag is not None:
                    value = tagged_value(value, event.tag)
                elif not event.style and value[:1] in MAYBE_TYPED and event.implicit[0]:
                    value = typed(value) if is_key else plain_value(value)
                elif event.style in _QUOTES and event.end_mark.line > event.start_mark.line:
                    self._check_indent(event, event, stack)
                nodes += 1
                if event.anchor is not None:
                    self._anchors[event.anchor] = value, 1
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                if len(stack) >= limits.depth:
                    raise self._fault(event, f"nested more than {limits.depth} levels deep")
                if event.anchor is not None:
                    self._anchors[event.anchor] = _UNFINISHED, 0
                if not stack:
                    line = event.start_mark.line
                stack.append(_Frame(container, is_mapping, key, foreign, event, nodes))
                nodes += 1
                is_mapping = kind is MappingStartEvent
                container = {} if is_mapping else []
                key, foreign = _NO_KEY, None
                continue
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                value, frame = container, stack.pop()
                container, is_mapping, key = frame.container, frame.is_mapping, frame.key
                foreign, start = frame.foreign, frame.event
                if start.anchor is not None:
                    self._anchors[start.anchor] = value, nodes - frame.nodes
                if start.flow_style and event.end_mark.line > start.start_mark.line:
                    self._check_indent(start, event, stack)
                if is_mapping and key is _NO_KEY:
                    value = _flow_text(value)
            elif kind is AliasEvent:
                value, size = self._resolve(event)
                nodes += size
                self.taken = nodes
                if nodes <= limits.nodes:
                    value = self._copy(event, value, limits.depth - len(stack))
                if is_mapping and key is _NO_KEY and isinstance(value, (dict, list)):
                    value = _flow_text(value)
            elif kind is DocumentStartEvent:
                if finished:  # not before: what follows its end may still be a mistake in it
                    yield finished
                container, before, line = [], nodes, event.end_mark.line
                self._anchors.clear()
                continue
            elif kind is DocumentEndEvent:
                root = container[0] if container else None
                finished = Document(root, self._first_line + line, nodes - before)
                continue
            else:
                continue
            if nodes > limits.nodes:
                self.taken = nodes
                raise self._fault(event, "more values in one file than are read")
            if not is_mapping:
                container.append(value)
            elif key is not _NO_KEY:
                container[key] = value
                key = _NO_KEY
            elif value.__class__ is str and foreign is None and value not in container:
                if len(value) > limits.key_length:
                    raise self._fault(event, f"a key of more than {limits.key_length} characters")
                key = value
            else:
                if foreign is None:
                    foreign = {name: {name} for name in container}
                key = self._unusual_key(event, value, foreign)
        if finished:
            yield finished

    def _unusual_key(self, event: Any, value: Any, foreign: dict[str, set[Any]]) -> str:
        """Accept a key that is not a string, or says the same as one; `1` and `"1"` may meet.

        They are different keys to YAML and one property to JavaScript, where the later wins.
        """
        text = key_text(value)
        identity = value if isinstance(value, str) else (type(value) is bool, value)
        seen = foreign.setdefault(text, set())
        if identity in seen:
            raise self._fault(event, "Map keys must be unique", is_syntax=True)
        seen.add(identity)
        return text

    def _resolve(self, event: Any) -> tuple[Any, int]:
        value, size = self._anchors.get(event.anchor, (None, 0))
        if value is _UNFINISHED:
            raise self._fault(event, f"Alias *{event.anchor} refers to a node that contains it")
        if not size:
            name = event.anchor
            message = f"Unresolved alias (the anchor must be set before the alias): {name}"
            raise self._fault(event, message, is_syntax=True)
        return value, size + _length(value) // _TEXT_PER_NODE

    def _copy(self, event: Any, value: Any, depth: int) -> Any:
        """Copy an anchored value, so that no two places of a document share what can change."""
        if not isinstance(value, (dict, list)):
            return value
        if depth <= 0:
            raise self._fault(event, f"nested more than {self._limits.depth} levels deep")
        if isinstance(value, dict):
            return {key: self._copy(event, item, depth - 1) for key, item in value.items()}
        return [self._copy(event, item, depth - 1) for item in value]

    def _check_indent(self, start: Any, end: Any, stack: list[_Frame]) -> None:
        """Hold flow collections and quoted text to the indentation that libyaml lets them break.

        Every line inside a block collection is indented more than that; only the bracket that
        closes the outermost flow collection may stand below the key.
        """
        outer = stack[-1].event if stack else None
        if outer is None or outer.flow_style or outer.anchor or outer.tag:
            return
        indent, is_flow = outer.start_mark.column, not isinstance(start, ScalarEvent)
        first, last = start.start_mark.line, end.end_mark.line
        lines = self._text.split("\n", last + 1)
        for line in range(first + 1, last + 1):
            content = lines[line].lstrip(" ")
            column = len(lines[line]) - len(content)
            if column > indent or not content.strip() or (is_flow and content[0] == "#"):
                continue
            if is_flow and line == last and column == indent and end.start_mark.column == column:
                continue
            reason = flow_reason(start) if is_flow else f"Missing closing {start.style}quote"
            raise Fault.at(reason, self._text, line, column, first_line=self._first_line)

    def _fault(self, event: Any, message: str, *, is_syntax: bool = False) -> Fault:
        mark = event.start_mark
        return Fault.at(
            message,
            self._text,
            mark.line,
            mark.column,
            first_line=self._first_line,
            is_syntax=is_syntax,
        )


def _length(value: Any) -> int:
    """Count the characters in all texts and keys of a value."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(len(key) + _length(item) for key, item in value.items())
    return sum(map(_length, value)) if isinstance(value, list) else 0


def _flow_text(value: Any) -> str:
    """Write a collection that serves as a key the way it becomes a property name."""
    if isinstance(value, dict):
        pairs = (
            ("? " if key[:1] in ("{", "[") else "")
            + key
            + ("" if item is None else f": {_flow_text(item)}")
            for key, item in value.items()
        )
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    if isinstance(value, list):
        return f"[ {', '.join(map(_flow_text, value))} ]" if value else "[]"
    return "null" if value is None else key_text(value)
