"""The permissions of the catalog (CONTRACT 1.9), and who has them without asking anybody."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from flask import Request

from app.web.identity import caller
from app.web.principals import AccessRestrictions, ServicePrincipal

RESOURCE_TYPE = "catalog-entity"


class Permission(Enum):
    """A permission: its name, the action it is about (or ""), and whether it is about an entity."""

    UNPROCESSED_READ = ("catalog.entities.unprocessed.read", "read", False)
    UNPROCESSED_DELETE = ("catalog.entities.unprocessed.delete", "delete", False)
    ENTITY_READ = ("catalog.entity.read", "read", True)
    ENTITY_CREATE = ("catalog.entity.create", "create", False)
    ENTITY_DELETE = ("catalog.entity.delete", "delete", True)
    ENTITY_REFRESH = ("catalog.entity.refresh", "update", True)
    ENTITY_VALIDATE = ("catalog.entity.validate", "", False)
    LOCATION_READ = ("catalog.location.read", "read", False)
    LOCATION_CREATE = ("catalog.location.create", "create", False)
    LOCATION_DELETE = ("catalog.location.delete", "delete", False)
    LOCATION_ANALYZE = ("catalog.location.analyze", "", False)
    INGESTION_READ = ("catalog.ingestion.read", "read", False)
    INGESTION_MANAGE = ("catalog.ingestion.manage", "update", False)

    def __init__(self, title: str, action: str, is_of_entity: bool) -> None:  # noqa: FBT001
        """Name the parts of the value."""
        self.title = title
        self.action = action
        self.is_of_entity = is_of_entity

    def json(self) -> dict[str, Any]:
        """Write it as the metadata endpoint does."""
        basic = {"type": "basic", "name": self.title, "attributes": {}}
        if self.action:
            basic["attributes"] = {"action": self.action}
        if self.is_of_entity:
            return {**basic, "type": "resource", "resourceType": RESOURCE_TYPE}
        return basic


Check = Callable[[Request, Permission], bool]


def everyone_may(_request: Request, _permission: Permission) -> bool:
    """Allow everything to everybody who passed the barrier: permissions are turned off."""
    return True


def restricted_by_token(request: Request, permission: Permission) -> bool:
    """Allow what the caller's token is not restricted from (`accessRestrictions`)."""
    principal = caller(request)
    if not isinstance(principal, ServicePrincipal) or principal.restrictions is None:
        return True
    return _admits(principal.restrictions, permission)


def _admits(restrictions: AccessRestrictions, permission: Permission) -> bool:
    names, actions = restrictions.permission_names, restrictions.actions
    return (not names or permission.title in names) and (
        not actions or permission.action in actions
    )
