"""The files of one commit, read from an object store and never checked out.

So a hostile repository has nothing to act on: links and submodules are passed over, and names that
no honest tree holds do not exist.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dulwich.object_store import BaseObjectStore
from dulwich.objects import Blob, Commit, ObjectID, Tree

from app.errors import InputError
from app.scm.globs import Entry, Glob, walk
from app.scm.reading import ReadingLimits

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class BlobEntry(NamedTuple):
    """A file of a tree: its path from the top, and the id of its content."""

    path: str
    blob: str


@dataclass(frozen=True, slots=True)
class CommitTree:
    """Looks up names in the tree of a commit, for `walk`."""

    store: BaseObjectStore
    commit: str
    blobs: dict[str, str] = field(default_factory=dict)
    """The content ids of the files that were passed on the way, by path."""
    _trees: dict[str, ObjectID] = field(default_factory=dict)

    def entries(self, path: str) -> Iterator[Entry]:
        """List the plain files and directories below `path`."""
        tree = self._tree(path)
        for raw, mode, sha in tree.iteritems() if tree else ():
            name = _plausible_name(raw)
            if name is None:
                continue
            below = f"{path}/{name}" if path else name
            if stat.S_ISDIR(mode):
                self._trees[below] = sha
                yield Entry(name, is_directory=True)
            elif stat.S_ISREG(mode):
                self.blobs[below] = sha.decode("ascii")
                yield Entry(name, is_directory=False)

    def entry(self, path: str, name: str) -> Entry | None:
        """Find one name below `path`."""
        return next((entry for entry in self.entries(path) if entry.name == name), None)

    def _tree(self, path: str) -> Tree | None:
        sha = self._trees.get(path)
        if sha is None and not path:
            commit = self.store[ObjectID(self.commit.encode("ascii"))]
            sha = commit.tree if isinstance(commit, Commit) else None
        found = self.store[sha] if sha else None
        return found if isinstance(found, Tree) else None


def find_blobs(tree: CommitTree, globs: Sequence[Glob], limits: ReadingLimits) -> list[BlobEntry]:
    """Find the files that match one of `globs`, in the order of their paths."""
    paths = set[str]()
    for glob in globs:
        paths.update(walk(glob, tree, max_entries=limits.max_entries))
    if len(paths) > limits.max_files:
        raise InputError(f"{len(paths)} files match, more than the {limits.max_files} allowed")
    return [BlobEntry(path, tree.blobs[path]) for path in sorted(paths)]


def find_blob(tree: CommitTree, path: str) -> BlobEntry | None:
    """Find one file by its path from the top."""
    *directories, name = path.split("/")
    above = ""
    for directory in directories:
        entry = tree.entry(above, directory)
        if entry is None or not entry.is_directory:
            return None
        above = f"{above}/{directory}" if above else directory
    entry = tree.entry(above, name)
    if entry is None or entry.is_directory:
        return None
    return BlobEntry(path, tree.blobs[path])


def read_blob(store: BaseObjectStore, blob: str) -> bytes:
    """Read a content; raises `KeyError` if the store lacks it."""
    found = store[ObjectID(blob.encode("ascii"))]
    if not isinstance(found, Blob):
        raise InputError(f"{blob} is no content of a file")
    return found.as_raw_string()


def _plausible_name(raw: bytes) -> str | None:
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if name in {"", ".", ".."} or "/" in name or _CONTROL.search(name):
        return None
    return name
