"""`POST /analyze-location`: what a first catalog file for a repository might say.

The repository itself is not looked at: all that is known is what its URL says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from app.errors import InputError
from app.scm.addresses import parse_url

NOT_A_URL = "The given location.target is not a URL"
# What annotations of source-control systems begin with, by the kind of the integration.
PREFIXES = {
    "azure": "dev.azure.com",
    "bitbucket": "bitbucket.org",
    "bitbucketCloud": "bitbucket.org",
    "github": "github.com",
    "gitlab": "gitlab.com",
}
# The name of a repository stands before the first of these that there is, in this order; `blob` and
# `tree` count alike.
_NAME_ENDS_BEFORE = ("-", "blob", "issues", "tree", "commit", "src", "raw", "edit")


@dataclass(frozen=True, slots=True)
class Repository:
    """Who owns a repository (a user, groups, a project) and what it is called."""

    owner: str
    name: str


@dataclass(frozen=True, slots=True)
class LocationAnalyzer:
    """Makes suggestions; `hosts` says which kind of system is behind a host (`integrations`)."""

    hosts: Mapping[str, str]

    def analyze(self, target: str) -> dict[str, Any]:
        """Suggest a Component for the repository at a URL; raises `InputError` if it is none."""
        try:
            url = parse_url(target)
        except InputError:
            raise InputError(NOT_A_URL) from None
        if not url.host:
            raise InputError(NOT_A_URL)
        repository = repository_at(url.pathname)
        if not repository.name:
            raise InputError(f"{NOT_A_URL} of a repository")
        metadata: dict[str, Any] = {"name": repository.name}
        prefix = PREFIXES.get(self.hosts.get(url.host, ""))
        if prefix is not None:
            slug = f"{repository.owner}/{repository.name}"
            metadata["annotations"] = {f"{prefix}/project-slug": slug}
        entity = {
            "apiVersion": "backstage.io/v1alpha1",
            "kind": "Component",
            "metadata": metadata,
            "spec": {"type": "other", "lifecycle": "unknown"},
        }
        return {"existingEntityFiles": [], "generateEntities": [{"entity": entity, "fields": []}]}


def repository_at(path: str) -> Repository:
    """Find the repository in the path of a URL that leads to it or to something inside of it."""
    parts = unquote(path).strip("/").removesuffix(".git").split("/")
    if "_git" in parts:
        return _azure_repository(parts)
    name_at = len(parts) - 1
    ends = {mark: parts.index(mark, 2) for mark in _NAME_ENDS_BEFORE if mark in parts[2:]}
    if "blob" in ends and "tree" in ends:
        ends["blob"] = min(ends["blob"], ends["tree"])
    end = next((ends[mark] for mark in _NAME_ENDS_BEFORE if mark in ends), None)
    if end is not None:
        name_at = end - 1
    return Repository("/".join(parts[:name_at]), parts[name_at])


def _azure_repository(parts: list[str]) -> Repository:
    """Read `<organization>/<project>/_git/<name>`; a repository may be called as its project."""
    at = parts.index("_git")
    name = parts[at + 1] if len(parts) > at + 1 else ""
    return Repository(parts[at - 1] if at > 1 else name, name)
