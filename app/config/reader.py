"""Reading a merged configuration: values by path, where each was written, what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from app.config.place import ABSENT, Node, Place, config_error, join, nodes_by_path, plain
from app.config.secrecy import redacted
from app.errors import ConfigError

_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_NOWHERE = Place("no file")


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration, or the section of one at `prefix`; errors always name the whole path.

    Paths look like `catalog.locations[0].target`. `directory` is what relative paths in values
    start from. `is_development` tells whether `NODE_ENV` says so. `unset` holds
    what came to nothing for a missing variable, even if a default stands in. Printing a `Config`
    shows keys and files, never values.
    """

    root: Node = field(repr=False)
    files: tuple[str, ...] = ()
    directory: Path = field(default_factory=Path.cwd)
    is_development: bool = False
    unset: Mapping[str, Node] = field(default_factory=dict, repr=False)
    prefix: str = ""
    _nodes: Mapping[str, Node] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, root: Node, **others: Any) -> Config:
        """Index `root`; the other fields are passed on."""
        return cls(root, _nodes=nodes_by_path(root), **others)

    def get(self, path: str = "", default: Any = None) -> Any:
        """Read a value as JSON knows it; what is absent, null included, is `default`."""
        node = self._find(path)
        return default if node is None or node.value in (None, ABSENT) else plain(node)

    def require(self, path: str) -> Any:
        """Read a value that must be there; the error names the variables it lacks, if any."""
        value = self.get(path)
        if value is None:
            raise ConfigError(self.complaint(path, "required"))
        return value

    def keys(self, path: str = "") -> tuple[str, ...]:
        """List the keys of an object; nothing if there is none."""
        node = self._find(path)
        if node is None or not isinstance(node.value, dict):
            return ()
        return tuple(key for key, child in node.value.items() if child.value is not ABSENT)

    def section(self, path: str) -> Config:
        """Narrow to the object at `path`, empty if it is absent."""
        node = self._find(path) or Node({}, self.place(path))
        if node.value in (None, ABSENT):
            node = Node({}, node.place)
        if not isinstance(node.value, dict):
            raise config_error(self._full(path), "wanted object", node.place)
        return replace(self, root=node, prefix=self._full(path))

    def origin(self, path: str = "") -> str:
        """Say where the value, or else the nearest section around it, was written."""
        return str(self.place(path))

    def place(self, path: str = "") -> Place:
        """Find the place that `origin` says in words."""
        whole = self._full(path)
        if whole in self.unset:
            return self.unset[whole].place
        for candidate in _around(whole):
            if candidate in self._nodes:
                return self._nodes[candidate].place
        return _NOWHERE

    def missing_variables(self, path: str) -> tuple[str, ...]:
        """Name the variables that are not set and are why this value (or list item) is absent."""
        node = self.unset.get(self._full(path))
        return node.missing if node else ()

    def complaint(self, path: str, message: str) -> str:
        """Word one mistake: `path: message (file:line)`, with the variables that are missing."""
        missing = self.missing_variables(path) if message == "required" else ()
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            message = f"{message} ({', '.join(missing)} {verb} not set)"
        return f"{self._full(path) or 'the top level'}: {message} ({self.origin(path)})"

    def redacted(self) -> Any:
        """Show the section with masks for what came from variables, files and secret keys."""
        return redacted(self.root)

    def _full(self, path: str) -> str:
        if not self.prefix or not path:
            return self.prefix or path
        return self.prefix + path if path.startswith("[") else join(self.prefix, path)

    def _find(self, path: str) -> Node | None:
        node: Node | None = self.root
        for step in _steps(path):
            if node is None:
                return None
            if isinstance(node.value, dict):
                node = node.value.get(str(step))
            elif isinstance(node.value, list) and isinstance(step, int):
                node = node.value[step] if step < len(node.value) else None
            else:
                return None
        return node


def _steps(path: str) -> Iterator[str | int]:
    for found in _STEP.finditer(path):
        yield int(found[1]) if found[1] else found[2]


def _around(path: str) -> Iterator[str]:
    """Yield the path, then the paths of the sections around it, the root last."""
    while path:
        yield path
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    yield ""
