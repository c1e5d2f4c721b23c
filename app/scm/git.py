"""Plain git repositories: finding and reading the files of the newest commit of one branch.

Processes share the caches through one lock per repository. A cache may be deleted at any time, and
one that turns out to be broken is fetched anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from dulwich.errors import (
    ApplyDeltaError,
    ChecksumMismatch,
    FileFormatException,
    NotGitRepository,
    ObjectMissing,
    RefFormatError,
)
from dulwich.object_store import DiskObjectStore
from dulwich.refs import SymrefLoop
from filelock import FileLock, Timeout
from urllib3 import PoolManager

from app.errors import InputError
from app.scm.git_cache import Cache, GitLimits, GitObjects, Head, InPlace
from app.scm.git_packs import UnfitPackError
from app.scm.git_remote import GitRemote
from app.scm.git_transport import TransferError
from app.scm.git_trees import BlobEntry, CommitTree, find_blob, find_blobs, read_blob
from app.scm.globs import Glob
from app.scm.reading import ReadingLimits, UnreadableError

T = TypeVar("T")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_BROKEN = (
    ApplyDeltaError,
    AssertionError,
    ChecksumMismatch,
    FileFormatException,
    LookupError,
    NotGitRepository,
    ObjectMissing,
    TypeError,
    ValueError,
    zlib.error,
)
"""What dulwich raises when it reads objects that are damaged."""
_FAILURES = (
    *_BROKEN,
    OSError,
    RefFormatError,
    SymrefLoop,
    Timeout,
    TransferError,
    UnfitPackError,
)


@dataclass(frozen=True, slots=True)
class GitFile:
    """A file and its content, or the reason why that was not read."""

    path: str
    blob: str
    data: bytes = b""
    problem: str = ""


@dataclass(slots=True)
class GitRepository:
    """One branch of one remote. Every method may raise `UnreadableError`."""

    remote: GitRemote
    objects: GitObjects
    lock: Path
    limits: GitLimits = field(default_factory=GitLimits)
    reading: ReadingLimits = field(default_factory=ReadingLimits)
    _head: Head = field(default_factory=lambda: Head(""))
    _asked_at: float = float("-inf")

    def head(self, *, fresh_for: float | None = None) -> Head:
        """Ask the remote for its newest commit, and fetch it if it is another one than before."""
        with self._alone():
            return self._newest(self.limits.fresh_for if fresh_for is None else fresh_for)

    def find(self, globs: Sequence[Glob]) -> tuple[Head, list[BlobEntry]]:
        """Find the files that match one of `globs`, without reading them."""
        with self._alone():
            head = self._newest(self.limits.fresh_for)
            if not head.commit:
                return head, []
            return head, self._using(
                lambda store: find_blobs(CommitTree(store, head.commit), globs, self.reading)
            )

    def find_one(self, path: str) -> BlobEntry | None:
        """Find a file by its path."""
        with self._alone():
            head = self._newest(self.limits.fresh_for)
            if not head.commit:
                return None
            return self._using(lambda store: find_blob(CommitTree(store, head.commit), path))

    def read(self, files: Sequence[BlobEntry]) -> list[GitFile]:
        """Read contents that were found before; what is too large is returned as a problem."""
        with self._alone():
            return self._using(lambda store: self._read(store, files))

    def _read(self, store: DiskObjectStore, files: Sequence[BlobEntry]) -> list[GitFile]:
        self.objects.complete(store, {file.blob for file in files})
        read, total, allowed = list[GitFile](), 0, self.reading.max_bytes
        for path, blob in files:
            data = read_blob(store, blob)
            if len(data) > allowed:
                reason = f"it has {len(data)} bytes, more than the {allowed} allowed"
                read.append(GitFile(path, blob, problem=reason))
                continue
            read.append(GitFile(path, blob, data))
            total += len(data)
            if total > self.reading.max_total_bytes:
                raise InputError(f"its files have more than {self.reading.max_total_bytes} bytes")
        return read

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the repository alone, and turn whatever goes wrong into an error that says where."""
        try:
            self.lock.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.lock, timeout=self.limits.timeout):
                yield
        except InputError as error:
            raise self._failed(str(error)) from error
        except _FAILURES as error:
            raise self._failed(_in_words(error)) from error

    def _failed(self, reason: str) -> UnreadableError:
        text = _CONTROL.sub(" ", self.remote.redacted(reason)).strip()[:2000]
        return UnreadableError("git", f"Unable to read {self.remote}, Error: {text}")

    def _newest(self, fresh_for: float) -> Head:
        asked_at = time.monotonic()
        if asked_at - self._asked_at >= fresh_for:
            self._head = self._again_if_broken(self.objects.newest)
            self._asked_at = asked_at
        return self._head

    def _using(self, use: Callable[[DiskObjectStore], T]) -> T:
        def attempt() -> T:
            with contextlib.closing(self.objects.open()) as repo:
                return use(repo.object_store)

        return self._again_if_broken(attempt)

    def _again_if_broken(self, attempt: Callable[[], T]) -> T:
        """Try a second time with a new cache if the first one trips over what is in there."""
        try:
            return attempt()
        except _BROKEN:
            if not self.objects.discard():
                raise
        self._head = self.objects.newest()
        return attempt()


@dataclass(frozen=True, slots=True)
class GitRepositories:
    """The repositories that somebody reads: one object for each, and where they are cached."""

    directory: Path
    pool: PoolManager
    limits: GitLimits = field(default_factory=GitLimits)
    reading: ReadingLimits = field(default_factory=ReadingLimits)
    stop: threading.Event = field(default_factory=threading.Event)
    _known: dict[tuple[GitRemote, str], GitRepository] = field(default_factory=dict)

    def open(self, remote: GitRemote, branch: str = "") -> GitRepository:
        """Answer the repository of a remote's branch, by default the one of its `HEAD`."""
        key = (remote, branch)
        if key not in self._known:
            name = hashlib.sha256(f"{remote}\0{branch}".encode()).hexdigest()[:32]
            directory, lock = self.directory / name, self.directory / f"{name}.lock"
            objects: GitObjects = (
                InPlace(remote, branch)
                if remote.scheme == "file"
                else Cache(remote, branch, directory, self.pool, self.stop, self.limits)
            )
            self._known[key] = GitRepository(remote, objects, lock, self.limits, self.reading)
        return self._known[key]

    def cancel(self) -> None:
        """End all transfers, now and for ever."""
        self.stop.set()


def _in_words(error: BaseException) -> str:
    match error:
        case Timeout():
            return "another process has been reading it for too long"
        case NotGitRepository():
            return "there is no git repository"
        case UnfitPackError():
            return f"what it sent cannot be used, {error}"
        case LookupError() | ObjectMissing():
            return "it does not hold all that its newest commit needs"
    return str(error) or type(error).__name__
