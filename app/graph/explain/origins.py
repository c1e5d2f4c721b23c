"""Where the parts of an entity come from: its author, Callboard, or other entities' authors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.catalog.emission import PROCESSING_STATUS
from app.catalog.processing import LOCATION, ORIGIN
from app.catalog.stitching import ORPHAN_ANNOTATION
from app.model import documents
from app.model.entity import Entity
from app.model.json_pointer import pointer_to
from app.model.kinds import KindRegistry
from app.model.policies import REJECTED_URL, VIEW_URL, ref_text
from app.model.processing_error import ProcessingError
from app.model.relations import relations_by

AUTHOR, CALLBOARD, STATUS = "author", "callboard", "problem"
# Beyond so many fields no lines are looked for.
MOST_FIELDS = 300
_EXPANDED = ("annotations", "labels")
_PLACEHOLDERS = ("$text", "$json", "$yaml")
_ADDED = {
    LOCATION: "the place it was read from",
    ORIGIN: "the place its tree of locations began at",
    ORPHAN_ANNOTATION: "nobody emits it any more",
}


@dataclass(frozen=True, slots=True)
class FieldOrigin:
    """Where one field comes from; `why` says it of what no author wrote."""

    pointer: str
    origin: str
    why: str = ""
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class AuthorsText:
    """The file that an entity stands in, and its document there."""

    text: bytes
    document: Entity

    @classmethod
    def find(cls, text: bytes, line: int, ref: str) -> AuthorsText | None:
        """Find the document that starts on a line; None if it is not about `ref`."""
        for item in documents.iterate(text, ""):
            if isinstance(item, Entity) and item.line == line:
                try:
                    return cls(text, item) if ref_text(item.data) == ref else None
                except (KeyError, TypeError):
                    return None
        return None

    def place(self, path: Sequence[str | int], value: Any) -> tuple[int, int]:
        """Answer line and column of a field if it is there as it is served, else zeros."""
        found: Any = self.document.data
        for key in path:
            try:
                found = found[key]
            except (KeyError, IndexError, TypeError):
                return 0, 0
        if found != value and not _is_sorted(found, value) and not _is_placeholder(found):
            return 0, 0
        return documents.position_in(self.text, self.document.line, pointer_to(*path))


def _is_sorted(written: Any, served: Any) -> bool:
    """Tell whether two lists differ in their order only: lists of refs are served sorted."""
    is_list = isinstance(written, list) and isinstance(served, list)
    return is_list and sorted(map(repr, written)) == sorted(map(repr, served))


def _is_placeholder(written: Any) -> bool:
    return isinstance(written, dict) and len(written) == 1 and next(iter(written)) in _PLACEHOLDERS


def field_origins(
    served: Mapping[str, Any], emitted: Mapping[str, Any], text: AuthorsText | None = None
) -> Iterator[FieldOrigin]:
    """Tell for the fields of a served entity who made them.

    `emitted` is the content it was made from: what its author wrote, processed.
    """
    for count, (path, value) in enumerate(_fields(served)):
        pointer = pointer_to(*path)
        why = _added(path, value, served, emitted)
        if why:
            yield FieldOrigin(pointer, CALLBOARD, why)
        elif path[0] == "status":
            is_ours = isinstance(value, dict) and value.get("type") == PROCESSING_STATUS
            yield FieldOrigin(pointer, STATUS if is_ours else AUTHOR)
        else:
            is_looked_for = text is not None and count < MOST_FIELDS
            place = text.place(path, value) if text is not None and is_looked_for else (0, 0)
            yield FieldOrigin(pointer, AUTHOR, "", *place)


def _fields(served: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Take an entity apart, down to what is worth telling apart."""
    for name, value in served.items():
        if name == "relations":
            continue
        if name == "status" and isinstance(value, dict):
            for place, item in enumerate(value.get("items", ())):
                yield (name, "items", place), item
        elif name in {"metadata", "spec"} and isinstance(value, dict):
            for key, inner in value.items():
                if name == "metadata" and key in _EXPANDED and isinstance(inner, dict):
                    for entry, text in inner.items():
                        yield (name, key, entry), text
                else:
                    yield (name, key), inner
        else:
            yield (name,), value


def _added(
    path: Sequence[str | int], value: Any, served: Mapping[str, Any], emitted: Mapping[str, Any]
) -> str:
    """Say why Callboard added a field; empty if its author wrote it."""
    if value == REJECTED_URL:
        return "what was written there is a script and not a URL"
    own = emitted.get("metadata", {})
    match tuple(path):
        case ("metadata", "uid"):
            why = "stays the same as long as the entity exists"
        case ("metadata", "etag") if "etag" not in own:
            why = "a digest of the content"
        case ("metadata", "namespace") if not own.get("namespace"):
            why = "the default namespace, as none was given"
        case ("metadata", "annotations", str(name)) if name in _ADDED:
            why = _ADDED[name]
        case ("metadata", "annotations", str(name)) if name == VIEW_URL:
            place = served["metadata"]["annotations"].get(LOCATION, "")
            why = "the place it was read from" if place == f"url:{value}" else ""
        case _:
            why = ""
    return why


def relation_pointers(kinds: KindRegistry, data: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Answer by (type, target ref) which field of an entity draws a relation."""
    kind = kinds.find(data)
    found = dict[tuple[str, str], str]()
    for rule in kind.relations if kind else ():
        path = rule.field.split(".")
        value = _inside(data.get("spec"), path)
        several = isinstance(value, list)
        for place, item in enumerate(value if isinstance(value, list) else [value]):
            spec: Any = item
            for key in reversed(path):
                spec = {key: spec}
            relations = relations_by((rule,), {"metadata": data["metadata"], "spec": spec})
            if isinstance(relations, ProcessingError):
                continue
            pointer = pointer_to("spec", *path, *([place] if several else []))
            for relation in relations:
                found.setdefault((relation.type, str(relation.target)), pointer)
    return found


def _inside(value: Any, path: Sequence[str]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
