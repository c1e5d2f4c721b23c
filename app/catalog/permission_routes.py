"""`/api/catalog/.well-known/backstage/permissions`: what a permission backend asks the catalog."""

from __future__ import annotations

from flask import Blueprint, Response, request

from app.catalog.conditions import Judge, read_cases
from app.catalog.permission_rules import RULES
from app.catalog.permissions import Permission
from app.errors import NotAllowedError
from app.web.identity import known_caller
from app.web.json_body import read_json
from app.web.principals import UserPrincipal
from app.web.responses import json_response

PREFIX = "/.well-known/backstage/permissions"


def add_permission_routes(routes: Blueprint, judge: Judge) -> None:
    """Add the endpoints to the catalog's blueprint."""

    @routes.get(f"{PREFIX}/metadata")
    def get_permission_metadata() -> Response:
        permissions = [permission.json() for permission in Permission]
        rules = [rule.json() for rule in RULES.values()]
        return json_response({"permissions": permissions, "rules": rules})

    @routes.post(f"{PREFIX}/apply-conditions")
    def apply_conditions() -> Response:
        principal = known_caller(request)
        if isinstance(principal, UserPrincipal) and not principal.actor:
            raise NotAllowedError
        return json_response({"items": judge.results(read_cases(read_json(request)))})
