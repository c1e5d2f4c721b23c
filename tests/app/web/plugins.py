"""A small app with one plugin, and tokens that need no keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from flask import Blueprint, Flask
from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry

from app.errors import AuthenticationError, NotAllowedError
from app.model.ref import EntityRef
from app.settings import CorsSettings
from app.web.application import make_application
from app.web.identity import AuthPolicy, Barrier, UserCookie
from app.web.lifecycle import Lifecycle
from app.web.metrics import RequestMetrics
from app.web.plugin import plugin_blueprint
from app.web.principals import Principal, ServicePrincipal, UserPrincipal

ADA = UserPrincipal(EntityRef("user", "default", "ada"))
CI = ServicePrincipal("ci")
USER = {"Authorization": "Bearer ada"}
SERVICE = {"Authorization": "Bearer ci"}


@dataclass
class Tokens:
    """Knows two callers by name, a limited one, and one that `catalog` alone lets in."""

    known: dict[str, Principal] = field(default_factory=lambda: {"ada": ADA, "ci": CI})

    def authenticate(self, token: str, plugin: str, *, limited: bool = False) -> Principal:
        if token == "limited":
            if not limited:
                raise AuthenticationError("Illegal limited user token")
            return ADA
        if token == "restricted" and plugin != "catalog":
            raise NotAllowedError("This token's access is restricted to plugin(s) 'catalog'")
        if token not in self.known:
            raise AuthenticationError("Illegal token")
        return self.known[token]

    def public_keys(self, plugin: str) -> Sequence[dict[str, str]]:
        return [{"kid": plugin}]

    def user_cookie(self, token: str, existing: str | None) -> UserCookie:
        return UserCookie("2026-11-23T22:00:00.000Z", None if existing else f"auth={token}")

    def cleared_cookie(self) -> str:
        return "auth="


def ready() -> Lifecycle:
    lifecycle = Lifecycle()
    lifecycle.ready()
    return lifecycle


def barrier(lifecycle: Lifecycle | None = None, **options) -> Barrier:
    return Barrier(Tokens(), lifecycle or ready(), **options)


def plugin(*policies: AuthPolicy, name: str = "catalog", **options) -> Blueprint:
    return plugin_blueprint(name, barrier(**options), policies)


def application(*blueprints: Blueprint, cors: CorsSettings | None = None) -> Flask:
    return make_application(blueprints, cors=cors, metrics=RequestMetrics(CollectorRegistry()))


def client(*blueprints: Blueprint, cors: CorsSettings | None = None) -> FlaskClient:
    return application(*blueprints, cors=cors).test_client()


def error_of(response) -> tuple[int, str, str]:
    """Status, name and message of an error response."""
    body = response.get_json()
    assert body["response"] == {"statusCode": response.status_code}
    assert response.content_type == "application/json; charset=utf-8"
    return response.status_code, body["error"]["name"], body["error"]["message"]


def header_names(response) -> Iterable[str]:
    return {name for name, _ in response.headers}
