"""Reading `url` locations that lie in a git repository the configuration names.

Such a location is the URL of the repository's files (`<remote>/blob/<branch>/`, or what is
configured) and the path of the file. It is answered from the repository itself, never from the web
server that may be behind that URL, and so are relative targets and placeholders of such files.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from ada_url import URL

from app.errors import InputError, NotFoundError
from app.ports import Content, Reading
from app.scm.addresses import is_url, parse_url, resolve_url
from app.scm.git import GitRepository
from app.scm.git_trees import BlobEntry
from app.scm.globs import compile_glob, has_magic
from app.scm.reading import UnreadableError


@dataclass(frozen=True, slots=True)
class GitMount:
    """A repository, and the URLs that name its files.

    Below `base` comes the path of the file; or first the branch, if which one it is has to be
    asked.
    """

    repository: GitRepository
    base: str
    names_branch: bool

    @classmethod
    def of(cls, repository: GitRepository, branch: str = "", web_url: str = "") -> GitMount:
        """Place a repository under `web_url`, or under `…/blob/<branch>/` of its remote."""
        below = f"blob/{quote(branch)}/" if branch else "blob/"
        base = web_url or f"{repository.remote.web}/{below}"
        url = parse_url(base if base.endswith("/") else f"{base}/")
        if url.search or url.hash or url.username or url.password:
            raise InputError(f"{base} has to be a plain URL, to which paths can be added")
        return cls(repository, url.href, not (branch or web_url))

    def root(self, branch: str) -> str:
        """Write the URL of the repository's top directory, with a slash at its end."""
        return f"{self.base}{quote(branch)}/" if self.names_branch else self.base

    def location(self, branch: str, path: str) -> str:
        """Write the URL of a file."""
        return self.root(branch) + quote(path)

    def covers(self, url: URL) -> bool:
        """Tell whether `url` lies below it."""
        return url.href.startswith(self.base)

    def split(self, url: URL) -> tuple[str, str]:
        """Take the URL of a file apart: the root it starts with, and the path from there."""
        root = self.base
        path = unquote(_plain(url)[len(self.base) :])
        if self.names_branch:
            branch = self.repository.head().branch
            if not path.startswith(f"{branch}/"):
                raise NotFoundError(f"could not read {url.href}, only {branch} is read")
            root, path = self.root(branch), path[len(branch) + 1 :]
        if any(part in {"", ".", ".."} for part in path.split("/")):
            raise NotFoundError(f"could not read {url.href}, it names no file")
        return root, path


@dataclass(frozen=True, slots=True)
class GitUrls:
    """A source of `url` locations: all mounted repositories."""

    mounts: list[GitMount] = field(default_factory=list)

    def mount(self, mount: GitMount) -> None:
        """Read the URLs below `mount` from its repository from now on; longer ones go first."""
        if mount not in self.mounts:
            self.mounts.append(mount)
            self.mounts.sort(key=lambda known: -len(known.base))

    def serves(self, url: URL) -> bool:
        """Tell whether `url` lies in a mounted repository."""
        return self._find(url) is not None

    def search(self, url: str, fingerprint: str = "") -> Reading | None:
        """Read the file at `url`, or every file that the pattern in its path matches."""
        address = parse_url(url)
        mount = self._mount(address)
        root, pattern = mount.split(address)
        # A name such as `[id].yaml` looks like a pattern, but is first of all a name.
        if not has_magic(pattern) or mount.repository.find_one(pattern):
            return self.fetch(url, fingerprint)
        _, found = mount.repository.find([compile_glob(pattern)])
        if not found:
            raise NotFoundError(f"could not read {url}, nothing matches")
        urls = [root + quote(file.path) for file in found]
        return self._read(mount, dict(zip(urls, found, strict=True)), fingerprint)

    def fetch(self, url: str, fingerprint: str = "") -> Reading | None:
        """Read the file at `url`; None if it is still what `fingerprint` stands for."""
        address = parse_url(url)
        mount = self._mount(address)
        _, path = mount.split(address)
        found = mount.repository.find_one(path)
        if found is None:
            raise NotFoundError(f"could not read {url}, there is no such file")
        return self._read(mount, {url: found}, fingerprint)

    def resolve(self, target: str, base: str) -> str:
        """Make `target` absolute; a leading slash stands for the top of the repository."""
        if is_url(target) or not target.startswith("/"):
            return resolve_url(target, base)
        address = parse_url(base)
        root, _ = self._mount(address).split(address)
        return parse_url(quote(target.lstrip("/"), safe="/%"), root).href + address.search

    def repository(self, url: str) -> str | None:
        """Name the repository that `url` lies in."""
        mount = self._find(parse_url(url))
        return mount.repository.remote.url if mount else None

    def _find(self, url: URL) -> GitMount | None:
        return next((mount for mount in self.mounts if mount.covers(url)), None)

    def _mount(self, url: URL) -> GitMount:
        mount = self._find(url)
        if mount is None:
            raise NotFoundError(f"could not read {url.href}, no repository is there")
        return mount

    def _read(
        self, mount: GitMount, files: dict[str, BlobEntry], fingerprint: str
    ) -> Reading | None:
        signs = fingerprint_of({url: file.blob for url, file in files.items()})
        if signs == fingerprint:
            return None
        contents = list[Content]()
        read = mount.repository.read(list(files.values()))
        # What it was when the files were found, or a moment later; nobody is asked again.
        commit = mount.repository.head(fresh_for=math.inf).commit
        for url, file in zip(files, read, strict=True):
            if file.problem:
                raise UnreadableError("git", f"Unable to read {url}, Error: {file.problem}")
            contents.append(Content(f"url:{url}", file.data, commit))
        return Reading(tuple(contents), signs)


def fingerprint_of(blobs: Mapping[str, str]) -> str:
    """Make the fingerprint of files from their URLs and the ids of their contents."""
    known = "\0".join(f"{url}\0{blob}" for url, blob in blobs.items())
    return hashlib.sha256(known.encode()).hexdigest()


def _plain(url: URL) -> str:
    """Write a URL without its query and fragment."""
    return url.href.removesuffix(url.hash).removesuffix(url.search)
