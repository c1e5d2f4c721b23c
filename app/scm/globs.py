"""Patterns over paths, as minimatch reads them: `*`, `**`, `?`, `[a-z]`, `{a,b}`, `@(a|b)`.

A pattern is run as a set of positions that moves one path segment at a time, and inside a segment
every `*` takes the shortest match. Both are exact for this language and neither ever backtracks
over what it has passed, so that a pattern written by a stranger costs no more than its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol, TypeAlias

import bracex

from app.errors import InputError

MAX_LENGTH = 4096
MAX_ALTERNATIVES = 256
_SLASHES = re.compile("/+")
_MAGIC = re.compile(r"[*?\[{]|@\(")
_CHOICE = re.compile(r"([@?])\(([^()]*)\)")
_REPEATED_CHOICE = re.compile(r"(?<!\\)[+*!]\(")
_TOKEN = re.compile(r"(?s)(?P<stars>\*+)|(?P<any>\?)|\\(?P<escaped>.)|(?P<open>\[)|(?P<char>.)")


class _AnyDepth:
    """`**`: any number of segments, none included."""


_ANY_DEPTH = _AnyDepth()
Segment: TypeAlias = str | re.Pattern[str] | _AnyDepth
State: TypeAlias = frozenset[tuple[int, int]]


class Entry(NamedTuple):
    """A name in a directory."""

    name: str
    is_directory: bool
    is_link: bool = False


class Tree(Protocol):
    """Directories that can be walked; paths are joined with `/`, the top is the empty path."""

    def entries(self, path: str) -> Iterable[Entry]:
        """List a directory, in any order."""

    def entry(self, path: str, name: str) -> Entry | None:
        """Look up one name in a directory."""


@dataclass(frozen=True, slots=True)
class Glob:
    """A compiled pattern: alternatives of segments, of which one has to match the whole path."""

    pattern: str
    alternatives: tuple[tuple[Segment, ...], ...]
    dotfiles: bool

    @property
    def start(self) -> State:
        """The state before the first segment."""
        return self._closed((number, 0) for number in range(len(self.alternatives)))

    def step(self, state: State, name: str, *, deeper: bool = True) -> State:
        """Move over one segment; without `deeper` a `**` does not stretch over it."""
        return self._closed(self._moves(state, name, deeper=deeper))

    def accepts(self, state: State) -> bool:
        """Whether what was passed so far is a match."""
        return any(at == len(self.alternatives[number]) for number, at in state)

    def continues(self, state: State) -> bool:
        """Whether something below what was passed so far can match."""
        return any(at < len(self.alternatives[number]) for number, at in state)

    def names(self, state: State) -> set[str] | None:
        """Name the only names that can follow; None if a pattern decides."""
        following = [
            self.alternatives[number][at]
            for number, at in state
            if at < len(self.alternatives[number])
        ]
        names = {segment for segment in following if isinstance(segment, str)}
        return names if len(names) == len(set(following)) else None

    def matches(self, path: str) -> bool:
        """Tell whether the whole `path` matches; one slash at its end does not matter."""
        state, before = self.start, frozenset[tuple[int, int]]()
        segments = _SLASHES.split(path)
        for name in segments:
            before, state = state, self.step(state, name)
            if not state:
                break
        if self.accepts(state):
            return True
        return len(segments) > 1 and not segments[-1] and self.accepts(before)

    def _closed(self, positions: Iterable[tuple[int, int]]) -> State:
        closed = set[tuple[int, int]]()
        for number, start in positions:
            segments, at = self.alternatives[number], start
            closed.add((number, at))
            while at < len(segments) and segments[at] is _ANY_DEPTH:
                at += 1
                closed.add((number, at))
        return frozenset(closed)

    def _moves(self, state: State, name: str, *, deeper: bool) -> Iterator[tuple[int, int]]:
        for number, at in state:
            segments = self.alternatives[number]
            if at == len(segments):
                continue
            segment = segments[at]
            if isinstance(segment, _AnyDepth):
                if deeper and not self._is_hidden(name):
                    yield number, at
            elif segment == name if isinstance(segment, str) else segment.match(name):
                yield number, at + 1

    def _is_hidden(self, name: str) -> bool:
        return name in {".", ".."} or (name.startswith(".") and not self.dotfiles)


def has_magic(text: str) -> bool:
    """Tell whether `text` is a pattern rather than a plain path."""
    return _MAGIC.search(text) is not None


@lru_cache(maxsize=1024)
def compile_glob(pattern: str, *, dotfiles: bool = False, ignore_case: bool = False) -> Glob:
    """Compile a pattern; a leading dot is only matched by a dot unless `dotfiles`.

    Raises `InputError` if the pattern is longer, or stands for more alternatives, than anybody
    needs, or repeats or negates a group (`+(…)`, `*(…)`, `!(…)`), which is not supported.
    """
    alternatives = tuple(
        _segments(text, dotfiles=dotfiles, ignore_case=ignore_case) for text in _expand(pattern)
    )
    return Glob(pattern, alternatives, dotfiles)


def walk(glob: Glob, tree: Tree, *, max_entries: int) -> Iterator[str]:
    """Yield every path below the top of `tree` that is no directory and matches, in any order.

    Directories behind symbolic links are entered where the pattern names them, but `**` does not
    wander into them. Raises `InputError` once `max_entries` names have been looked at.
    """
    looked_at = 0
    pending: list[tuple[str, State]] = [("", glob.start)]
    while pending:
        path, state = pending.pop()
        for entry in _candidates(glob, tree, path, state):
            looked_at += 1
            if looked_at > max_entries:
                raise InputError(
                    f"The pattern {glob.pattern} looks at more than {max_entries} files; "
                    "make it more specific"
                )
            below = f"{path}/{entry.name}" if path else entry.name
            if not entry.is_directory:
                if glob.accepts(glob.step(state, entry.name)):
                    yield below
                continue
            following = glob.step(state, entry.name, deeper=not entry.is_link)
            if glob.continues(following):
                pending.append((below, following))


def _candidates(glob: Glob, tree: Tree, path: str, state: State) -> Iterable[Entry]:
    names = glob.names(state)
    if names is None:
        return tree.entries(path)
    found = (tree.entry(path, name) for name in names)
    return [entry for entry in found if entry is not None]


def _expand(pattern: str) -> list[str]:
    if len(pattern) > MAX_LENGTH:
        raise InputError(f"A pattern may have at most {MAX_LENGTH} characters")
    if _REPEATED_CHOICE.search(pattern):
        raise InputError(
            f"The pattern {pattern} repeats or negates a group, which is not supported; "
            "use @(a|b) or {a,b}"
        )
    try:
        expanded = bracex.expand(
            _CHOICE.sub(_braces, pattern), keep_escapes=True, limit=MAX_ALTERNATIVES
        )
    except (bracex.ExpansionLimitException, RecursionError):
        raise InputError(
            f"The pattern {pattern} stands for more than {MAX_ALTERNATIVES} alternatives"
        ) from None
    return list(dict.fromkeys(expanded))


def _braces(choice: re.Match[str]) -> str:
    """Write `@(a|b)` as `{a,b}` and `?(a|b)` as `{,a,b}`."""
    options = choice[2].replace(",", "\\,").split("|")
    if choice[1] == "?":
        options.insert(0, "")
    return "{" + ",".join(options) + "}" if len(options) > 1 else options[0]


def _segments(text: str, *, dotfiles: bool, ignore_case: bool) -> tuple[Segment, ...]:
    segments = list[Segment]()
    for part in _SLASHES.split(text):
        if part == "**":
            if not segments or segments[-1] is not _ANY_DEPTH:
                segments.append(_ANY_DEPTH)
        else:
            segments.append(_segment(part, dotfiles=dotfiles, ignore_case=ignore_case))
    if segments[-1] is _ANY_DEPTH:
        # At the end `**` stands for everything below, but not for nothing at all.
        segments.append(re.compile(r"(?!\.{1,2}\Z)" if dotfiles else r"(?!\.)"))
    return tuple(segments)


def _segment(text: str, *, dotfiles: bool, ignore_case: bool) -> str | re.Pattern[str]:
    """Compile one segment: plain text stays text, the rest becomes an expression.

    Between two stars stands a chunk of fixed length, so that its first match is as good as any
    later one: an atomic group keeps it and the expression cannot go back.
    """
    chunks, literal, is_plain = [""], "", True
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        assert token is not None  # noqa: S101 - the last branch matches everything
        at = token.end()
        piece = ""
        if token["stars"]:
            chunks.append("")
        elif token["any"]:
            piece = "."
        elif token["open"] and (found := _character_class(text, at)):
            piece, at = found
        else:
            character = token["escaped"] or token["char"] or token[0]
            literal += character
            chunks[-1] += re.escape(character)
            continue
        chunks[-1] += piece
        is_plain = False
    if is_plain and not ignore_case:
        return literal
    dots = ""
    if not is_plain and text[0] in "*?[":
        dots = r"(?!\.{1,2}\Z)(?=.)" if dotfiles else r"(?!\.)(?=.)"
    first, *rest = chunks
    middle = "".join(f"(?>.*?{chunk})" for chunk in rest[:-1])
    last = f".*{rest[-1]}" if rest else ""
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    return re.compile(f"{dots}{first}{middle}{last}\\Z", flags)


def _character_class(text: str, at: int) -> tuple[str, int] | None:
    """Translate `[…]` from just after its bracket; None if it is never closed or makes no sense."""
    if text.find("]", at + 1) < 0:
        return None
    negated = text[at : at + 1] in {"!", "^"}
    at += negated
    members, first = list[str](), True
    while at < len(text) and (first or text[at] != "]"):
        first = False
        member, at = _member(text, at)
        if text[at : at + 1] == "-" and text[at + 1 : at + 2] not in {"", "]"}:
            last, at = _member(text, at + 1)
            if last < member:
                return None
            members.append(f"{re.escape(member)}-{re.escape(last)}")
        else:
            members.append(re.escape(member))
    if at >= len(text):
        return None
    return f"[{'^' if negated else ''}{''.join(members)}]", at + 1


def _member(text: str, at: int) -> tuple[str, int]:
    if text[at] == "\\" and at + 1 < len(text):
        return text[at + 1], at + 2
    return text[at], at + 1
