"""Which files of a folder have to be named for all of them to be read.

A Location in the folder reads what it names. To name those files once more would read them twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from app.cli.catalog_files import FoundFile
from app.errors import InputError
from app.model import documents
from app.model.entity import Entity
from app.scm.files import FileReader
from app.scm.globs import compile_glob, has_magic


def roots(files: Sequence[FoundFile]) -> list[FoundFile]:
    """Answer the files from which all the others are reached, in their order."""
    known = {str(file.path): file for file in files}
    named = {path: _named_by(file, known) for path, file in known.items()}
    inner = {target for path, targets in named.items() for target in targets if target != path}
    chosen, reached = list[str](), set[str]()
    # Locations that name each other in a circle have no beginning; the first of them becomes one.
    for path in (*(p for p in known if p not in inner), *known):
        if path not in reached:
            chosen.append(path)
            _reach(path, named, reached)
    return [file for path, file in known.items() if path in set(chosen)]


def _reach(path: str, named: Mapping[str, set[str]], reached: set[str]) -> None:
    waiting = [path]
    while waiting:
        here = waiting.pop()
        if here not in reached:
            reached.add(here)
            waiting += named[here]


def _named_by(file: FoundFile, known: Mapping[str, FoundFile]) -> set[str]:
    found = set[str]()
    for target in _targets(file) if b"Location" in file.data else ():
        path = os.path.abspath(target)  # noqa: PTH100 - as the reader does, without following links
        if path in known:
            found.add(path)
        elif has_magic(path):
            with suppress(InputError):  # reading it will say what is wrong with it
                glob = compile_glob(path.lstrip("/"))
                found |= {other for other in known if glob.matches(other.lstrip("/"))}
    return found


def _targets(file: FoundFile) -> Iterator[str]:
    for item in documents.iterate(file.data, "file"):
        data = item.data if isinstance(item, Entity) else {}
        spec = data.get("spec") if data.get("kind") == "Location" else None
        if not isinstance(spec, Mapping) or spec.get("type") not in (None, "file"):
            continue
        several = spec.get("targets")
        for target in (spec.get("target"), *(several if isinstance(several, list) else ())):
            if isinstance(target, str) and target:
                yield from _absolute(target, file.path)


def _absolute(target: str, path: Path) -> Iterator[str]:
    try:
        yield FileReader().resolve(target, str(path))
    except InputError:
        return  # reading it will say what is wrong with it
