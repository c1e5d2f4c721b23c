"""Where configuration comes from: files, `APP_CONFIG_…` variables, the command line, defaults."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import reduce
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.config.documents import as_nodes, parse_json, read_yaml
from app.config.place import Node, Place, merge, nodes_by_path, without_nulls
from app.config.reader import Config
from app.config.substitution import Substitution, variable
from app.errors import ConfigError

_PREFIX = "APP_CONFIG_"
_KEY_PART = re.compile(r"[a-z][a-z0-9]*(?:[-_:][a-z0-9]+)*\Z", re.IGNORECASE | re.ASCII)


def load_config(
    paths: Sequence[str | Path] = (),
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """Read and merge the configuration; raises `ConfigError` at the first text that is malformed.

    From weak to strong: the shipped defaults, the files (`paths`, or those that lie in
    `directory`), `APP_CONFIG_…` variables, `overrides` by dotted path (the command line). Where
    the operator's layers say null, or nothing, the shipped default counts.
    """
    known = dict(os.environ) if environment is None else environment  # noqa: TID251
    directory = (directory or Path.cwd()).absolute()
    chosen = [_local(path, directory) for path in paths] or _default_files(directory, known)
    given = [_read_file(file, directory, known) for file in chosen]
    layers = [*given, _from_environment(known), _from_overrides(overrides or {})]
    operator = reduce(lambda low, high: merge(high, low), layers, Node({}, Place("no file")))
    operator = without_nulls(operator)
    unset = {path: node for path, node in nodes_by_path(operator).items() if node.missing}
    return Config.of(
        merge(operator, _shipped_defaults()),
        files=tuple(_shown(file, directory) for file in chosen),
        directory=directory,
        is_development=variable("NODE_ENV", known) == "development",
        unset=unset,
    )


def _local(path: str | Path, directory: Path) -> Path:
    address = urlsplit(str(path))
    if address.scheme and address.netloc:
        raise ConfigError(f"--config {path}: configuration is read from files, not from URLs")
    return Path(os.path.normpath(directory / path))


def _default_files(directory: Path, environment: Mapping[str, str]) -> list[Path]:
    """Look for Backstage's usual files; `BACKSTAGE_ENV` may name further ones."""
    names = [name.strip() for name in environment.get("BACKSTAGE_ENV", "").split(",")]
    extra = [f".{name}" for name in names if name]
    endings = ["", *extra, ".local", *(f"{name}.local" for name in extra)]
    files_there = (directory / f"app-config{ending}.yaml" for ending in endings)
    return [file for file in files_there if file.exists()]


def _read_file(file: Path, directory: Path, environment: Mapping[str, str]) -> Node:
    shown = _shown(file, directory)
    try:
        node = read_yaml(file.read_bytes(), shown)
    except FileNotFoundError:
        raise ConfigError(f"configuration file {shown} does not exist") from None
    except OSError as error:
        raise ConfigError(f"cannot read configuration file {shown}, {error.strerror}") from None
    if node is None:
        return Node({}, Place(shown))
    substitution = Substitution(environment, lambda path: _shown(path, directory))
    node = substitution.resolve(node, file.parent)
    if not isinstance(node.value, dict):
        raise ConfigError(f"the top level: wanted object ({node.place})")
    return node


def _from_environment(environment: Mapping[str, str]) -> Node:
    """Build the layer of `APP_CONFIG_a_b` variables, each parsed as JSON if it can be.

    Taken in the order of their names, so that `…_a` may hold the object that `…_a_b` adds to.
    """
    root: dict[str, Node] = {}
    for name, text in sorted(environment.items()):
        if name.startswith(_PREFIX) and text:
            value = _json_or_text(text)
            if value is None:
                raise ConfigError(f"{name}: the value may not be null")
            place = Place(f"environment {name}")
            _put(root, name.removeprefix(_PREFIX).split("_"), value, place)
    return Node(root, Place("environment"))


def _put(root: dict[str, Node], keys: Sequence[str], value: Any, place: Place) -> None:
    if not all(_KEY_PART.match(key) for key in keys):
        raise ConfigError(f"{'.'.join(keys)}: not a possible key ({place})")
    here = root
    for key in keys[:-1]:
        inner = here.setdefault(key, Node({}, place)).value
        if not isinstance(inner, dict):
            raise ConfigError(f"{'.'.join(keys)}: {key} already has a plain value ({place})")
        here = inner
    if keys[-1] in here:
        raise ConfigError(f"{'.'.join(keys)}: given twice ({place})")
    here[keys[-1]] = as_nodes(value, place, is_secret=True)


def _json_or_text(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return text


def _from_overrides(overrides: Mapping[str, Any]) -> Node:
    root: dict[str, Node] = {}
    place = Place("command line")
    for path, value in overrides.items():
        here = root
        *sections, last = path.split(".")
        for key in sections:
            here = here.setdefault(key, Node({}, place)).value
        here[last] = as_nodes(value, place)
    return Node(root, place)


def _shipped_defaults() -> Node:
    shipped = files("app").joinpath("defaults.yaml").read_bytes()
    return read_yaml(shipped, "defaults.yaml") or Node({}, Place("defaults.yaml"))


def _shown(file: Path, directory: Path) -> str:
    return str(file.relative_to(directory)) if file.is_relative_to(directory) else str(file)
