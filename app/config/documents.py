"""YAML and JSON texts as nodes: YAML 1.2's core schema, duplicate keys refused, lines kept."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import yaml

from app.config.place import Node, Place, config_error, join
from app.errors import ConfigError
from app.model.yaml_scalars import key_text, plain_value, tagged_value

_MAX_DEPTH = 100
_MAX_NODES = 200_000
_PLAIN = "!plain"


class _Loader(yaml.CSafeLoader):
    """Composes with libyaml, and leaves the meaning of plain scalars to the core schema."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else "tag:yaml.org,2002:str"
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]


def read_yaml(data: bytes, file: str) -> Node | None:
    """Read one YAML document; None if it is empty or null.

    Raises `ConfigError` with the line and column where the text stops making sense.
    """
    try:
        root = yaml.compose(_text(data, file), Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
        message = ", ".join(filter(None, (error.context, error.problem)))
        raise ConfigError(f"not valid YAML: {message} ({where})") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"not valid YAML: {error} ({file})") from None
    if root is None:
        return None
    node = _Reading(file).node(root, Place(file, root.start_mark.line + 1), "", 0)
    return None if node.value is None else node


def read_json(data: bytes, file: str) -> Node:
    """Read a JSON text. Its nodes know the file, but no lines."""
    try:
        return as_nodes(parse_json(_text(data, file)), Place(file))
    except ValueError as error:
        raise ConfigError(f"not valid JSON: {error} ({file})") from None


def parse_json(text: str) -> Any:
    """Parse JSON as strictly as JavaScript does; raises `ValueError`."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def as_nodes(value: Any, place: Place, *, is_secret: bool = False) -> Node:
    """Give every part of a JSON value the same place."""
    if isinstance(value, dict):
        children = {k: as_nodes(v, place, is_secret=is_secret) for k, v in value.items()}
        return Node(children, place, is_secret)
    if isinstance(value, list):
        return Node([as_nodes(v, place, is_secret=is_secret) for v in value], place, is_secret)
    return Node(value, place, is_secret)


def _text(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"not UTF-8 text ({file}:{line})") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


class _Reading:
    """One pass over a composed document; counts nodes, because aliases can multiply them."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._count = 0

    def node(self, found: yaml.Node, place: Place, path: str, depth: int) -> Node:
        self._count += 1
        if depth > _MAX_DEPTH or self._count > _MAX_NODES:
            raise config_error(path, "nested too deeply, or too many aliases", place)
        if isinstance(found, yaml.MappingNode):
            return Node(self._mapping(found, path, depth), place)
        if isinstance(found, yaml.SequenceNode):
            items = [
                self.node(item, self._place(item), join(path, index), depth + 1)
                for index, item in enumerate(found.value)
            ]
            return Node(items, place)
        return Node(_scalar(found), place)

    def _mapping(self, found: yaml.MappingNode, path: str, depth: int) -> dict[str, Node]:
        children: dict[str, Node] = {}
        for key_node, value_node in found.value:
            place = self._place(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                raise config_error(path, "a key must be a single value", place)
            key = key_text(_scalar(key_node))
            if key in children:
                first = children[key].place
                raise config_error(join(path, key), f"given twice, first at {first}", place)
            children[key] = self.node(value_node, place, join(path, key), depth + 1)
        return children

    def _place(self, found: yaml.Node) -> Place:
        return Place(self._file, found.start_mark.line + 1)


def _scalar(found: yaml.Node) -> Any:
    if found.tag == _PLAIN:
        return plain_value(found.value)
    return tagged_value(found.value, found.tag)
