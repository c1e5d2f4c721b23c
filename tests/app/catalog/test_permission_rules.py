"""The permissions and rules of the catalog are Backstage's."""

from app.catalog.permission_rules import RULES
from app.catalog.permissions import Permission

BASIC = {
    "catalog.entities.unprocessed.read": "read",
    "catalog.entities.unprocessed.delete": "delete",
    "catalog.entity.create": "create",
    "catalog.entity.validate": "",
    "catalog.location.read": "read",
    "catalog.location.create": "create",
    "catalog.location.delete": "delete",
    "catalog.location.analyze": "",
    "catalog.ingestion.read": "read",
    "catalog.ingestion.manage": "update",
}
OF_ENTITIES = {
    "catalog.entity.read": "read",
    "catalog.entity.delete": "delete",
    "catalog.entity.refresh": "update",
}


def test_permissions_are_described():
    described = {one["name"]: one for one in (p.json() for p in Permission)}

    assert described.keys() == BASIC.keys() | OF_ENTITIES.keys()
    for name, action in (BASIC | OF_ENTITIES).items():
        assert described[name]["attributes"] == ({"action": action} if action else {})
    for name in BASIC:
        assert described[name]["type"] == "basic"
        assert "resourceType" not in described[name]
    for name in OF_ENTITIES:
        assert described[name]["type"] == "resource"
        assert described[name]["resourceType"] == "catalog-entity"


def test_rules_are_described_with_what_they_take():
    assert list(RULES) == [
        "HAS_ANNOTATION",
        "HAS_LABEL",
        "HAS_METADATA",
        "HAS_SPEC",
        "IS_ENTITY_KIND",
        "IS_ENTITY_OWNER",
    ]
    assert RULES["HAS_LABEL"].json() == {
        "name": "HAS_LABEL",
        "description": "Allow entities with the specified label",
        "resourceType": "catalog-entity",
        "paramsSchema": {
            "type": "object",
            "properties": {
                "label": {"type": "string", "description": "Name of the label to match on"},
                "value": {"type": "string", "description": "Value of the label to match on"},
            },
            "required": ["label"],
            "additionalProperties": False,
            "$schema": "http://json-schema.org/draft-07/schema#",
        },
    }
    claims = RULES["IS_ENTITY_OWNER"].json()["paramsSchema"]["properties"]["claims"]
    assert claims == {
        "type": "array",
        "items": {"type": "string"},
        "description": "List of claims to match at least one on within ownedBy",
    }
