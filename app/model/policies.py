"""What every entity is held to, whatever its kind: envelope, known fields, field formats.

A quick look says yes to what is plainly right; only otherwise the first mistake is looked for, in
the order and the words of Backstage (CONTRACT 1.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from app.model import formats
from app.model.ajv import first_error
from app.model.formats import Format, is_key, is_label_value, is_non_empty, is_tag, is_url
from app.model.json_pointer import pointer_to
from app.model.processing_error import ProcessingError
from app.model.ref import DEFAULT_NAMESPACE
from app.model.schemas import ENTITY, ENVELOPE

VIEW_URL = "backstage.io/view-url"
EDIT_URL = "backstage.io/edit-url"
REJECTED_URL = "https://backstage.io/annotation-rejected-for-security-reasons"

_ROOT_FIELDS = frozenset(["apiVersion", "kind", "metadata", "spec"])
_SORTED_FIELDS = (
    *("providesApis", "consumesApis", "dependsOn", "dependencyOf"),
    *("memberOf", "children", "members"),
)
_LEARN_MORE = (
    "To learn more about catalog file format, visit: https://github.com/backstage/backstage/blob/"
    "master/docs/architecture-decisions/adr002-default-catalog-file-format.md"
)
_SCRIPT = re.compile(r"[\x00-\x1f ]*" + r"[\r\n\t]*".join("javascript:"), re.IGNORECASE)


def check_envelope(data: Any) -> ProcessingError | None:
    """Check what must be right before anything can be said about an entity, its ref above all."""
    if type(data) is dict:
        metadata = data.get("metadata")
        if (
            _is_text(data.get("apiVersion"))
            and _is_text(data.get("kind"))
            and type(metadata) is dict
            and _is_text(metadata.get("name"))
            and ("namespace" not in metadata or _is_text(metadata["namespace"]))
        ):
            return None
    error = first_error(ENVELOPE, data)
    return ProcessingError("TypeError", error.text_with_params, error.pointer) if error else None


def check_fields(data: Mapping[str, Any]) -> ProcessingError | None:
    """Check an entity whose envelope is sound against all policies.

    The order is Backstage's: schema, unknown root fields, formats. That a missing namespace is fine
    is known here; `fill_namespace` sets it.
    """
    if _is_plainly_right(data):
        return None
    cause = _schema_error(data) or next(_field_errors(data), None)
    if cause is None:
        return None
    return ProcessingError.caused("InputError", f"Policy check failed for {ref_text(data)}", cause)


def fill_namespace(data: dict[str, Any]) -> dict[str, Any]:
    """Answer the entity with the default namespace filled in; the same object if it has one."""
    metadata = data["metadata"]
    if metadata.get("namespace"):
        return data
    return {**data, "metadata": {**metadata, "namespace": DEFAULT_NAMESPACE}}


def presort(data: Mapping[str, Any]) -> None:
    """Sort the lists of refs in `spec` in place, by UTF-16 code units as JavaScript does."""
    spec = data.get("spec")
    if type(spec) is not dict:
        return
    for name in _SORTED_FIELDS:
        items = spec.get(name)
        if type(items) is list and items and all(type(item) is str for item in items):
            items.sort(key=None if "".join(items).isascii() else _code_units)


def sanitize_annotations(data: dict[str, Any]) -> dict[str, Any]:
    """Answer the entity without scripts for URLs; the same object if there are none."""
    annotations = data["metadata"].get("annotations")
    if not annotations or not isinstance(annotations, dict):
        return data
    bad = {
        name: REJECTED_URL
        for name in (VIEW_URL, EDIT_URL)
        if isinstance(annotations.get(name), str) and _SCRIPT.match(annotations[name])
    }
    if not bad:
        return data
    return {**data, "metadata": {**data["metadata"], "annotations": {**annotations, **bad}}}


def ref_text(data: Mapping[str, Any]) -> str:
    """Write the ref of an entity as messages do, whatever its parts look like."""
    metadata = data["metadata"]
    namespace = metadata.get("namespace")
    namespace = DEFAULT_NAMESPACE if namespace is None else namespace
    return f"{data['kind']}:{namespace}/{metadata['name']}".lower()


def _is_text(value: Any) -> bool:
    return type(value) is str and value != ""


def _code_units(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")


def _is_plainly_right(data: Mapping[str, Any]) -> bool:  # noqa: C901, PLR0911 (one quick pass)
    """Say yes only if no policy could object; a no means to look closer."""
    metadata = data["metadata"]
    get = metadata.get
    if not (data.keys() <= _ROOT_FIELDS and type(data.get("spec", {})) is dict):
        return False
    if not (_is_version_and_kind(data["apiVersion"], data["kind"]) and _has_right_name(metadata)):
        return False
    for name in ("title", "uid", "etag"):
        if name in metadata and not _is_text(metadata[name]):
            return False
    if type(get("description", "")) is not str:
        return False
    labels, annotations = get("labels", {}), get("annotations", {})
    tags, links = get("tags", ()), get("links", ())
    if type(labels) is not dict or type(annotations) is not dict:
        return False
    for key, value in labels.items():
        if not (type(value) is str and is_label_value(value) and is_key(key)):
            return False
    for key, value in annotations.items():
        if not (type(value) is str and is_key(key)):
            return False
    if "tags" in metadata and not (
        type(tags) is list and all(type(tag) is str and is_tag(tag) for tag in tags)
    ):
        return False
    return "links" not in metadata or (type(links) is list and all(map(_is_right_link, links)))


def _is_version_and_kind(version: str, kind: str) -> bool:
    return formats.is_api_version(version) and formats.is_kind(kind)


def _has_right_name(metadata: Mapping[str, Any]) -> bool:
    namespace = metadata.get("namespace", DEFAULT_NAMESPACE)
    return formats.is_object_name(metadata["name"]) and formats.is_namespace(namespace)


def _is_right_link(link: Any) -> bool:
    if type(link) is not dict or type(link.get("url")) is not str or not is_url(link["url"]):
        return False
    return all(
        type(link[name]) is str and is_non_empty(link[name])
        for name in ("title", "icon", "type")
        if name in link
    )


def _schema_error(data: Mapping[str, Any]) -> ProcessingError | None:
    error = first_error(ENTITY, data)
    message = f"Malformed envelope, {error.text}" if error else ""
    return ProcessingError("Error", message, error.pointer) if error else None


def _field_errors(data: Mapping[str, Any]) -> Iterator[ProcessingError]:
    for name in data:
        if name not in _ROOT_FIELDS:
            yield ProcessingError("Error", f"Unknown field {name}", pointer_to(name))
    for name, path, value, rule in _formatted_fields(data):
        if value is None:
            yield ProcessingError("Error", f"{name} must have a value", path)
        elif not rule.is_met_by(value):
            message = (
                f'"{name}" is not valid; expected {rule.expectation} but found "{value}". '
                f"{_LEARN_MORE}"
            )
            yield ProcessingError("Error", message, path)


def _formatted_fields(data: Mapping[str, Any]) -> Iterator[tuple[str, str, Any, Format]]:
    """List the fields with a format: what messages call them, their pointers, values and rules."""
    metadata = data["metadata"]
    yield "apiVersion", "/apiVersion", data["apiVersion"], formats.API_VERSION
    yield "kind", "/kind", data["kind"], formats.KIND
    yield "metadata.name", "/metadata/name", metadata["name"], formats.NAME
    namespace = metadata.get("namespace") or DEFAULT_NAMESPACE
    yield "metadata.namespace", "/metadata/namespace", namespace, formats.NAMESPACE
    for key, value in metadata.get("labels", {}).items():
        path = pointer_to("metadata", "labels", key)
        yield f"labels.{key}", path, key, formats.KEY
        yield f"labels.{key}", path, value, formats.LABEL_VALUE
    for key in metadata.get("annotations", {}):
        yield f"annotations.{key}", pointer_to("metadata", "annotations", key), key, formats.KEY
    for index, tag in enumerate(metadata.get("tags", ())):
        yield f"tags.{index}", f"/metadata/tags/{index}", tag, formats.TAG
    for index, link in enumerate(metadata.get("links", ())):
        for name, rule in (
            ("url", formats.URL),
            ("title", formats.NON_EMPTY),
            ("icon", formats.NON_EMPTY),
        ):
            if name in link:
                path = f"/metadata/links/{index}/{name}"
                yield f"links.{index}.{name}", path, link[name], rule
