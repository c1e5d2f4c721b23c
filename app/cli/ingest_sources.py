"""What an argument of `callboard ingest` means: a source that is read once.

Each argument is a source of its own, so that reading it again removes what it holds no longer and
leaves alone what the others hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from app.bootstrap.catalog import configured_sources
from app.catalog.linting import CatalogText, Linter
from app.catalog.locations import generated
from app.cli.catalog_files import FileSearch, FoundFile
from app.cli.ingest_roots import roots
from app.errors import InputError, NotFoundError
from app.model.batching import batches
from app.model.entity import Entity
from app.scm.addresses import without_userinfo
from app.scm.git_remote import GitRemote
from app.scm.readers import Readers
from app.settings import Settings
from app.sync.service import Source

DEFAULT_PATTERN = "**/catalog-info.yaml"
# One Location names no more targets than this, so that it stays a small entity.
TARGETS = 1000
_SCP = re.compile(r"(?!.*://)[\w.-]+@[\w.-]+:\S+")
_GIT_SCHEMES = {"git+http", "git+https", "git+ssh", "git+file", "ssh"}
_EXPRESSIONS = (b"{{", b"{%", b"{#")


@dataclass(frozen=True, slots=True)
class FileSource:
    """One file."""

    path: Path

    def snapshot(self) -> Iterator[Entity]:
        """Yield the Location of the file."""
        yield generated("file", str(self.path))


@dataclass(frozen=True, slots=True)
class UrlSource:
    """One URL."""

    url: str

    def snapshot(self) -> Iterator[Entity]:
        """Yield the Location of the URL."""
        yield generated("url", self.url)


@dataclass(frozen=True, slots=True)
class FolderSource:
    """The catalog files in a folder; templates of catalog files go to `left_out`."""

    folder: Path
    search: FileSearch
    linter: Linter
    left_out: list[str] = field(default_factory=list)

    def snapshot(self) -> Iterator[Entity]:
        """Yield Locations that name the files."""
        files = [f for f in self.search.find([self.folder]) if not self._is_template(f)]
        paths = (str(file.path) for file in roots(files))
        for number, targets in enumerate(batches(paths, TARGETS)):
            place = str(self.folder) if number == 0 else f"{self.folder}#{number}"
            location = generated("file", place)
            spec = {"type": "file", "targets": targets}
            yield replace(location, data={**location.data, "spec": spec})

    def _is_template(self, file: FoundFile) -> bool:
        if not any(mark in file.data for mark in _EXPRESSIONS):
            return False
        report = self.linter.lint_file(CatalogText(file.name, file.data))
        if report.is_template:
            (finding,) = report.findings
            self.left_out.append(f"{file.name}:{finding.line}:{finding.column}")
        return report.is_template


@dataclass(frozen=True, slots=True)
class SourceFinder:
    """Tells files, folders, URLs and git repositories apart, and makes sources of them."""

    settings: Settings
    readers: Readers
    linter: Linter
    search: FileSearch
    branch: str = ""

    def find(self, argument: str) -> Source:
        """Make the source that an argument stands for; raises `NotFoundError` and `InputError`."""
        if is_git(argument):
            return self._git(argument.removeprefix("git+"))
        if re.match(r"https?://", argument, re.IGNORECASE):
            return Source(f"ingest:url:{without_userinfo(argument)}", UrlSource(argument))
        if "://" in argument:
            raise InputError(f"{argument}: neither a path nor an http(s) URL nor a git repository")
        path = Path(argument).expanduser().absolute()
        if path.is_dir():
            return Source(f"ingest:file:{path}", self._folder(path))
        if not path.exists():
            raise NotFoundError(f"{argument}: there is no such file or folder")
        return Source(f"ingest:file:{path}", FileSource(path))

    def _folder(self, path: Path) -> FileSource | FolderSource:
        if self.search.pattern and not self.search.excluded:
            return FileSource(path / self.search.pattern)
        return FolderSource(path, self.search, self.linter)

    def _git(self, argument: str) -> Source:
        """Read a repository as `catalog.providers.git` does."""
        entry = {
            "url": argument,
            "branch": self.branch,
            "paths": [self.search.pattern or DEFAULT_PATTERN],
        }
        name = str(GitRemote.parse(argument))
        catalog = replace(self.settings.catalog, locations=(), providers={"git": {name: entry}})
        sources = configured_sources(replace(self.settings, catalog=catalog), self.readers)
        source = sources[f"git:{name}"]
        return replace(source, name=f"ingest:git:{name}")


def is_git(argument: str) -> bool:
    """Tell whether an argument names a git repository rather than a file in the web or here."""
    if _SCP.fullmatch(argument):
        return True
    parts = urlsplit(argument)
    if parts.scheme in _GIT_SCHEMES:
        return True
    if parts.scheme in {"http", "https", "file"}:
        return parts.path.rstrip("/").endswith(".git")
    path = Path(argument)
    return path.suffix == ".git" and (path / "HEAD").is_file()
