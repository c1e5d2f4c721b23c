"""Where the objects of a git repository are: in a bare cache of ours, or in place.

A remote is asked for its branch first, and nothing is fetched while that is the same commit. What
is new comes as one shallow commit with its trees; the contents of files follow when they are read,
unless the server cannot leave them out. A repository on this machine is read where it is.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from dulwich.client import FetchPackResult
from dulwich.object_store import DiskObjectStore, GraphWalker
from dulwich.objects import ObjectID
from dulwich.refs import HEADREF, Ref
from dulwich.repo import Repo
from urllib3 import PoolManager

from app.scm.git_packs import check_pack
from app.scm.git_remote import GitRemote
from app.scm.git_transport import TransferError, Watch, open_client

_MIB = 1024 * 1024
_CURRENT = Ref(b"refs/heads/current")
_HEADS = b"refs/heads/"
_WITHOUT_CONTENTS = b"blob:none"


@dataclass(frozen=True, slots=True)
class GitLimits:
    """How much one exchange with a git server may cost."""

    timeout: float = 300.0
    max_transfer_bytes: int = 512 * _MIB
    max_object_bytes: int = 64 * _MIB
    max_packs: int = 100
    """A cache of more packs is thrown away and fetched anew."""
    fresh_for: float = 1.0
    """Within so many seconds a reading does not ask the remote again."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest commit of a branch; no commit in a repository that is empty."""

    branch: str
    commit: str = ""


class GitObjects(Protocol):
    """The objects of one branch."""

    def newest(self) -> Head:
        """Learn the newest commit, and see to it that its trees are there."""

    def open(self) -> Repo:
        """Open the repository that holds the objects; the caller closes it."""

    def complete(self, store: DiskObjectStore, blobs: set[str]) -> None:
        """See to it that `store` holds the contents of files."""

    def discard(self) -> bool:
        """Give up a cache that turned out to be broken; False if it is none of ours."""


@dataclass(frozen=True, slots=True)
class InPlace:
    """A repository on this machine, bare or not."""

    remote: GitRemote
    branch: str

    def newest(self) -> Head:
        """Look at its references."""
        with contextlib.closing(self.open()) as repo:
            target = (repo.refs.follow(HEADREF)[0] or [HEADREF])[-1]
            return choose_head(self.branch, repo.refs.as_dict(), {HEADREF: target})

    def open(self) -> Repo:
        """Open it where it is."""
        return Repo(self.remote.path)

    def complete(self, store: DiskObjectStore, blobs: set[str]) -> None:
        """Do nothing: what is not there is nowhere else."""

    def discard(self) -> bool:
        """Leave it alone."""
        return False


@dataclass(frozen=True, slots=True)
class Cache:
    """The newest commit of a remote, in a bare repository at `directory`."""

    remote: GitRemote
    branch: str
    directory: Path
    pool: PoolManager
    stop: threading.Event
    limits: GitLimits

    def newest(self) -> Head:
        """Ask the remote, and fetch its newest commit unless the cache holds it."""
        with contextlib.closing(self.open()) as repo:
            has_many_packs = len(list(repo.object_store.packs)) > self.limits.max_packs
        if has_many_packs:
            self.discard()
        with contextlib.closing(self.open()) as repo:
            known = repo.refs.as_dict().get(_CURRENT)
            if known is not None and known not in repo.object_store:
                known = None

            def wants(refs: Mapping[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:
                del depth
                commit = choose_head(self.branch, refs, {}).commit.encode()
                return [ObjectID(commit)] if commit and commit != known else []

            walker = _Known(known, repo.get_shallow())
            result = self._exchange(repo.object_store, wants, walker, depth=1)
            refs = {name: sha for name, sha in result.refs.items() if sha}
            head = choose_head(self.branch, refs, result.symrefs)
            if head.commit and head.commit.encode() != known:
                repo.update_shallow(result.new_shallow, result.new_unshallow)
                repo.refs[_CURRENT] = ObjectID(head.commit.encode())
            return head

    def open(self) -> Repo:
        """Open the cache; make an empty one if there is none."""
        if not self.directory.exists():
            new = self.directory.with_suffix(".new")
            shutil.rmtree(new, ignore_errors=True)
            Repo.init_bare(new, mkdir=True).close()
            new.rename(self.directory)
        return Repo(str(self.directory))

    def complete(self, store: DiskObjectStore, blobs: set[str]) -> None:
        """Fetch contents that were left out."""
        missing = [
            blob for blob in map(ObjectID, map(str.encode, sorted(blobs))) if blob not in store
        ]

        def wants(refs: Mapping[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:
            del refs, depth
            return missing

        if missing:
            self._exchange(store, wants, _Known(None, set()), depth=None)

    def discard(self) -> bool:
        """Delete the cache."""
        shutil.rmtree(self.directory)
        return True

    def _exchange(
        self, store: DiskObjectStore, wants: _Wants, walker: GraphWalker, depth: int | None
    ) -> FetchPackResult:
        """Ask the server for objects, look through what it sends, and put that into the store."""
        watch = Watch(self.limits.timeout, self.limits.max_transfer_bytes, self.stop)
        with tempfile.TemporaryFile(dir=self.directory) as file:
            result = self._receive(file, wants, walker, depth, watch)
            if file.seek(0, 2):
                check_pack(file, self.limits.max_object_bytes, watch.check)
                file.seek(0)
                store.add_thin_pack(file.read, None).close()
        return result

    def _receive(
        self, file: BinaryIO, wants: _Wants, walker: GraphWalker, depth: int | None, watch: Watch
    ) -> FetchPackResult:
        prefixes = [_HEADS + self.branch.encode()] if self.branch else [bytes(HEADREF), _HEADS]
        with open_client(self.remote, self.pool, watch) as (client, path):
            result = client.fetch_pack(
                path,
                wants,
                walker,
                file.write,
                depth=depth,
                ref_prefix=prefixes,
                filter_spec=_WITHOUT_CONTENTS if depth else None,
            )
        if (result.object_format or "sha1") != "sha1":
            raise TransferError(f"it uses {result.object_format} ids, which are not supported")
        return result


def choose_head(branch: str, refs: Mapping[Ref, ObjectID], symrefs: Mapping[Ref, Ref]) -> Head:
    """Pick the configured branch, or the one the remote's `HEAD` stands for."""
    if branch:
        commit = refs.get(Ref(_HEADS + branch.encode()))
        if commit is None:
            raise TransferError(f"it has no branch {branch}")
        return Head(branch, commit.decode("ascii"))
    commit = refs.get(HEADREF)
    if commit is None:
        return Head("")
    name: bytes = symrefs.get(HEADREF, HEADREF)
    if not name.startswith(_HEADS):
        same = sorted(ref for ref, sha in refs.items() if sha == commit and ref.startswith(_HEADS))
        usual = [ref for ref in (_HEADS + b"main", _HEADS + b"master") if ref in same]
        name = (usual or same or [HEADREF])[0]
    return Head(name.removeprefix(_HEADS).decode("utf-8", "replace"), commit.decode("ascii"))


class _Wants(Protocol):
    def __call__(
        self, refs: Mapping[Ref, ObjectID], depth: int | None = None
    ) -> list[ObjectID]: ...


@dataclass(slots=True)
class _Known:
    """A graph walker that offers one commit, or nothing, and never looks into the cache."""

    offer: ObjectID | None
    shallow: set[ObjectID]

    def __next__(self) -> ObjectID | None:
        offer, self.offer = self.offer, None
        return offer

    def ack(self, sha: ObjectID) -> None:
        """Take no notice."""

    def nak(self) -> None:
        """Take no notice."""
