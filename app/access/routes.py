"""`/api/auth`: discovery, keys, what a user owns, and signing in."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from app.access.guest import GuestSignIn
from app.access.keys import AUTH
from app.access.service import AccessService, SignedIn
from app.errors import (
    AuthenticationError,
    InputError,
    NotFoundError,
    NotImplementedByServerError,
)
from app.web.identity import AuthPolicy, Barrier
from app.web.plugin import plugin_blueprint
from app.web.principals import UserPrincipal
from app.web.requests import bearer_token
from app.web.responses import json_response, text_response

EVERY_METHOD = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def auth_routes(barrier: Barrier, access: AccessService, guest: GuestSignIn | None) -> Blueprint:
    """Serve the auth plugin, all of which is open; `guest` None means there is no guest."""
    routes = plugin_blueprint(AUTH, barrier, [AuthPolicy("/", "unauthenticated")])

    @routes.get("/.well-known/openid-configuration")
    def discovery() -> Response:
        return json_response(_discovery(access.issuer))

    @routes.get("/.well-known/jwks.json")
    def user_keys() -> Response:
        return json_response({"keys": access.user_keys()})

    @routes.get("/v1/userinfo")
    def user_info() -> Response:
        token = bearer_token(request.environ)
        if token is None:
            raise AuthenticationError("No token provided")
        principal = access.authenticate(token, AUTH, limited=True)
        if not isinstance(principal, UserPrincipal):
            raise InputError(
                "Userinfo endpoint must be called with a token that represents a user principal"
            )
        claims = access.user_info(principal.ref)
        if claims is None:
            return text_response("User info not found", 404)
        return json_response({"claims": claims})

    @routes.route("/<provider>", methods=EVERY_METHOD)
    @routes.route("/<provider>/<path:rest>", methods=EVERY_METHOD)
    def unknown_provider(provider: str, **_: str) -> Response:
        raise NotFoundError(f"Unknown auth provider '{provider}'")

    if guest is not None:
        _guest_routes(routes, guest)
    return routes


def _guest_routes(routes: Blueprint, guest: GuestSignIn) -> None:
    @routes.route("/guest/refresh", methods=["GET", "POST"])
    def refresh() -> Response:
        return json_response(_sign_in_response(guest.sign_in()))

    @routes.get("/guest/start")
    @routes.route("/guest/handler/frame", methods=["GET", "POST"])
    def not_for_guests() -> Response:
        raise NotImplementedByServerError("Not implemented")


def _sign_in_response(signed_in: SignedIn) -> dict[str, Any]:
    return {
        "profile": {},
        "backstageIdentity": {
            "token": signed_in.token,
            "identity": {
                "type": "user",
                "userEntityRef": str(signed_in.user),
                "ownershipEntityRefs": signed_in.ownership,
            },
            "expiresInSeconds": signed_in.expires_in,
        },
    }


def _discovery(issuer: str) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/v1/token",
        "userinfo_endpoint": f"{issuer}/v1/userinfo",
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "response_types_supported": ["code", "id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [
            *("RS256", "RS384", "RS512"),
            *("ES256", "ES384", "ES512"),
            *("PS256", "PS384", "PS512"),
            "EdDSA",
        ],
        "scopes_supported": ["openid"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "claims_supported": ["sub", "ent"],
        "grant_types_supported": ["authorization_code"],
        "authorization_endpoint": f"{issuer}/v1/authorize",
        "code_challenge_methods_supported": ["S256", "plain"],
    }
