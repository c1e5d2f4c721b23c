"""Reading `file` locations: a path, or a pattern over paths, on this machine.

Nothing but regular files is ever read, and nothing is read again while the cheap signs of the files
(names, sizes, times, inodes) stay the same.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from app.errors import InputError, NotFoundError
from app.ports import Content, Reading
from app.scm.globs import Entry, compile_glob, has_magic, walk
from app.scm.reading import ReadingLimits, UnreadableError

RACY_NS = 2_000_000_000
"""A file that changed less than this before it was read may change again under the same time."""
_GONE = {errno.ENOENT, errno.ENOTDIR}


@dataclass(frozen=True, slots=True)
class FileReader:
    """The `LocationReader` of type `file`; relative targets start at `root`."""

    root: Path = field(default_factory=Path.cwd)
    limits: ReadingLimits = field(default_factory=ReadingLimits)

    def read(self, target: str, fingerprint: str = "") -> Reading | None:
        """Read a path, or every regular file that a pattern matches, in the order of their names.

        Symbolic links are followed. What a pattern matches beside files is left out; a plain path
        to something else is an error.
        """
        try:
            return self._read(target, fingerprint)
        except OSError as error:
            raise UnreadableError(
                "file", _readable(f"file {target} could not be read, {_in_words(error)}")
            ) from error
        except (InputError, ValueError) as error:
            raise UnreadableError(
                "file", _readable(f"file {target} could not be read, Error: {error}")
            ) from error

    def resolve(self, target: str, base: str) -> str:
        """Join targets that start with a dot to the directory of `base`; leave the others."""
        if target.endswith("/"):
            raise InputError(
                f"LocationEntityProcessor cannot handle file type location with target {base} "
                "that ends with a path separator"
            )
        if not target.startswith("."):
            return target
        return os.path.normpath(os.path.join(os.path.dirname(base), target))  # noqa: PTH118, PTH120

    def same_repository(self, target: str, base: str) -> bool:  # noqa: ARG002 - no file may
        """Answer no: a placeholder that reads from this machine would be a way into it."""
        return False

    def _read(self, target: str, fingerprint: str) -> Reading | None:
        paths = self._paths(target)
        if not paths:
            raise NotFoundError(f"file {target} does not exist")
        signs, newest = self._signs(paths)
        is_racy = newest > time.time_ns() - RACY_NS
        known_signs, _, known_hash = fingerprint.partition(" ")
        if signs == known_signs and not known_hash:
            return None
        contents = tuple(self._contents(paths))
        if not is_racy:
            return Reading(contents, signs)
        fresh = hashlib.sha256(b"".join(hashlib.sha256(c.data).digest() for c in contents))
        current = f"{signs} {fresh.hexdigest()}"
        return None if current == fingerprint else Reading(contents, current)

    def _paths(self, target: str) -> list[str]:
        """List what `target` stands for, as paths that are relative to `root` or absolute."""
        if not has_magic(target):
            try:
                (self.root / target).stat()
            except OSError as error:
                if error.errno in _GONE:
                    return []
                raise
            return [os.path.normpath(target)]
        top = "/" if target.startswith("/") else ""
        glob = compile_glob(target.lstrip("/") if top else target)
        tree = _Directories(str(self.root / top))
        found = {
            os.path.normpath(top + path)
            for path in walk(glob, tree, max_entries=self.limits.max_entries)
        }
        if len(found) > self.limits.max_files:
            raise InputError(
                f"it matches {len(found)} files, more than the {self.limits.max_files} allowed"
            )
        return sorted(found)

    def _signs(self, paths: list[str]) -> tuple[str, int]:
        """Hash what can be known of the files without reading them; answer the newest time too."""
        digest, newest, total = hashlib.sha256(), 0, 0
        for path in paths:
            found = (self.root / path).stat()
            total += found.st_size if stat.S_ISREG(found.st_mode) else 0
            newest = max(newest, found.st_mtime_ns, found.st_ctime_ns)
            signs = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
            digest.update(f"{path}\0{signs}\0".encode("utf-8", "surrogateescape"))
        if total > self.limits.max_total_bytes:
            raise InputError(
                f"it holds {total} bytes, more than the {self.limits.max_total_bytes} allowed"
            )
        return digest.hexdigest(), newest

    def _contents(self, paths: list[str]) -> Iterator[Content]:
        for path in paths:
            data = read_regular(self.root / path, self.limits.max_bytes)
            yield Content(f"file:{_readable(path)}", data)


@dataclass(frozen=True, slots=True)
class _Directories:
    """The file system below `top`, for `walk`. What may not be listed is an error, not empty."""

    top: str

    def entries(self, path: str) -> Iterator[Entry]:
        try:
            with os.scandir(os.path.join(self.top, path)) as found:  # noqa: PTH118
                for entry in found:
                    kind = self._kind(entry.path, entry.name, is_link=entry.is_symlink())
                    if kind is not None:
                        yield kind
        except OSError as error:
            if error.errno not in _GONE:
                raise

    def entry(self, path: str, name: str) -> Entry | None:
        full = os.path.join(self.top, path, name)  # noqa: PTH118
        return self._kind(full, name, is_link=os.path.islink(full))  # noqa: PTH114

    def _kind(self, path: str, name: str, *, is_link: bool) -> Entry | None:
        """Tell files from directories; anything else, and links to nowhere, does not exist."""
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116
        except OSError as error:
            if error.errno in _GONE or (error.errno == errno.ELOOP and is_link):
                return None
            raise
        if stat.S_ISDIR(mode):
            return Entry(name, is_directory=True, is_link=is_link)
        return Entry(name, is_directory=False) if stat.S_ISREG(mode) else None


def read_regular(path: Path, max_bytes: int) -> bytes:
    """Read a regular file of bounded size; a pipe or a device neither blocks nor is read."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - it is open already
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{path} is not a regular file")
        parts, left = list[bytes](), max_bytes + 1
        while left > 0 and (part := file.read(min(left, 1 << 20))):
            parts.append(part)
            left -= len(part)
    if left <= 0:
        raise InputError(f"{path} has more than the {max_bytes} bytes allowed")
    return b"".join(parts)


def _readable(text: str) -> str:
    """Write text with names that are not UTF-8 so that it can be sent and stored."""
    return text.encode("utf-8", "replace").decode()


def _in_words(error: OSError) -> str:
    """Write an error of the system as Node.js does: `Error: EACCES: permission denied, open …`."""
    code = errno.errorcode.get(error.errno or 0, "EIO")
    return f"Error: {code}: {(error.strerror or '').lower()}, open '{error.filename}'"
