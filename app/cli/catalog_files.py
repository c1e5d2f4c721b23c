"""Which files a path on the command line stands for.

A file stands for itself, whatever it is called. A folder stands for the catalog files in it, at any
depth: those called `catalog-info.yaml` or `catalog-info.yml`, and other YAML files that say at the
beginning of a line that they are of an apiVersion the catalog knows. Or for what a pattern matches.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.errors import InputError, NotFoundError
from app.model.kinds import KindRegistry
from app.scm.files import read_regular
from app.scm.globs import Glob, compile_glob

NAMES = frozenset({"catalog-info.yaml", "catalog-info.yml"})
_ENDINGS = (".yaml", ".yml")
# Folders that hold copies of other people's files.
_FOREIGN = frozenset(
    {".git", ".hg", ".svn", ".tox", ".venv", "__pycache__", "node_modules", "venv"}
)


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file: as it is shown, where it is, and its content or the reason why there is none."""

    name: str
    path: Path
    data: bytes = b""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class FileSearch:
    """How folders are searched: for files that match `pattern`, or else for catalog files.

    What matches one of `excluded` is left out; patterns are over paths relative to the folder.
    """

    pattern: str = ""
    excluded: tuple[str, ...] = ()
    groups: frozenset[str] = frozenset()
    max_bytes: int = 10 * 1024 * 1024

    def find(self, paths: Iterable[Path]) -> Iterator[FoundFile]:
        """Yield the files that `paths` stand for, each once, those of a folder in order.

        Raises `NotFoundError` if one does not exist.
        """
        seen = set[Path]()
        for path in paths:
            for found in self._below(path) if path.is_dir() else [self._given(path)]:
                if found.path not in seen:
                    seen.add(found.path)
                    yield found

    def holds_entities(self, path: Path) -> bool:
        """Tell whether a file says that it holds entities of an API group that is known."""
        found = self._read(path)
        return not found.problem and self._mark().search(found.data) is not None

    def _given(self, path: Path) -> FoundFile:
        if not path.exists():
            raise NotFoundError(f"{path}: there is no such file or folder")
        return self._read(path)

    def _below(self, folder: Path) -> Iterator[FoundFile]:
        mark = self._mark()
        wanted = (
            compile_glob(self.pattern.removeprefix("./"), dotfiles=True) if self.pattern else None
        )
        for path in self._files(folder, wanted):
            found = self._read(path)
            is_plain = wanted is None and path.name not in NAMES
            if not is_plain or found.problem or mark.search(found.data):
                yield found

    def _files(self, folder: Path, wanted: Glob | None) -> Iterator[Path]:
        excluded = [compile_glob(p.removeprefix("./"), dotfiles=True) for p in self.excluded]
        for top, folders, names in os.walk(folder):
            base = Path(top).relative_to(folder)
            folders[:] = sorted(
                name
                for name in folders
                if name not in _FOREIGN and not _matches(excluded, base / name)
            )
            for name in sorted(names):
                is_wanted = (
                    name.endswith(_ENDINGS) if wanted is None else _matches([wanted], base / name)
                )
                if is_wanted and not _matches(excluded, base / name):
                    yield Path(top) / name

    def _read(self, path: Path) -> FoundFile:
        absolute = path.absolute()
        name = _shown(absolute)
        try:
            return FoundFile(name, absolute, read_regular(path, self.max_bytes))
        except OSError as error:
            return FoundFile(name, absolute, problem=(error.strerror or str(error)).lower())
        except InputError as error:
            return FoundFile(name, absolute, problem=str(error))

    def _mark(self) -> re.Pattern[bytes]:
        """Match a line that begins an entity of an API group that is known."""
        groups = "|".join(map(re.escape, sorted(self.groups)))
        return re.compile(
            rf"""^["']?apiVersion["']?\s*:\s*["']?(?:{groups})/""".encode(), re.MULTILINE
        )


def api_groups(kinds: KindRegistry) -> frozenset[str]:
    """Answer what stands before the slash in the apiVersions of these kinds."""
    versions = (version for kind in kinds.kinds for version in kind.api_versions)
    return frozenset(version.partition("/")[0] for version in versions)


def _matches(globs: Sequence[Glob], path: Path) -> bool:
    return any(glob.matches(path.as_posix()) for glob in globs)


def _shown(path: Path) -> str:
    """Write a path relative to the working folder if it lies there."""
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)
