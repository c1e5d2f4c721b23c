"""The marks that make a function a plugin, and how marked functions are found.

A plugin is marked, not registered: the decorator attaches a `Plugin` to the function and returns it
unchanged. Importing a plugin has no effect, and one file adds one plugin.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Literal, TypeVar

from marshmallow import Schema

Kind = Literal["ingestor", "sync", "action", "policy"]
F = TypeVar("F", bound=Callable[..., Any])
_MARK = "__callboard_plugin__"


@dataclass(frozen=True, slots=True)
class Plugin:
    """A marked function: what it is, what configuration calls it, and the schema it is held to."""

    kind: Kind
    id: str
    schema: type[Schema]
    build: Callable[..., Any]

    @property
    def module(self) -> str:
        """The dotted name of the file that defines it."""
        return str(self.build.__module__)


def _mark(kind: Kind, plugin_id: str, schema: type[Schema]) -> Callable[[F], F]:
    def attach(function: F) -> F:
        setattr(function, _MARK, Plugin(kind, plugin_id, schema, function))
        return function

    return attach


def ingestor(plugin_id: str, schema: type[Schema]) -> Callable[[F], F]:
    """Mark `build(settings, readers) -> Ingestor` for `catalog.providers.<plugin_id>`."""
    return _mark("ingestor", plugin_id, schema)


def action(plugin_id: str, schema: type[Schema]) -> Callable[[F], F]:
    """Mark `run(context, given) -> outputs` as the scaffolder action `plugin_id`."""
    return _mark("action", plugin_id, schema)


def discover(*packages: str, group: str = "") -> Iterator[Plugin]:
    """Import every module below `packages` and every entry point of `group`; yield their plugins.

    Each plugin is yielded once, by the module that defines it, in the order of module names.
    """
    names = list[str]()
    for name in packages:
        package = importlib.import_module(name)
        below = pkgutil.iter_modules(package.__path__, f"{name}.")
        names += [name, *sorted(found.name for found in below)]
    if group:
        names += sorted(entry.module for entry in entry_points(group=group))
    for name in dict.fromkeys(names):
        marks = (
            getattr(value, _MARK, None) for value in vars(importlib.import_module(name)).values()
        )
        # By another name in the same module, or imported into another one, it is the same plugin.
        found = {id(mark): mark for mark in marks if isinstance(mark, Plugin)}
        yield from (plugin for plugin in found.values() if plugin.module == name)
