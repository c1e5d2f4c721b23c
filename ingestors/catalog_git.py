"""Entities from the catalog files of a plain git repository."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.errors import NotFoundError
from app.model.entity import CatalogFile
from app.model.problem import Problem
from app.plugins import ingestor
from app.ports import Settings
from app.scm.addresses import is_url, parse_url
from app.scm.git import GitRepository
from app.scm.git_remote import GitRemote
from app.scm.git_urls import GitMount, fingerprint_of
from app.scm.globs import Glob, compile_glob
from app.scm.readers import Readers

DEFAULT_PATH = "catalog-info.yaml"
_SOME = validate.Length(min=1)


class GitSettings(Schema):
    """One repository under `catalog.providers.git.<id>`."""

    url = fields.String(required=True, validate=_SOME)
    branch = fields.String(load_default="")
    paths = fields.List(fields.String(validate=_SOME), validate=_SOME)
    path = fields.String(data_key="catalogPath", validate=_SOME)
    username = fields.String(load_default="")
    password = fields.String(load_default="")
    token = fields.String(load_default="")
    identity_file = fields.String(data_key="identityFile", load_default="")
    web_url = fields.Url(data_key="webUrl", schemes={"http", "https"}, require_tld=False)
    schedule = fields.Raw()

    @validates_schema
    def check(self, data: Mapping[str, Any], **_: object) -> None:
        """Refuse settings that contradict each other."""
        if "path" in data and "paths" in data:
            raise ValidationError("Give either paths or catalogPath.", "paths")
        if data["password"] and data["token"]:
            raise ValidationError("Give either a password or a token.", "token")


@dataclass(frozen=True, slots=True)
class GitCatalog:
    """Reads the files that match one of `globs` in the newest commit of a branch."""

    mount: GitMount
    globs: tuple[Glob, ...]

    @property
    def repository(self) -> GitRepository:
        """The repository that is read."""
        return self.mount.repository

    def fingerprint(self) -> str:
        """Name the newest commit, and what is made of it; asks the remote and reads nothing."""
        head = self.repository.head(fresh_for=0)
        patterns = "\0".join(glob.pattern for glob in self.globs)
        made = hashlib.sha256(f"{self.mount.root(head.branch)}\0{patterns}".encode()).hexdigest()
        return f"{head.commit} {made[:16]}"

    def covers(self, location: str) -> bool:
        """Tell whether a file at this location ref would be found."""
        kind, _, target = location.partition(":")
        if kind != "url" or not is_url(target) or not self.mount.covers(parse_url(target)):
            return False
        try:
            _, path = self.mount.split(parse_url(target))
        except NotFoundError:
            return False
        return any(glob.matches(path) for glob in self.globs)

    def snapshot(self) -> Iterator[CatalogFile | Problem]:
        """Yield the catalog files, in the order of their paths."""
        head, found = self.repository.find(self.globs)
        for file in self.repository.read(found):
            url = self.mount.location(head.branch, file.path)
            location = f"url:{url}"
            if file.problem:
                message = f"{location} could not be read, {file.problem}"
                yield Problem(location, message, "Error")
            else:
                sign = fingerprint_of({url: file.blob})
                yield CatalogFile(location, file.data, sign, head.commit)


@ingestor("git", GitSettings)
def git_catalog(settings: Settings, readers: Readers) -> GitCatalog:
    """Open the repository; files that its catalog files name are read from it as well."""
    remote = GitRemote.parse(
        settings["url"],
        username=settings["username"],
        password=settings["password"] or settings["token"],
        identity_file=settings["identity_file"],
    )
    repository = readers.git.open(remote, settings["branch"])
    mount = GitMount.of(repository, settings["branch"], settings.get("web_url", ""))
    readers.git_urls.mount(mount)
    paths = settings.get("paths") or [settings.get("path", DEFAULT_PATH)]
    return GitCatalog(mount, tuple(compile_glob(path.lstrip("/")) for path in paths))
