"""Variables and includes: `${NAME}`, `$env`, `$file` and `$include`, by Backstage's rules."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from app.config.documents import read_json, read_yaml
from app.config.place import ABSENT, Node, Place, config_error, join
from app.errors import ConfigError

_REFERENCE = re.compile(r"(\$?\$\{[^{}]*\})")
_INCLUDES = ("$file", "$env", "$include")
_PARSERS = {".json": read_json, ".yaml": read_yaml, ".yml": read_yaml}
_MAX_INCLUDES = 50


@dataclass(frozen=True, slots=True)
class Substituted:
    """A text after substitution: None if a variable is missing."""

    text: str | None
    missing: tuple[str, ...] = ()
    is_from_environment: bool = False


def substitute(text: str, environment: Mapping[str, str]) -> Substituted:
    """Replace `${NAME}` and `${NAME:-default}`; `$${NAME}` stands for `${NAME}` itself.

    Values are stripped. A variable that is set but empty is a value, unless there is a default.
    """
    parts, missing, is_used = [], [], False
    for index, part in enumerate(_REFERENCE.split(text)):
        if index % 2 == 0:
            parts.append(part)
        elif part.startswith("$$"):
            parts.append(part[1:])
        else:
            name, separator, default = part[2:-1].partition(":-")
            value = variable(name.strip(), environment)
            if separator:
                value = value or None
            if value is not None:
                is_used = True
            elif default.strip():
                value = default.strip()
            else:
                missing.append(name.strip())
            parts.append(value or "")
    return Substituted(None if missing else "".join(parts), tuple(missing), is_used)


def variable(name: str, environment: Mapping[str, str]) -> str | None:
    """Look a variable up, without the white space around its value."""
    value = environment.get(name)
    return None if value is None else value.strip()


@dataclass(frozen=True, slots=True)
class Substitution:
    """Resolves the nodes of one configuration file and of the files it includes."""

    environment: Mapping[str, str] = field(repr=False)
    shown: Callable[[Path], str] = str

    def resolve(self, node: Node, directory: Path, path: str = "", depth: int = 0) -> Node:
        """Replace references and includes in a whole tree; included paths start at `directory`.

        What an include yields is not taken for an include again, but everything inside it is.
        """
        if isinstance(node.value, str):
            return self._text(node)
        keyword = _include_keyword(node, path)
        if keyword:
            node, directory, depth = self._included(node, keyword, directory, path, depth)
        if isinstance(node.value, dict):
            children = {
                key: self.resolve(child, directory, join(path, key), depth)
                for key, child in node.value.items()
            }
            return replace(node, value=children)
        if isinstance(node.value, list):
            return self._items(node, directory, path, depth)
        return node

    def _text(self, node: Node) -> Node:
        done = substitute(node.value, self.environment)
        if done.text is None:
            return Node(ABSENT, node.place, missing=done.missing)
        return Node(done.text, node.place, is_secret=node.is_secret or done.is_from_environment)

    def _items(self, node: Node, directory: Path, path: str, depth: int) -> Node:
        """Resolve a list; absent items are left out, so that later ones move up."""
        items = [
            self.resolve(item, directory, join(path, index), depth)
            for index, item in enumerate(node.value)
        ]
        missing = [name for item in items for name in item.missing if item.value is ABSENT]
        kept = [item for item in items if item.value is not ABSENT]
        return replace(node, value=kept, missing=tuple(missing))

    def _included(
        self, node: Node, keyword: str, directory: Path, path: str, depth: int
    ) -> tuple[Node, Path, int]:
        argument = self._argument(node, keyword, path)
        if keyword == "$env":
            value = variable(argument, self.environment)
            if value is None:
                return Node(ABSENT, node.place, missing=(argument,)), directory, depth
            return Node(value, node.place, is_secret=True), directory, depth
        if keyword == "$file":
            text = self._read(directory / argument, path, node.place).decode("utf-8", "replace")
            return Node(text.rstrip(), node.place, is_secret=True), directory, depth
        if depth >= _MAX_INCLUDES:
            raise config_error(path, f"$include of {argument} never ends", node.place)
        return *self._subtree(argument, directory, path, node.place), depth + 1

    def _argument(self, node: Node, keyword: str, path: str) -> str:
        written = node.value[keyword]
        if not isinstance(written.value, str):
            raise config_error(path, f"{keyword} takes a string", written.place)
        done = substitute(written.value, self.environment)
        if done.text is None:
            names = ", ".join(done.missing)
            raise config_error(path, f"{keyword} needs {names}, which is not set", written.place)
        return done.text

    def _subtree(
        self, argument: str, directory: Path, path: str, place: Place
    ) -> tuple[Node, Path]:
        name, _, inner = argument.partition("#")
        file = _absolute(directory / name)
        parser = _PARSERS.get(file.suffix)
        if parser is None:
            raise config_error(path, f"$include of {name}: not a .yaml, .yml or .json file", place)
        shown = self.shown(file)
        try:
            node = parser(self._read(file, path, place), shown)
        except ConfigError as error:
            raise config_error(path, f"$include of {name}: {error}", place) from None
        node = node or Node(None, Place(shown))
        for key in inner.split(".") if inner else ():
            if not isinstance(node.value, dict):
                raise config_error(path, f"$include: nothing at '{inner}' in {name}", place)
            node = node.value.get(key) or Node(ABSENT, place)
        return self._text(node) if isinstance(node.value, str) else node, file.parent

    def _read(self, file: Path, path: str, place: Place) -> bytes:
        try:
            return file.read_bytes()
        except OSError as error:
            _cannot_read(self.shown(_absolute(file)), error, path, place)


def _include_keyword(node: Node, path: str) -> str | None:
    """Tell which include an object stands for; other keys with a `$` have no meaning."""
    if not isinstance(node.value, dict):
        return None
    found = [key for key in node.value if key in _INCLUDES]
    if found and len(node.value) > 1:
        raise config_error(path, f"{found[0]} must stand alone", node.value[found[0]].place)
    return found[0] if found else None


def _cannot_read(shown: str, error: OSError, path: str, place: Place) -> NoReturn:
    reason = "it does not exist" if isinstance(error, FileNotFoundError) else error.strerror
    raise config_error(path, f"cannot read {shown}, {reason}", place) from None


def _absolute(file: Path) -> Path:
    return Path(os.path.normpath(file))
