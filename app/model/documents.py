"""Catalog files: bytes in, entities and problems out, nothing raised and memory bounded.

A file is cut into documents at its `---` and `...` lines, which end a document wherever they stand.
Each is read by `yaml_lines` if it is as plain as most are, by `yaml_events` otherwise, so that a
mistake in one costs neither the others nor their speed.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from app.model.entity import Entity
from app.model.problem import Problem
from app.model.yaml_events import Document, Limits, read_documents
from app.model.yaml_lines import is_plain, read_lines
from app.model.yaml_positions import find_place
from app.model.yaml_wording import Fault

__all__ = ["Limits", "iterate", "parse", "position_in", "position_of", "values"]

DEFAULT_LIMITS = Limits()

_QUICK = 1_000_000  # reading lines takes memory for every line at once
_MARKERS = ("---", "...")
_DIRECTIVES = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n|%[^\n]*\n)*\Z")
_IGNORED_DIRECTIVE = re.compile(r"^%(?!TAG )", re.MULTILINE)
_ENCODINGS = (
    (codecs.BOM_UTF32_LE, ""),
    (codecs.BOM_UTF32_BE, ""),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)
# libyaml takes these for line breaks or refuses them; to YAML 1.2 they are text like any other.
_MASKS = {code: 0xF0000 + code for code in (0x0D, 0x85, 0x2028, 0x2029, 0xFEFF)}
_UNMASK = {mask: code for code, mask in _MASKS.items()}
_MASKED = tuple(map(chr, _MASKS))


def parse(data: bytes, location: str, limits: Limits = DEFAULT_LIMITS) -> list[Entity | Problem]:
    """Read a file of any number of documents, as Backstage's parser does; empty ones are left out.

    Problems are named `Error` and carry the message, line and column of what is wrong.
    """
    return list(iterate(data, location, limits))


def iterate(
    data: bytes, location: str, limits: Limits = DEFAULT_LIMITS
) -> Iterator[Entity | Problem]:
    """Do what `parse` does, one document at a time."""
    try:
        for document in _documents(data, limits):
            if isinstance(document, Fault):
                yield _problem(location, document)
            elif isinstance(document.value, dict):
                yield Entity(document.value, location, document.line)
            elif document.value is not None:
                yield Problem(
                    location,
                    f"Expected object at root, got {_type_name(document.value)}",
                    name="Error",
                    line=document.line,
                    column=1,
                )
    except Fault as fault:
        yield _problem(location, fault)


def values(data: bytes, limits: Limits = DEFAULT_LIMITS) -> list[Any]:
    """Read documents of whatever shape, empty ones included; raises the first `Fault`."""
    found = list[Any]()
    for document in _documents(data, limits):
        if isinstance(document, Fault):
            raise document
        found.append(document.value)
    return found


def position_of(data: bytes, index: int, pointer: str) -> tuple[int, int]:
    """Find the line and column of a field in the `index`-th item that `parse` answers for `data`.

    The field is named by its JSON pointer. If it does not exist the nearest one around it is meant,
    and (0, 0) if there is no such document.
    """
    for number, item in enumerate(iterate(data, "")):
        if number == index and isinstance(item, Entity):
            return position_in(data, item.line, pointer)
    return 0, 0


def position_in(data: bytes, line: int, pointer: str) -> tuple[int, int]:
    """Find a field like `position_of`, in the document that starts on `line` (`Entity.line`)."""
    chunks = _chunks_of(data)
    # Where one document ends the next one begins; either may have the line.
    last = bisect_right(chunks, line, key=lambda chunk: chunk.line)
    for chunk in chunks[max(last - 2, 0) : last]:
        if line <= chunk.line + chunk.text.count("\n"):
            try:
                place = find_place(chunk.text, chunk.line, line, pointer)
            except Fault:
                break
            if place:
                return place
    return 0, 0


@lru_cache(maxsize=1)
def _chunks_of(data: bytes) -> tuple[_Chunk, ...]:
    """Cut up a file; remembered, since a file with one mistake often has thousands."""
    try:
        return tuple(_chunks(_masked(_decode(data, DEFAULT_LIMITS))))
    except Fault:
        return ()


@dataclass(frozen=True, slots=True)
class _Chunk:
    """The text of one document, ending with a line break, and the number of its first line."""

    text: str
    line: int


def _documents(data: bytes, limits: Limits) -> Iterator[Document | Fault]:
    text = _decode(data, limits)
    masked = _masked(text)
    is_masked = masked is not text
    all_plain = not is_masked and is_plain(text)
    nodes = 0
    for count, chunk in enumerate(_chunks(masked)):
        if count >= limits.documents:
            yield Fault(f"more than {limits.documents} documents in one file", chunk.line, 1)
            return
        left = replace(limits, nodes=limits.nodes - nodes) if nodes else limits
        try:
            for document in _read(chunk, left, all_plain=all_plain):
                nodes += document.nodes
                yield _unmasked(document) if is_masked else document
        except Fault as fault:
            nodes += fault.nodes
            if is_masked:
                fault.message = fault.message.translate(_UNMASK)
            yield fault
            if nodes > limits.nodes:
                return


def _read(chunk: _Chunk, limits: Limits, *, all_plain: bool) -> Iterable[Document]:
    if len(chunk.text) <= _QUICK and (all_plain or is_plain(chunk.text)):
        document = read_lines(chunk.text, chunk.line, limits.depth)
        if document is not None and document.nodes <= limits.nodes:
            return (document,)
    return read_documents(chunk.text, chunk.line, limits)


def _chunks(text: str) -> Iterator[_Chunk]:
    """Cut a text at the lines that begin or end a document, keeping directives with theirs."""
    start, line, is_marked = 0, 1, False
    for begin in _boundaries(text):
        is_start = text[begin] == "-"
        if is_start and not is_marked and _DIRECTIVES.fullmatch(text, start, begin):
            is_marked = True
            continue
        if begin > start:
            yield _chunk(text[start:begin], line)
        end = begin if is_start else text.index("\n", begin) + 1
        line += text.count("\n", start, end)
        start, is_marked = end, is_start
    if start < len(text):
        yield _chunk(text[start:], line)


def _boundaries(text: str) -> Iterator[int]:
    """Find the lines `---` and `...`; searching for constants is ten times as fast as a pattern."""
    if text[:3] in _MARKERS and text[3] in " \t\n":
        yield 0
    next_of = {marker: text.find("\n" + marker) for marker in _MARKERS}
    while True:
        found = [at for at in next_of.values() if at >= 0]
        if not found:
            return
        at = min(found)
        if text[at + 4] in " \t\n":
            yield at + 1
        marker = text[at + 1 : at + 4]
        next_of[marker] = text.find("\n" + marker, at + 4)


def _chunk(text: str, line: int) -> _Chunk:
    """Turn the directives that change nothing for us into comments."""
    return _Chunk(_IGNORED_DIRECTIVE.sub("#", text) if text[:1] in "%#\n" else text, line)


def _decode(data: bytes, limits: Limits) -> str:
    """Turn bytes into text whose every line ends with a line feed."""
    if len(data) > limits.bytes:
        size = f"{len(data)} bytes, more than the {limits.bytes} that are read"
        raise Fault(f"the file has {size}", 1, 1)
    mark, encoding = next((pair for pair in _ENCODINGS if data.startswith(pair[0])), (b"", "utf-8"))
    if not encoding:
        raise Fault("the file is encoded in UTF-32, expected UTF-8 or UTF-16", 1, 1)
    try:
        text = data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        before = data[len(mark) :][: error.start].decode(encoding, "replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"the file is not valid {encoding.upper()} at line {line}, column {column}"
        raise Fault(message, line, column) from None
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    return text if text.endswith("\n") else text + "\n"


def _masked(text: str) -> str:
    if not any(character in text for character in _MASKED):
        return text
    return text if any(chr(mask) in text for mask in _UNMASK) else text.translate(_MASKS)


def _unmasked(document: Document) -> Document:
    return replace(document, value=_unmask(document.value))


def _unmask(value: Any) -> Any:
    if isinstance(value, str):
        return value.translate(_UNMASK)
    if isinstance(value, dict):
        return {key.translate(_UNMASK): _unmask(item) for key, item in value.items()}
    return [_unmask(item) for item in value] if isinstance(value, list) else value


def _problem(location: str, fault: Fault) -> Problem:
    message = f"YAML error at {location}, {fault.message}"
    return Problem(location, message, name="Error", line=fault.line, column=fault.column)


def _type_name(value: Any) -> str:
    """Name a type as JavaScript's `typeof` does."""
    if isinstance(value, bool):
        return "boolean"
    return {str: "string", int: "number", float: "number"}.get(type(value), "object")
