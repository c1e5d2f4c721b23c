"""A configuration written out for people: YAML, secrets masked, each value with its origin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.cli.yaml_text import scalar_text
from app.config import Config
from app.config.place import join


def config_lines(config: Config) -> Iterator[tuple[str, str]]:
    """Yield lines of YAML, and for those that hold a value the place where it was written."""
    yield from _lines(config, config.redacted(), "", "")


def origins(config: Config) -> Mapping[str, str]:
    """Answer the place of every value, by its path."""
    return {path: config.origin(path) for path in _paths(config.redacted(), "")}


def _paths(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _paths(inner, join(path, key))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _paths(inner, join(path, index))
    elif path:
        yield path


def _lines(config: Config, value: Any, path: str, indent: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _entry(config, inner, join(path, key), indent, f"{scalar_text(key)}:")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _entry(config, inner, join(path, index), indent, "-")


def _entry(
    config: Config, value: Any, path: str, indent: str, start: str
) -> Iterator[tuple[str, str]]:
    """Write one key, or one item, and what is below it; an object in a list starts on its line."""
    if not isinstance(value, (dict, list)) or not value:
        yield f"{indent}{start} {scalar_text(value)}", config.origin(path)
        return
    below = list(_lines(config, value, path, f"{indent}  "))
    if start == "-" and isinstance(value, dict):
        (first, origin), *below = below
        yield f"{indent}- {first.lstrip()}", origin
    else:
        yield f"{indent}{start}", ""
    yield from below
