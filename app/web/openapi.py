"""The HTTP contract as data: `openapi.yaml`, and the part of it that one plugin serves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import yaml

Document = Mapping[str, Any]

# Beside the package in a checkout, inside of it once installed.
PLACES = (Path(__file__).parents[2] / "openapi.yaml", Path(__file__).parents[1] / "openapi.yaml")


def load_document() -> Document:
    """Read the contract; raises `FileNotFoundError` if it was not shipped."""
    found = next((place for place in PLACES if place.is_file()), PLACES[0])
    document: Document = yaml.load(found.read_bytes(), Loader=yaml.CSafeLoader)
    return document


@cache
def plugin_contract(plugin: str) -> bytes:
    """Answer the part of the contract about one plugin as JSON."""
    return plugin_document(load_document(), plugin)


def plugin_document(document: Document, plugin: str) -> bytes:
    """Write the part about one plugin as JSON: its paths, and of the components what they use."""
    mount = f"/api/{plugin}/"
    paths = {path: item for path, item in document["paths"].items() if path.startswith(mount)}
    part = dict(document) | {"info": dict(document["info"]) | {"title": plugin}, "paths": paths}
    tags = {tag for item in paths.values() for tag in _tags(item)}
    part["tags"] = [tag for tag in document["tags"] if tag["name"] in tags]
    part["components"] = _components(document["components"], paths)
    return orjson.dumps(part)


def _components(components: Document, paths: Document) -> dict[str, Any]:
    """Keep the components that are referred to, however indirectly."""
    kept: dict[str, Any] = {"securitySchemes": components["securitySchemes"]}
    todo = list(_references(paths))
    while todo:
        _, _, group, name = todo.pop().split("/")
        named = kept.setdefault(group, {})
        if name not in named:
            named[name] = components[group][name]
            todo += _references(named[name])
    return kept


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _tags(item: Document) -> Iterator[str]:
    for operation in item.values():
        if isinstance(operation, dict):
            yield from operation.get("tags", ())
