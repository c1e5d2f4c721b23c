"""Choosing who reads a location: by its type, and for `url` by the host of its target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ada_url import URL

from app.errors import CallboardError, InputError, NotFoundError
from app.ports import LocationReader, Reading
from app.scm.addresses import is_url, parse_url, resolve_url
from app.scm.files import FileReader
from app.scm.git import GitRepositories
from app.scm.git_cache import GitLimits
from app.scm.git_urls import GitUrls
from app.scm.hosts import AllowList
from app.scm.http import open_pool
from app.scm.reading import ReadingLimits, UnreadableError
from app.scm.urls import WebReader, not_allowed

_LONGEST_MESSAGE = 5000


class UrlSource(Protocol):
    """Reads the URLs of some hosts. Errors are about the file, not yet about the location."""

    def serves(self, url: URL) -> bool:
        """Tell whether `url` is one of its own."""

    def search(self, url: str, fingerprint: str = "") -> Reading | None:
        """Read the file, or the files that a pattern in the path matches."""

    def fetch(self, url: str, fingerprint: str = "") -> Reading | None:
        """Read one file."""

    def resolve(self, target: str, base: str) -> str:
        """Make a target relative to `base`, one of its own URLs, absolute."""

    def repository(self, url: str) -> str | None:
        """Name the git repository that `url` lies in, if it lies in one."""


@dataclass(frozen=True, slots=True)
class UrlReader:
    """The `LocationReader` of type `url`: the first of `sources` that serves a URL reads it."""

    sources: Sequence[UrlSource]

    def read(self, target: str, fingerprint: str = "") -> Reading | None:
        """Read a location's target; errors are worded as those of Backstage's `url` locations."""
        try:
            return self._source(target).search(target, fingerprint)
        except NotFoundError as error:
            raise NotFoundError(
                f"Unable to read url, no matching files found for {target}"
            ) from error
        except CallboardError as error:
            raise UnreadableError(
                "url", f"Unable to read url, {error}"[:_LONGEST_MESSAGE]
            ) from error

    def read_file(self, target: str, fingerprint: str = "") -> Reading | None:
        """Read one file for a placeholder; errors are about the file alone.

        Raises `NotFoundError`, `NotAllowedError`, `InputError` or `UpstreamError`; `spoken` writes
        them as a placeholder's message wants them.
        """
        return self._source(target).fetch(target, fingerprint)

    def resolve(self, target: str, base: str) -> str:
        """Make `target` absolute; raises `InputError` ("Invalid URL") if `base` is no URL."""
        if is_url(target):
            return target
        address = parse_url(base)
        source = next((source for source in self.sources if source.serves(address)), None)
        return source.resolve(target, base) if source else resolve_url(target, base)

    def same_repository(self, target: str, base: str) -> bool:
        """Tell whether `target` lies in no repository, or in the one that `base` lies in."""
        repository = self._repository(target)
        return repository is None or repository == self._repository(base)

    def _source(self, target: str) -> UrlSource:
        address = parse_url(target)
        for source in self.sources:
            if source.serves(address):
                return source
        raise not_allowed(target)

    def _repository(self, url: str) -> str | None:
        if not is_url(url):
            return None
        address = parse_url(url)
        source = next((source for source in self.sources if source.serves(address)), None)
        return source.repository(url) if source else None


@dataclass(frozen=True, slots=True)
class Readers:
    """All that reads, and what ingestors are given."""

    file: LocationReader
    url: UrlReader
    git: GitRepositories
    git_urls: GitUrls

    def of(self, location_type: str) -> LocationReader:
        """Answer the reader of a type of location; raises `InputError` if there is none."""
        match location_type:
            case "file":
                return self.file
            case "url":
                return self.url
        raise InputError(f"Locations of type {location_type} cannot be read")


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """What the readers are to be told by the configuration."""

    data_directory: Path
    allow: Iterable[Mapping[str, Any]] = ()
    """The entries of `backend.reading.allow`."""
    proxy: str = ""
    reading: ReadingLimits = field(default_factory=ReadingLimits)
    git: GitLimits = field(default_factory=GitLimits)


def open_readers(settings: ReaderSettings, *more: UrlSource) -> Readers:
    """Join the readers; `more` are asked before plain web servers, after mounted repositories."""
    pool = open_pool(settings.reading, settings.proxy)
    git_urls = GitUrls()
    web = WebReader(AllowList.parse(settings.allow), pool, settings.reading)
    repositories = GitRepositories(
        settings.data_directory / "git", pool, settings.git, settings.reading
    )
    return Readers(
        FileReader(limits=settings.reading),
        UrlReader((git_urls, *more, web)),
        repositories,
        git_urls,
    )
