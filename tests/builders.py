"""Makers of valid values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.errors import UpstreamError
from app.model.entity import Entity
from app.ports import Found

PLACE = "url:https://git.example.org/catalog.yaml"


def component(name: str, *, location: str = PLACE, **spec: Any) -> Entity:
    """A Component; `spec` is added to what is required, or replaces it."""
    required = {"type": "service", "lifecycle": "production", "owner": "team-a"}
    return entity("Component", name, location, **{**required, **spec})


def api(name: str, *, location: str = PLACE, **spec: Any) -> Entity:
    """An API."""
    return entity("API", name, location, type="openapi", lifecycle="production", owner="team-a",
                  definition="openapi: 3.0.0", **spec)  # fmt: skip


def group(name: str, *, location: str = PLACE, **spec: Any) -> Entity:
    """A Group."""
    return entity("Group", name, location, **{"type": "team", "children": [], **spec})


def user(name: str, *, location: str = PLACE, **spec: Any) -> Entity:
    """A User."""
    return entity("User", name, location, **{"memberOf": [], **spec})


def entity(kind: str, name: str, location: str = PLACE, /, **spec: Any) -> Entity:
    """Any entity of Backstage's own version."""
    return Entity(
        {
            "apiVersion": "backstage.io/v1alpha1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": spec,
        },
        location,
        1,
    )


@dataclass
class ListIngestor:
    """A source that is a list; one that breaks fails after its last item."""

    items: Sequence[Found] = field(default_factory=list)
    breaks: bool = False

    def snapshot(self) -> Iterator[Found]:
        yield from self.items
        if self.breaks:
            raise UpstreamError("list", "the list broke")
