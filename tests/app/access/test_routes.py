"""`/api/auth`, against what Backstage answers."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from app.access.guest import GuestSignIn
from app.access.routes import auth_routes
from app.access.tokens import limited_token, peek
from app.model.ref import EntityRef
from app.settings import GuestSettings
from app.web.application import make_application
from app.web.identity import Barrier
from app.web.lifecycle import Lifecycle
from app.web.metrics import RequestMetrics
from app.web.plugin import plugin_blueprint

from .conftest import RESTRICTED, STATIC

GUEST = EntityRef("user", "default", "guest")
ANYWHERE = GuestSettings(GUEST, (GUEST,), is_allowed_outside_development=True)
AT_HOME = GuestSettings(GUEST, (GUEST,), is_allowed_outside_development=False)
BASE = "http://localhost:7007/api/auth"


@pytest.fixture
def make_client(access):
    def make(
        settings: GuestSettings | None = ANYWHERE,
        memberships: dict[str, list[str]] | None = None,
    ):
        lifecycle = Lifecycle()
        lifecycle.ready()
        barrier = Barrier(access, lifecycle)
        known = memberships or {}
        guest = settings and GuestSignIn(access, settings, known.get)
        blueprints = [auth_routes(barrier, access, guest), plugin_blueprint("catalog", barrier)]
        metrics = RequestMetrics(CollectorRegistry())
        return make_application(blueprints, cors=None, metrics=metrics).test_client()

    return make


@pytest.fixture
def ask(make_client):
    return make_client()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def sign_in(ask) -> dict:
    return ask.get("/api/auth/guest/refresh").get_json()["backstageIdentity"]


def error_of(response) -> tuple[int, str, str]:
    error = response.get_json()["error"]
    return response.status_code, error["name"], error["message"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_guest_signs_in(ask, method):
    response = ask.open("/api/auth/guest/refresh", method=method)

    body = response.get_json()
    token = body["backstageIdentity"].pop("token")
    assert body == {
        "profile": {},
        "backstageIdentity": {
            "identity": {
                "type": "user",
                "userEntityRef": "user:default/guest",
                "ownershipEntityRefs": ["user:default/guest"],
            },
            "expiresInSeconds": 3599,
        },
    }
    assert peek(token).claims["iss"] == BASE


def test_a_guest_of_the_catalog_owns_what_their_groups_own(make_client):
    ask = make_client(memberships={str(GUEST): ["group:default/a", "group:default/b"]})

    owned = sign_in(ask)["identity"]["ownershipEntityRefs"]

    assert owned == ["user:default/guest", "group:default/a", "group:default/b"]


def test_a_guest_who_is_not_in_the_catalog_owns_what_the_settings_say(make_client):
    group = EntityRef("group", "default", "visitors")
    ask = make_client(GuestSettings(GUEST, (group,), is_allowed_outside_development=True))

    assert sign_in(ask)["identity"]["ownershipEntityRefs"] == ["group:default/visitors"]


def test_outside_development_a_guest_needs_permission(make_client):
    response = make_client(AT_HOME).get("/api/auth/guest/refresh")

    assert error_of(response)[:2] == (403, "NotAllowedError")
    assert "auth.providers.guest.dangerouslyAllowOutsideDevelopment" in error_of(response)[2]


@pytest.mark.parametrize("path", ["/guest/start?env=development", "/guest/handler/frame"])
def test_a_guest_does_not_go_through_a_window(ask, path):
    assert error_of(ask.get(f"/api/auth{path}")) == (
        501,
        "NotImplementedError",
        "Not implemented",
    )


@pytest.mark.parametrize(
    ("method", "path", "provider"),
    [
        ("POST", "/guest/logout", "guest"),
        ("GET", "/nosuch/refresh", "nosuch"),
        ("GET", "/github", "github"),
        ("DELETE", "/github/start?env=x", "github"),
        ("GET", "/v1/nothing", "v1"),
    ],
)
def test_every_other_path_is_that_of_an_unknown_provider(ask, method, path, provider):
    response = ask.open(f"/api/auth{path}", method=method)

    assert error_of(response) == (404, "NotFoundError", f"Unknown auth provider '{provider}'")
    assert response.get_json()["request"] == {"method": method, "url": path}


def test_without_a_guest_the_guest_is_unknown_too(make_client):
    response = make_client(None).get("/api/auth/guest/refresh")

    assert error_of(response)[2] == "Unknown auth provider 'guest'"


def test_userinfo_tells_what_a_user_owned_at_sign_in(ask):
    token = sign_in(ask)["token"]

    for sent in (token, limited_token(token)[0]):
        assert ask.get("/api/auth/v1/userinfo", headers=bearer(sent)).get_json() == {
            "claims": {"sub": "user:default/guest", "ent": ["user:default/guest"]}
        }


def test_userinfo_is_for_users(ask):
    assert error_of(ask.get("/api/auth/v1/userinfo")) == (
        401,
        "AuthenticationError",
        "No token provided",
    )
    assert error_of(ask.get("/api/auth/v1/userinfo", headers=bearer(STATIC))) == (
        400,
        "InputError",
        "Userinfo endpoint must be called with a token that represents a user principal",
    )
    assert error_of(ask.get("/api/auth/v1/userinfo", headers=bearer("nope")))[2] == "Illegal token"


def test_userinfo_of_somebody_who_never_signed_in_here_is_a_text(ask, small_database):
    token = sign_in(ask)["token"]
    with small_database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM user_info")

    response = ask.get("/api/auth/v1/userinfo", headers=bearer(token))

    assert (response.status_code, response.text) == (404, "User info not found")


def test_keys_are_listed_once_a_token_was_issued(ask):
    assert ask.get("/api/auth/.well-known/jwks.json").get_json() == {"keys": []}

    kid = peek(sign_in(ask)["token"]).header["kid"]

    [key] = ask.get("/api/auth/.well-known/jwks.json").get_json()["keys"]
    assert key["kid"] == kid
    assert ask.get("/api/catalog/.backstage/auth/v1/jwks.json").get_json() == {"keys": []}


def test_discovery_names_the_endpoints_under_the_issuer(ask):
    document = ask.get("/api/auth/.well-known/openid-configuration").get_json()

    assert document["issuer"] == BASE
    assert document["jwks_uri"] == f"{BASE}/.well-known/jwks.json"
    assert document["userinfo_endpoint"] == f"{BASE}/v1/userinfo"


def test_the_guest_may_call_plugins_and_gets_a_cookie(ask):
    token = sign_in(ask)["token"]

    response = ask.get("/api/catalog/.backstage/auth/v1/cookie", headers=bearer(token))

    assert response.get_json() == {"expiresAt": "2026-11-23T22:00:00.000Z"}
    limited = limited_token(token)[0]
    assert response.headers["Set-Cookie"].startswith(f"backstage-auth={limited}; Domain=localhost")
    assert ask.get("/api/catalog/x", headers=bearer(limited)).get_json()["error"]["message"] == (
        "Illegal limited user token"
    )


def test_a_plugins_token_for_a_user_gets_the_users_cookie(ask, access):
    user = sign_in(ask)["token"]
    token = access.plugin_token("app", "catalog", on_behalf_of=user)

    response = ask.get("/api/catalog/.backstage/auth/v1/cookie", headers=bearer(token))

    assert limited_token(user)[0] in response.headers["Set-Cookie"]


def test_a_restricted_token_is_let_in_where_it_belongs(ask):
    assert ask.get("/api/catalog/x", headers=bearer(RESTRICTED)).status_code == 404
