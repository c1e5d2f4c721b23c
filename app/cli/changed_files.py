"""The files of a git working tree that differ from a branch, as they are to be previewed.

Only what lies in the tree itself is read: a link that leads out of it is nobody's to show.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from app.cli.catalog_files import NAMES, FileSearch
from app.errors import InputError
from app.scm.files import read_regular

# Larger files, and such that are no text, are no catalog files and nothing that one quotes.
MAX_BYTES = 1024 * 1024
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class WorkingTree:
    """A working tree, and the URL below which the server knows its files."""

    root: Path
    url_prefix: str

    def given(self, path: Path, *, is_optional: bool = False) -> dict[str, Any] | None:
        """Write one file as the server wants it; None if there is nothing to be sent."""
        inside = path.absolute().relative_to(self.root)
        content = self._content(path) if path.exists() or path.is_symlink() else None
        if content is None and path.exists():
            return None
        how = "ignore" if is_optional or content is None else "register"
        return {"location": self.location(inside), "content": content, "ifUnknown": how}

    def location(self, inside: Path) -> str:
        """Write the location ref of a file of the tree."""
        prefix = self.url_prefix if self.url_prefix.endswith("/") else f"{self.url_prefix}/"
        return f"url:{prefix}{quote(inside.as_posix())}"

    def changed(self, base: str, search: FileSearch) -> Iterator[dict[str, Any]]:
        """Yield the files that differ from where the branch `base` was left, new ones included."""
        start = git(self.root, "merge-base", base, "HEAD").strip()
        listed = git(self.root, "diff", "--name-only", "--no-renames", "-z", start, "--")
        fresh = git(self.root, "ls-files", "--others", "--exclude-standard", "-z", "--full-name")
        for name in dict.fromkeys(_names(listed, fresh)):
            path = self.root / name
            found = self.given(path, is_optional=not _is_catalog_file(path, search))
            if found is not None:
                yield found

    def _content(self, path: Path) -> str | None:
        if path.is_symlink() or not path.resolve().is_relative_to(self.root.resolve()):
            return None
        try:
            return read_regular(path, MAX_BYTES).decode()
        except (OSError, InputError, UnicodeDecodeError):
            return None


def open_tree(url_prefix: str) -> WorkingTree:
    """Find the working tree around the current folder; raises `InputError` outside of one."""
    return WorkingTree(Path(git(Path.cwd(), "rev-parse", "--show-toplevel").strip()), url_prefix)


def git(folder: Path, *arguments: str) -> str:
    """Run git and answer what it prints; raises `InputError` with what it complains about."""
    command: Sequence[str] = ("git", "-C", str(folder), *arguments)
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are ours, and no shell reads them
            command, capture_output=True, check=False, timeout=_SECONDS
        )
    except FileNotFoundError:
        raise InputError("git is needed for this, and is not there") from None
    except subprocess.TimeoutExpired:
        raise InputError(f"git {arguments[0]} takes longer than {_SECONDS} seconds") from None
    if done.returncode:
        complaint = done.stderr.decode("utf-8", "replace").strip() or "it failed"
        raise InputError(f"git {arguments[0]}: {complaint}")
    return done.stdout.decode("utf-8", "surrogateescape")


def _names(*lists: str) -> Iterable[str]:
    return (name for text in lists for name in text.split("\0") if name)


def _is_catalog_file(path: Path, search: FileSearch) -> bool:
    """Tell whether a file would be taken for a catalog file if it were found in a folder."""
    if path.name in NAMES:
        return True
    if path.suffix not in {".yaml", ".yml"} or path.is_symlink() or not path.is_file():
        return False
    return search.holds_entities(path)
