"""Linting what a catalog file says about other files: placeholders and targets of Locations.

Only files that belong to the same repository on this machine are looked at, never the web.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.catalog.lint_rules import MISSING_TARGET, PLACEHOLDER, Complaint
from app.errors import CallboardError, InputError, NotFoundError
from app.model import documents
from app.model.entity import Entity
from app.model.json_pointer import pointer_to
from app.scm.addresses import is_url
from app.scm.files import FileReader, read_regular
from app.scm.globs import has_magic

KEYS = ("$text", "$json", "$yaml")
MARKS = tuple(key.encode() for key in KEYS)
LARGEST = 10 * 1024 * 1024
_REPOSITORY_MARKS = (".git", ".hg", ".jj")


class _UnusableError(Exception):
    """A placeholder's file cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder that a file stands in, and the top of the repository around it, if there is one.

    A target that begins with a slash starts at the top, which is how repositories are read.
    """

    path: Path
    top: Path | None = None

    @classmethod
    def of(cls, file: Path) -> Folder:
        """Look for the repository around `file`."""
        folder = file.absolute().parent
        tops = (up for up in (folder, *folder.parents) if _is_top(up))
        return cls(folder, next(tops, None))

    def find(self, target: str) -> Path | None:
        """Find what a relative target names; None if that is not a place in the repository."""
        start = (self.top or Path("/")) if target.startswith("/") else self.path
        found = Path(os.path.normpath(start / target.lstrip("/")))
        return found if self.top is None or found.is_relative_to(self.top) else None


@dataclass(slots=True)
class Filled:
    """An entity with its placeholders filled in as far as that can be done here.

    `unknown` are the pointers of those that can only be filled in elsewhere.
    """

    data: Any
    complaints: list[Complaint] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def fill_placeholders(data: Mapping[str, Any], folder: Folder | None) -> Filled:
    """Fill in `$text`, `$json` and `$yaml`."""
    filled = Filled(None)
    filled.data = _fill(data, "", folder, filled)
    return filled


def _fill(value: Any, pointer: str, folder: Folder | None, filled: Filled) -> Any:
    if isinstance(value, list):
        return [_fill(v, f"{pointer}/{i}", folder, filled) for i, v in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    if len(value) == 1:
        ((key, target),) = value.items()
        if key in KEYS:
            return _resolve(key, target, pointer, folder, filled)
    return {key: _fill(v, pointer + pointer_to(key), folder, filled) for key, v in value.items()}


def _resolve(key: str, target: Any, pointer: str, folder: Folder | None, filled: Filled) -> Any:
    if not isinstance(target, str):
        message = f"{key} wants the address of a file, as text"
        filled.complaints.append(Complaint(PLACEHOLDER, pointer + pointer_to(key), message))
        filled.unknown.append(pointer)
        return _stand_in(key)
    if folder is None or is_url(target):
        filled.unknown.append(pointer)
        return _stand_in(key)
    try:
        return _content(key, target, folder)
    except _UnusableError as error:
        message = f"{key} cannot use {target}: {error}"
        filled.complaints.append(Complaint(PLACEHOLDER, pointer + pointer_to(key), message))
        filled.unknown.append(pointer)
        return _stand_in(key)


def _stand_in(key: str) -> Any:
    return "filled in elsewhere" if key == "$text" else {}


def _content(key: str, target: str, folder: Folder) -> Any:
    path = folder.find(target)
    if path is None:
        raise _UnusableError("it is not in the same repository")
    try:
        data = read_regular(path, LARGEST)
    except OSError as error:
        raise _UnusableError((error.strerror or str(error)).lower()) from error
    except (InputError, ValueError) as error:  # no path has a NUL
        raise _UnusableError(str(error)) from error
    if key == "$text":
        return data.decode("utf-8", "replace")
    return _json(data) if key == "$json" else _yaml(data)


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        raise _UnusableError(f"it is not JSON, {error}") from error


def _yaml(data: bytes) -> Any:
    found = documents.parse(data, "it")
    if len(found) != 1:
        raise _UnusableError(f"it holds {len(found)} documents, and has to hold one")
    (item,) = found
    if isinstance(item, Entity):
        return item.data
    if item.message.startswith("Expected object"):
        return [] if "got object" in item.message else "a value"
    raise _UnusableError(item.message)


def missing_targets(data: Mapping[str, Any], folder: Folder) -> Iterator[Complaint]:
    """Yield the targets of a Location that should be files here and are not."""
    spec = data.get("spec")
    if data.get("kind") != "Location" or not isinstance(spec, Mapping):
        return
    if spec.get("presence") == "optional" or spec.get("type") not in (None, "file"):
        return
    targets = spec.get("targets")
    several = enumerate(targets) if isinstance(targets, list) else ()
    places = [
        ("/spec/target", spec.get("target")),
        *((f"/spec/targets/{i}", t) for i, t in several),
    ]
    for pointer, target in places:
        if isinstance(target, str) and target and not is_url(target):
            reason = _why_missing(target, folder)
            if reason:
                yield Complaint(MISSING_TARGET, pointer, f"{target}: {reason}")


def _why_missing(target: str, folder: Folder) -> str:
    path = folder.find(target)
    if path is None:
        return "it is not in the same repository"
    if not has_magic(target):
        with suppress(OSError, ValueError):  # a name too long, or with a NUL
            return "" if path.is_file() else "there is no such file"
        return "there is no such file"
    try:
        FileReader().read(str(path))
    except NotFoundError:
        return "no file matches"
    except CallboardError as error:
        return str(error)
    return ""


def _is_top(folder: Path) -> bool:
    return any((folder / mark).exists() for mark in _REPOSITORY_MARKS)
