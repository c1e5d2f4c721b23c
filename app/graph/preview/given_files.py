"""Readers that answer for files as they will be, and tell what else has to be read.

The given files answer for their places, alone and among the files that a pattern matches. A place
that was read before and is not given counts as unchanged. Whatever else is asked for is answered
from what was fetched; what was not is noted, so that it can be fetched while no transaction is
open.
"""

from __future__ import annotations

import hashlib
import os.path
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ada_url import URL

from app.catalog.dry_run import Budget
from app.errors import CallboardError, InputError, NotFoundError
from app.ports import Content, LocationReader, Reading
from app.scm.addresses import is_url, parse_url, resolve_url
from app.scm.git_urls import GitUrls
from app.scm.globs import compile_glob, has_magic
from app.scm.readers import Readers, UrlReader, UrlSource
from app.scm.reading import UnreadableError

Read: TypeAlias = Callable[[], Reading | None]
Key: TypeAlias = tuple[str, str]
_UNREAD = "it was not read yet"


def place_of(location: str) -> str:
    """Write a location ref as all who mean the same place do."""
    kind, _, target = location.partition(":")
    if kind == "file":
        return f"file:{os.path.normpath(target)}"
    return f"{kind}:{parse_url(target).href}" if is_url(target) else location


def matches(pattern: str, place: str) -> bool:
    """Tell whether a place is among those that a location ref with a pattern stands for."""
    if not has_magic(pattern):
        return False
    with suppress(InputError):
        glob = compile_glob(_path(pattern))
        return glob.matches(_path(place))
    return False


def _path(location: str) -> str:
    """Write a location ref as a path, such as patterns are over."""
    return location.replace("://", "/").replace(":", "/", 1).replace("//", "/")


@dataclass(slots=True)
class GivenFiles:
    """The files by their places (None where one is deleted), and what was fetched besides.

    `known` are the places that the catalog reads already: of the files of this machine, no others
    are read.
    """

    files: Mapping[str, bytes | None]
    known: frozenset[str]
    budget: Budget
    answered: set[str] = field(default_factory=set)
    missing: dict[Key, Read] = field(default_factory=dict)
    _fetched: dict[Key, Reading | CallboardError] = field(default_factory=dict)
    _is_open: bool = False

    def among(self, location: str) -> list[str]:
        """Answer which of the given files a location ref stands for."""
        place = place_of(location)
        if place in self.files:
            return [place]
        return [given for given in self.files if matches(location, given)]

    @contextmanager
    def open(self) -> Iterator[None]:
        """Let what is not known be fetched at once: no transaction is open."""
        self._is_open = True
        try:
            yield
        finally:
            self._is_open = False

    def fetch(self) -> bool:
        """Fetch what is missing, within the budget; answer whether anything was."""
        missing, self.missing = self.missing, {}
        for key, read in missing.items():
            self._fetch(key, read)
        return bool(missing)

    def read(self, how: str, location: str, fingerprint: str, read: Read) -> Reading | None:
        """Answer what a location ref holds, None if that is what `fingerprint` stands for."""
        place = place_of(location)
        if place in self.files:
            return self._given(place, location, fingerprint)
        matching = self.among(location) if how != "fetch" else []
        if fingerprint and not matching:
            return None
        if not matching:
            return self._known((how, location), read)
        try:
            reading: Reading | None = self._known((how, location), read)
        except NotFoundError:
            reading = None
        return self._amended(reading, matching, fingerprint)

    def _given(self, place: str, location: str, fingerprint: str) -> Reading | None:
        self.answered.add(place)
        data = self.files[place]
        if data is None:
            target = location.partition(":")[2]
            if location.startswith("file:"):
                raise NotFoundError(f"file {target} does not exist")
            raise NotFoundError(f"could not read {target}, there is no such file")
        return _unless_known(Reading((Content(location, data),), _sign([data])), fingerprint)

    def _amended(
        self, reading: Reading | None, matching: Sequence[str], fingerprint: str
    ) -> Reading | None:
        """Put the given files among those that a pattern matched, in the order of their names."""
        self.answered.update(matching)
        contents = {content.location: content for content in reading.contents} if reading else {}
        places = {place_of(location): location for location in contents}
        for place in matching:
            location, data = places.get(place, place), self.files[place]
            if data is None:
                contents.pop(location, None)
            else:
                contents[location] = Content(location, data)
        if not contents:
            raise NotFoundError(f"could not read {matching[0].partition(':')[2]}, nothing matches")
        ordered = tuple(contents[location] for location in sorted(contents))
        signs = [part for c in ordered for part in (c.location.encode(), c.data)]
        return _unless_known(Reading(ordered, _sign(signs)), fingerprint)

    def _known(self, key: Key, read: Read) -> Reading:
        if key not in self._fetched:
            if not self._is_open:
                self.missing[key] = read
                raise UnreadableError("preview", _UNREAD)
            self._fetch(key, read)
        found = self._fetched[key]
        if isinstance(found, CallboardError):
            # One that is raised twice would grow a traceback of all that raised it.
            raise found.with_traceback(None)
        return found

    def _fetch(self, key: Key, read: Read) -> None:
        try:
            self._fetched[key] = self.budget.spend(read) or Reading((), "")
        except CallboardError as error:
            # What is wrong with the file is told where it is wanted; a limit ends the preview.
            self.budget.check()
            self._fetched[key] = error


def _sign(parts: Sequence[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8) + part)
    return f"given {digest.hexdigest()}"


def _unless_known(reading: Reading, fingerprint: str) -> Reading | None:
    return None if reading.fingerprint == fingerprint else reading


@dataclass(frozen=True, slots=True)
class GivenUrls:
    """A source of URLs behind the given files; without a `source`, those files alone."""

    given: GivenFiles
    source: UrlSource | None = None

    def serves(self, url: URL) -> bool:
        """Tell whether `url` is one of its own."""
        if self.source is not None:
            return self.source.serves(url)
        return f"url:{url.href}" in self.given.files

    def search(self, url: str, fingerprint: str = "") -> Reading | None:
        """Read the file, or the files that a pattern in the path matches."""
        source = self.source
        return self.given.read(
            "search", f"url:{url}", fingerprint, lambda: source.search(url) if source else None
        )

    def fetch(self, url: str, fingerprint: str = "") -> Reading | None:
        """Read one file."""
        source = self.source
        try:
            return self.given.read(
                "fetch", f"url:{url}", fingerprint, lambda: source.fetch(url) if source else None
            )
        except NotFoundError as error:
            if self.given.files.get(place_of(f"url:{url}"), b"") is None and not isinstance(
                source, GitUrls
            ):
                raise NotFoundError(f"could not read {url}, 404 Not Found") from error
            raise

    def resolve(self, target: str, base: str) -> str:
        """Make a target absolute."""
        return self.source.resolve(target, base) if self.source else resolve_url(target, base)

    def repository(self, url: str) -> str | None:
        """Name the git repository that `url` lies in."""
        return self.source.repository(url) if self.source else None


@dataclass(frozen=True, slots=True)
class GivenPaths:
    """The reader of files behind the given ones."""

    given: GivenFiles
    reader: LocationReader

    def read(self, target: str, fingerprint: str = "") -> Reading | None:
        """Read a path, or the files that a pattern matches."""
        location = f"file:{target}"
        if not self.given.among(location) and place_of(location) not in self.given.known:
            raise UnreadableError(
                "file",
                f"file {target} could not be read, Error: a preview reads no file of the server "
                "that the catalog does not read already",
            )
        return self.given.read("file", location, fingerprint, lambda: self.reader.read(target))

    def resolve(self, target: str, base: str) -> str:
        """Make a target absolute."""
        return self.reader.resolve(target, base)

    def same_repository(self, target: str, base: str) -> bool:
        """Tell whether a placeholder in `base` may read `target`."""
        return self.reader.same_repository(target, base)


def readers_behind(given: GivenFiles, readers: Readers) -> Readers:
    """Make readers that ask the given files first."""
    sources = (*(GivenUrls(given, source) for source in readers.url.sources), GivenUrls(given))
    return replace(readers, file=GivenPaths(given, readers.file), url=UrlReader(sources))
