"""Why a text is not YAML, in the words and the form that Backstage's parser gives it."""

from __future__ import annotations

import re

import yaml
from yaml.events import Event, SequenceStartEvent
from yaml.reader import ReaderError

_WIDTH = 80
_CARET_NEAR_MIDDLE = 39
_LONG_BEFORE_CARET = 60

# What libyaml says, and what the same mistake is called by Backstage's parser.
_WORDS = (
    ("mapping values are not allowed", "Nested mappings are not allowed in compact mappings"),
    ("found a tab character", "Tabs are not allowed as indentation"),
    ("found unknown escape character", "Invalid escape sequence"),
    ("found invalid Unicode character escape", "Invalid escape sequence"),
    ("block sequence entries are not allowed", "Unexpected block-seq-ind on same line with key"),
    ("could not find expected ':'", "Implicit map keys need to be followed by map values"),
    ("exceeded maximum nesting depth", "Nested too deeply"),
    ("found undefined tag handle", "Could not resolve tag"),
    ("did not find expected <document start>", "Unexpected scalar at node end"),
)
_FLOW_ENDS = {
    "sequence": "Flow sequence in block collection must be sufficiently indented and end with a ]",
    "mapping": "Flow map in block collection must be sufficiently indented and end with a }",
}
_FIRST_CHARACTERS = {
    "\t": "Tabs are not allowed as indentation",
    "@": "Plain value cannot start with reserved character @",
    "`": "Plain value cannot start with reserved character `",
    "%": "Plain value cannot start with directive indicator character %",
}
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Fault(Exception):  # noqa: N818 (it never leaves the reader)
    """A place where reading had to stop; line and column count from 1.

    `leniency` names what libyaml is stricter about than Backstage's parser, if it was that:
    `surrogates` (escaped in two halves) or `tab` (on a line with nothing else). `nodes` counts
    what a document had taken up when that last mattered.
    """

    def __init__(self, message: str, line: int, column: int, *, leniency: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
        self.leniency = leniency
        self.nodes = 0

    @classmethod
    def at(  # noqa: PLR0913
        cls,
        reason: str,
        text: str,
        line: int,
        column: int,
        *,
        first_line: int = 1,
        is_syntax: bool = True,
        leniency: str = "",
    ) -> Fault:
        """Describe a place of `text` (line and column from 0) and show its line with a caret."""
        kind = "YAMLParseError: " if is_syntax else ""
        where = f"at line {first_line + line}, column {column + 1}"
        shown = _excerpt(text, line, column)
        message = f"{kind}{reason} {where}{shown}"
        return cls(message, first_line + line, column + 1, leniency=leniency)


def syntax_fault(error: yaml.YAMLError, text: str, first_line: int) -> Fault:
    """Translate what libyaml complains about."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        reason = _reason(error.problem or "", error.context or "", text, line, column)
        if reason in _FLOW_ENDS.values():
            source = text.split("\n", line + 1)[line]
            column = min(column, len(source) - len(source.lstrip(" ")))
        leniency = _leniency(error.problem or "", text, line)
        return Fault.at(reason, text, line, column, first_line=first_line, leniency=leniency)
    found = _FORBIDDEN.search(text) if isinstance(error, ReaderError) else None
    at = found.start() if found else 0
    line, column = text.count("\n", 0, at), at - (text.rfind("\n", 0, at) + 1)
    reason = f"Control character {found[0]!a} is not allowed" if found else str(error)
    return Fault.at(reason, text, line, column, first_line=first_line)


def _leniency(problem: str, text: str, line: int) -> str:
    if "Unicode character escape" in problem:
        return "surrogates"
    if "cannot start any token" in problem or "tab character" in problem:
        content = text.split("\n", line + 1)[line].lstrip(" \t")
        return "tab" if content[:1] in ("", "#") else ""
    return ""


def flow_reason(start: Event) -> str:
    """Say that the flow collection which began with `start` does not end as it should."""
    return _FLOW_ENDS["sequence" if isinstance(start, SequenceStartEvent) else "mapping"]


def _reason(problem: str, context: str, text: str, line: int, column: int) -> str:  # noqa: PLR0911
    for words, theirs in _WORDS:
        if problem.startswith(words):
            return theirs
    source = text.split("\n", line + 1)[line] if line <= text.count("\n") else ""
    character = source[column : column + 1]
    if "cannot start any token" in problem and character in _FIRST_CHARACTERS:
        return _FIRST_CHARACTERS[character]
    if "while parsing a flow" in context:
        kind = "mapping" if "mapping" in context else "sequence"
        return _FLOW_ENDS[_open_flow(text, line, column) or kind]
    if "quoted scalar" in context and "end of" in problem:
        return f"Missing closing {_last_quote(text)}quote"
    if "while parsing a block" in context and character:
        if source[:column].strip(" ") or character in "]},":
            return f"Unexpected {character if character in ']},' else 'scalar'} at node end"
        kind = "mapping" if "mapping" in context else "sequence"
        return f"All {kind} items must start at the same column"
    return f"{problem}, {context}" if context else problem


def _open_flow(text: str, line: int, column: int) -> str | None:
    """Tell which kind of flow collection is open at a place, going by the last bracket before."""
    lines = text.split("\n", line + 1)
    before = "\n".join([*lines[:line], lines[line][:column] if line < len(lines) else ""])
    last = max(before.rfind("["), before.rfind("{"))
    return None if last < 0 else "sequence" if before[last] == "[" else "mapping"


def _last_quote(text: str) -> str:
    return '"' if text.rfind('"') > text.rfind("'") else "'"


def _excerpt(text: str, line: int, column: int) -> str:
    """Show the line with a caret below; the line before too if the caret is at its beginning."""
    lines = text.split("\n", line + 1)
    shown = lines[line] if line < len(lines) else ""
    if column >= _LONG_BEFORE_CARET and len(shown) > _WIDTH:
        start = min(column - _CARET_NEAR_MIDDLE, len(shown) - _WIDTH + 1)
        shown = "…" + shown[start:]
        column -= start - 1
    if len(shown) > _WIDTH:
        shown = shown[: _WIDTH - 1] + "…"
    if line and not shown[:column].strip(" "):
        before = lines[line - 1]
        shown = (before if len(before) < _WIDTH else before[: _WIDTH - 1] + "…") + "\n" + shown
    return f":\n\n{shown}\n{' ' * column}^\n" if shown.strip(" ") else ""
