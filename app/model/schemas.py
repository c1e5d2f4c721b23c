"""The JSON Schemas of the entity envelope and of Backstage's kinds.

The order of properties matters: it is the order in which mistakes are found and reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Schema: TypeAlias = Mapping[str, Any]

TEXT: Schema = {"type": "string"}
SOME_TEXT: Schema = {"type": "string", "minLength": 1}
SOME_TEXTS: Schema = {"type": "array", "items": SOME_TEXT}
TEXTS_BY_NAME: Schema = {"type": "object", "patternProperties": {"^.+$": TEXT}}
TRUTH: Schema = {"type": ["string", "boolean"]}


def properties_of(properties: Mapping[str, Schema], *required: str, **more: Any) -> Schema:
    """Make the schema of an object."""
    return {"type": "object", "required": list(required), "properties": properties, **more}


def each(item: Schema) -> Schema:
    """Make the schema of an array."""
    return {"type": "array", "items": item}


ENVELOPE = properties_of(
    {
        "apiVersion": SOME_TEXT,
        "kind": SOME_TEXT,
        "metadata": properties_of({"name": SOME_TEXT, "namespace": SOME_TEXT}, "name"),
    },
    *("apiVersion", "kind", "metadata"),
)

_LINK = properties_of(
    {"url": SOME_TEXT, "title": SOME_TEXT, "icon": SOME_TEXT, "type": SOME_TEXT}, "url"
)
_METADATA = properties_of(
    {
        "uid": SOME_TEXT,
        "etag": SOME_TEXT,
        "name": SOME_TEXT,
        "namespace": SOME_TEXT,
        "title": SOME_TEXT,
        "description": TEXT,
        "labels": TEXTS_BY_NAME,
        "annotations": TEXTS_BY_NAME,
        "tags": SOME_TEXTS,
        "links": each(_LINK),
    },
    "name",
)
_REFERENCE = properties_of(
    {"kind": SOME_TEXT, "namespace": SOME_TEXT, "name": SOME_TEXT},
    *("kind", "namespace", "name"),
    additionalProperties=False,
)
_RELATION = properties_of(
    {
        "type": {**SOME_TEXT, "pattern": r"^\w+$"},
        "target": _REFERENCE,
        "targetRef": SOME_TEXT,
    },
    *("type", "targetRef"),
    additionalProperties=False,
)
_STATUS_ITEM = properties_of(
    {
        "type": SOME_TEXT,
        "level": {"type": "string", "enum": ["info", "warning", "error"]},
        "message": TEXT,
        "error": properties_of(
            {"name": SOME_TEXT, "message": TEXT, "code": TEXT, "stack": TEXT}, "name", "message"
        ),
    },
    *("type", "level", "message"),
)
ENTITY: Schema = {
    "$id": "Entity",
    **properties_of(
        {
            "apiVersion": SOME_TEXT,
            "kind": SOME_TEXT,
            "metadata": _METADATA,
            "spec": {"type": "object"},
            "relations": each(_RELATION),
            "status": properties_of({"items": each(_STATUS_ITEM)}),
        },
        *("apiVersion", "kind", "metadata"),
        additionalProperties=False,
    ),
}


def kind_schema(spec: Schema) -> Schema:
    """Make the schema of a whole entity from that of its `spec`."""
    return properties_of({"spec": spec}, "spec")


_PROFILE = properties_of({"displayName": SOME_TEXT, "email": SOME_TEXT, "picture": SOME_TEXT})
_OWNED_PART = {"type": SOME_TEXT, "lifecycle": SOME_TEXT, "owner": SOME_TEXT, "system": SOME_TEXT}

SPECS: Mapping[str, Schema] = {
    "API": properties_of(
        {**_OWNED_PART, "definition": SOME_TEXT}, "type", "lifecycle", "owner", "definition"
    ),
    "Component": properties_of(
        {
            **_OWNED_PART,
            "subcomponentOf": SOME_TEXT,
            "providesApis": SOME_TEXTS,
            "consumesApis": SOME_TEXTS,
            "dependsOn": SOME_TEXTS,
        },
        *("type", "lifecycle", "owner"),
    ),
    "Domain": properties_of(
        {"owner": SOME_TEXT, "subdomainOf": SOME_TEXT, "type": SOME_TEXT}, "owner"
    ),
    "Group": properties_of(
        {
            "type": SOME_TEXT,
            "profile": _PROFILE,
            "parent": SOME_TEXT,
            "children": SOME_TEXTS,
            "members": SOME_TEXTS,
        },
        *("type", "children"),
    ),
    "Location": properties_of(
        {
            "type": SOME_TEXT,
            "target": SOME_TEXT,
            "targets": SOME_TEXTS,
            "presence": {"type": "string", "enum": ["required", "optional"]},
        }
    ),
    "Resource": properties_of(
        {"type": SOME_TEXT, "owner": SOME_TEXT, "dependsOn": SOME_TEXTS, "system": SOME_TEXT},
        *("type", "owner"),
    ),
    "System": properties_of({"owner": SOME_TEXT, "domain": SOME_TEXT, "type": SOME_TEXT}, "owner"),
    "User": properties_of({"profile": _PROFILE, "memberOf": SOME_TEXTS}, "memberOf"),
}

_PERMISSIONS = properties_of({"tags": each(TEXT)})
_PAGE_PERMISSIONS = {"backstage:permissions": _PERMISSIONS}
_DECORATORS = each(properties_of({"id": TEXT, "input": {"type": "object"}}))
_STEP = properties_of(
    {
        "id": TEXT,
        "name": TEXT,
        "action": TEXT,
        "input": {"type": "object"},
        "if": TRUTH,
        "backstage:permissions": _PERMISSIONS,
    },
    "action",
)
_BUTTONS = properties_of(
    {"backButtonText": TEXT, "createButtonText": TEXT, "reviewButtonText": TEXT}
)
_OUTPUT_LINK = properties_of(
    {"if": TRUTH, "url": SOME_TEXT, "entityRef": SOME_TEXT, "title": SOME_TEXT, "icon": SOME_TEXT}
)
_OUTPUT_TEXT = properties_of({"if": TRUTH, "title": SOME_TEXT, "icon": SOME_TEXT, "content": TEXT})

TEMPLATE_SPEC = properties_of(
    {
        "type": SOME_TEXT,
        "owner": SOME_TEXT,
        "lifecycle": SOME_TEXT,
        "parameters": {
            "oneOf": [
                properties_of(_PAGE_PERMISSIONS),
                each(properties_of({"when": TRUTH, **_PAGE_PERMISSIONS})),
            ]
        },
        "secrets": properties_of({"schema": {"type": "object"}}),
        "presentation": properties_of({"buttonLabels": _BUTTONS}),
        "EXPERIMENTAL_recovery": properties_of({"EXPERIMENTAL_strategy": TEXT}),
        "formDecorators": _DECORATORS,
        "EXPERIMENTAL_formDecorators": _DECORATORS,
        "steps": each(_STEP),
        "output": properties_of(
            {"links": each(_OUTPUT_LINK), "text": each(_OUTPUT_TEXT)}, additionalProperties=TEXT
        ),
    },
    *("type", "steps"),
)
