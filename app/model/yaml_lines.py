"""A quick reader for the plain YAML that nearly all catalog files consist of.

It takes one document line by line: block mappings and sequences, scalars on one line, literal
blocks, short flow lists. Whatever is not plainly of that form it leaves to `yaml_events`, so it is
free to refuse, and may never read a document differently.
"""

from __future__ import annotations

import re
from typing import Any

from app.model.yaml_events import Document
from app.model.yaml_scalars import MAYBE_TYPED, plain_value

# One line (with a literal block, several). The last alternative takes what we do not understand.
# Possessive quantifiers keep the time linear whatever the text. Groups have none: Python before
# 3.11.5 forgets what is captured in them (gh-106052), and giving one back never leads to a match.
_LINES = re.compile(
    r"""
    (?P<indent>\ *+)
    (?:
        (?P<dash>-\ ++)?
        (?:(?P<key>[A-Za-z_$][A-Za-z0-9_./$-]{0,250}+):(?=[\ \n])\ *+)?
        (?:
            (?P<value>
                (?:[^\s\-?:,\[\]{}#&*!|>'"%@`]|-(?=[^\s]))
                [^\n\t:#]*+(?:(?::(?=[^\s:#])|(?<=[^\s:])\#)[^\n\t:#]*+)*
            |   "[^"\\\n\t]*+"
            |   '[^'\n\t]*+(?:''[^'\n\t]*+)*'
            |   \[(?:[A-Za-z0-9_][A-Za-z0-9_./-]*+(?:,\ [A-Za-z0-9_][A-Za-z0-9_./-]*+)*)?\]
            |   \{\}
            )?
            \ *+\n
        |   (?P<block>\|-?)\n
            (?P<body>(?:(?P=indent)\ [^\n]*+\n|\n)+)
        )
    |   (?:\#[^\n]*+)?\n
    |   (?P<other>[^\n]*+)\n
    )
    """,
    re.VERBOSE,
)
_EMPTY = re.compile(r"\n(?=\n)")
_LEVELS_OF_A_LINE = 4
_MARKER = re.compile(r"---(?: +)?\n")
_NOT_STRINGS = frozenset(
    ["null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE"]
)
_OUTSIDE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\xa0\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")


def read_lines(text: str, first_line: int, depth: int) -> Document | None:  # noqa: C901, PLR0911, PLR0912, PLR0915
    """Read one document that is a mapping, or answer None if `yaml_events` has to.

    `text` ends with a line break, has no carriage returns, and may begin with a `---` line. It has
    been checked to hold only characters that every reader of YAML takes for what they are.
    """
    marker = _MARKER.match(text)
    lines = _LINES.findall(text, marker.end() if marker else 0)
    nodes = 2 * len(lines)
    deepest = depth - _LEVELS_OF_A_LINE
    root: dict[str, Any] = {}
    node: Any = root
    is_map = True
    column = 0
    stack: list[tuple[Any, bool, int]] = []
    pending: str | None = None
    value: Any
    for indent, dash, key, raw, block, body, other in lines:
        if other or key in _NOT_STRINGS or len(stack) > deepest:
            return None
        if not key and not raw:
            if dash or block:
                return None
            continue
        width = len(indent)
        if dash:
            if width != column or is_map:
                if pending is not None and width >= column:
                    stack.append((node, is_map, column))
                    child: list[Any] = []
                    node[pending] = child
                    node, is_map, column = child, False, width
                else:
                    while stack and (column > width or (is_map and column == width)):
                        node, is_map, column = stack.pop()
                    if is_map or column != width:
                        return None
            pending = None
            if key:
                item: dict[str, Any] = {}
                node.append(item)
                stack.append((node, is_map, column))
                node, is_map, column = item, True, width + len(dash)
        elif not key:
            return None
        elif width != column or not is_map:
            if pending is not None and width > column:
                stack.append((node, is_map, column))
                inner: dict[str, Any] = {}
                node[pending] = inner
                node, is_map, column = inner, True, width
            else:
                while stack and (column > width or not is_map):
                    node, is_map, column = stack.pop()
                if not is_map or column != width:
                    return None
        if raw:
            first = raw[0]
            if first == '"':
                value = raw[1:-1]
            elif first == "'":
                value = raw[1:-1].replace("''", "'")
            elif first == "[":
                value = [
                    plain_value(each) if each[0] in MAYBE_TYPED else each
                    for each in (raw[1:-1].split(", ") if raw != "[]" else ())
                ]
                nodes += len(value)
            elif first == "{":
                value = {}
            else:
                value = raw.rstrip(" ")
                if first in MAYBE_TYPED:
                    value = plain_value(value)
            if not key:
                node.append(value)
                continue
        elif block:
            value = None if dash else _literal(body, block)
            if value is None:
                return None
        elif key in node:
            return None
        else:
            node[key] = None
            pending = key
            continue
        if key in node:
            return None
        node[key] = value
        pending = None
    if not root:
        return None
    start = next(index for index, line in enumerate(lines) if line[2])
    return Document(root, first_line + start + (1 if marker else 0), nodes)


def is_plain(text: str) -> bool:
    """Tell whether a file holds no character that readers of YAML disagree about."""
    if text.isascii():
        data = text.encode()
        return len(data.translate(None, _ASCII_OUTSIDE)) == len(data)
    return _OUTSIDE.search(text) is None


def _literal(body: str, header: str) -> str | None:
    """Take the indentation off a literal block; None if its lines do not share one."""
    text = body.lstrip("\n")
    margin = len(text) - len(text.lstrip(" "))
    if not text or " \n" in body or text[margin] == "\t":
        return None
    lines = "\n" + body.rstrip("\n")
    stripped = lines.replace("\n" + " " * margin, "\n")
    indented = (len(lines) - len(stripped)) // margin
    if indented + len(_EMPTY.findall(lines)) != lines.count("\n"):
        return None
    return stripped[1:] + ("\n" if header == "|" else "")


_ASCII_OUTSIDE = bytes(code for code in range(128) if _OUTSIDE.match(chr(code)))
