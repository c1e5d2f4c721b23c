"""Who a token stands for."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import orjson
import pytest
from joserfc import jws
from joserfc.jwk import OctKey

from app.access.service import AccessService, AccessSettings
from app.access.tokens import limited_token, peek
from app.errors import AuthenticationError, NotAllowedError
from app.model.ref import EntityRef
from app.web.principals import AccessRestrictions, ServicePrincipal, UserPrincipal

from .conftest import RESTRICTED, SECRET, STATIC

ADA = EntityRef("user", "default", "ada")


def unsigned(header: dict[str, object], claims: dict[str, object]) -> str:
    parts = (base64.urlsafe_b64encode(orjson.dumps(p)).rstrip(b"=") for p in (header, claims))
    return b".".join((*parts, b"AAAA")).decode()


def test_a_static_token_is_its_subject_to_every_plugin(access):
    assert access.authenticate(STATIC, "catalog") == ServicePrincipal("ci")
    assert access.authenticate(STATIC, "scaffolder") == ServicePrincipal("ci")


def test_a_restricted_token_brings_its_restrictions_along(access):
    assert access.authenticate(RESTRICTED, "catalog") == ServicePrincipal(
        "crawler", AccessRestrictions(("catalog.entity.read",), ("read",))
    )


def test_a_restricted_token_names_its_plugins_to_all_others(access):
    with pytest.raises(NotAllowedError) as raised:
        access.authenticate(RESTRICTED, "scaffolder")

    assert str(raised.value) == (
        "This token's access is restricted to plugin(s) 'catalog', 'search'"
    )


@pytest.mark.parametrize("token", ["not-a-token", STATIC[:-1], STATIC + "x", "a.b.c", "…", ""])
def test_what_is_no_token_is_illegal(access, token):
    with pytest.raises(AuthenticationError, match=r"^Illegal token$"):
        access.authenticate(token, "catalog")


def test_a_user_token_stands_for_its_user(access):
    signed_in = access.sign_in(ADA, ["user:default/ada"])

    principal = access.authenticate(signed_in.token, "catalog")

    assert principal == UserPrincipal(ADA)
    assert principal.expires_at == peek(signed_in.token).claims["exp"]


def test_another_process_verifies_what_this_one_signed(access, other_process):
    signed_in = access.sign_in(ADA, [])

    assert other_process.authenticate(signed_in.token, "catalog") == UserPrincipal(ADA)


def test_a_verified_token_is_recognised_without_its_key(access, small_database):
    token = access.sign_in(ADA, []).token
    access.authenticate(token, "catalog")
    small_database.engine.dispose()
    with small_database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM signing_key")

    assert access.authenticate(token, "catalog") == UserPrincipal(ADA)


def test_a_verified_token_expires_all_the_same(access, clock):
    token = access.sign_in(ADA, []).token
    access.authenticate(token, "catalog")

    clock.forward(hours=1, seconds=61)

    with pytest.raises(AuthenticationError, match="Failed user token verification"):
        access.authenticate(token, "catalog")


def test_a_limited_token_is_good_only_where_that_is_allowed(access):
    token, _ = limited_token(access.sign_in(ADA, []).token)

    assert access.authenticate(token, "techdocs", limited=True) == UserPrincipal(ADA)
    with pytest.raises(AuthenticationError, match=r"^Illegal limited user token$"):
        access.authenticate(token, "catalog")


@pytest.mark.parametrize(
    "kind",
    [
        "vnd.backstage.user",
        "vnd.backstage.limited-user",
        "JWT",
        ["vnd.backstage.user"],
        {},
        5,
        None,
    ],
)
def test_a_forged_user_token_fails_as_one(access, kind):
    claims = {"sub": "user:default/ada", "aud": "backstage", "iat": 1, "exp": 9_999_999_999}
    token = unsigned({"alg": "none", "typ": kind}, claims)

    with pytest.raises(AuthenticationError, match=r"^Failed user token verification$"):
        access.authenticate(token, "catalog")


def test_a_forged_plugin_token_fails_as_one(access):
    token = unsigned({"alg": "none", "typ": "vnd.backstage.plugin"}, {"sub": "search"})

    with pytest.raises(AuthenticationError, match=r"^Failed plugin token verification$"):
        access.authenticate(token, "catalog")


def test_a_plugin_calls_another_as_a_service(access, other_process):
    token = access.plugin_token("search", "catalog")

    assert other_process.authenticate(token, "catalog") == ServicePrincipal("plugin:search")


def test_a_plugin_token_is_good_for_its_target_only_however_often_it_was_verified(access):
    token = access.plugin_token("search", "catalog")
    access.authenticate(token, "catalog")

    for _ in range(2):
        with pytest.raises(AuthenticationError, match="Failed plugin token verification"):
            access.authenticate(token, "scaffolder")


def test_a_plugin_acts_for_a_user_until_the_users_token_expires(access, clock):
    user = access.sign_in(ADA, []).token
    clock.forward(minutes=30)
    token = access.plugin_token("search", "catalog", on_behalf_of=user)

    assert access.authenticate(token, "catalog") == UserPrincipal(ADA, "plugin:search")
    assert peek(token).claims["exp"] == peek(user).claims["exp"]


@pytest.mark.parametrize("user", ["rubbish", 7])
def test_a_plugin_acts_for_nobody_with_a_token_that_is_no_users(access, clock, user):
    claims = {"sub": "search", "aud": "catalog", "iat": 1, "exp": 9_999_999_999, "obo": user}
    signing = access._plugin_keys.current("plugin:search")
    header = {"typ": "vnd.backstage.plugin", "alg": "ES256", "kid": signing.kid}
    token = jws.serialize_compact(header, orjson.dumps(claims), signing.key, ["ES256"])

    with pytest.raises(AuthenticationError, match="Invalid user token in plugin token obo claim"):
        access.authenticate(token, "catalog")


def test_a_token_for_something_that_is_no_user_fails(access):
    signing = access._user_keys.current("auth")
    header = {"typ": "vnd.backstage.user", "alg": "ES256", "kid": signing.kid}
    claims = {"sub": "ada", "iat": 1, "exp": 9_999_999_999}
    token = jws.serialize_compact(header, orjson.dumps(claims), signing.key, ["ES256"])

    with pytest.raises(AuthenticationError, match="Failed user token verification"):
        access.authenticate(token, "catalog")


def test_a_plugins_key_does_not_sign_for_users(access):
    access.plugin_token("auth", "catalog")

    assert access.user_keys() == []
    assert len(access.public_keys("auth")) == 1


def test_an_old_backends_token_is_the_subject_of_its_secret(access):
    header, claims = {"alg": "HS256"}, orjson.dumps({"sub": "backstage-server"})
    token = jws.serialize_compact(header, claims, OctKey.import_key(SECRET), ["HS256"])
    other = jws.serialize_compact(header, claims, OctKey.import_key(b"y" * 32), ["HS256"])

    with_audience = orjson.dumps({"sub": "backstage-server", "aud": "x"})
    strange = jws.serialize_compact(header, with_audience, OctKey.import_key(SECRET), ["HS256"])

    assert access.authenticate(token, "catalog") == ServicePrincipal("external:old")
    with pytest.raises(AuthenticationError, match="Illegal token"):
        access.authenticate(strange, "catalog")
    with pytest.raises(AuthenticationError, match="Illegal token"):
        access.authenticate(other, "catalog")


def test_what_a_user_owns_is_kept_at_sign_in(access, other_process):
    access.sign_in(ADA, ["user:default/ada", "group:default/a", "group:default/a"])

    assert other_process.user_info(ADA) == {
        "sub": "user:default/ada",
        "ent": ["user:default/ada", "group:default/a"],
    }
    assert other_process.ownership(EntityRef("user", "default", "nobody")) == [
        "user:default/nobody"
    ]


def test_a_token_lasts_a_little_less_than_its_lifetime(access):
    assert access.sign_in(ADA, []).expires_in == 3599


def test_remembered_tokens_are_bounded(access, monkeypatch):
    monkeypatch.setattr("app.access.verifier.REMEMBERED", 2)
    tokens = [access.sign_in(ADA, []).token for _ in range(5)]

    assert {access.authenticate(token, "catalog") for token in tokens * 2} == {UserPrincipal(ADA)}
    assert len(access._verifier._verified) <= 2


def test_the_cookie_holds_the_limited_token(access):
    signed_in = access.sign_in(ADA, [])
    limited, _ = limited_token(signed_in.token)

    cookie = access.user_cookie(signed_in.token, None)

    assert cookie.expires_at == "2026-11-23T22:00:00.000Z"
    assert cookie.header == (
        f"backstage-auth={limited}; Domain=localhost; Path=/; "
        "Expires=Mon, 23 Nov 2026 22:00:00 GMT; HttpOnly; Secure; Priority=High; SameSite=None"
    )


def test_a_cookie_that_lasts_is_kept_and_one_that_ends_soon_is_renewed(access, clock):
    old = access.sign_in(ADA, []).token
    existing, _ = limited_token(old)

    assert access.user_cookie(old, existing).header is None

    clock.forward(minutes=56)
    new = access.sign_in(ADA, []).token
    assert access.user_cookie(new, existing).header is not None
    assert access.user_cookie(new, "rubbish").header is not None
    assert access.user_cookie(new, STATIC).header is not None


def test_a_cookie_for_a_plain_http_host_is_not_secure(small_database, clock):
    access = AccessService(small_database, AccessSettings("http://portal.example.org"), clock)

    assert access.cleared_cookie() == (
        "backstage-auth=; Domain=portal.example.org; Path=/; "
        "Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Priority=High; SameSite=Lax"
    )


def test_the_clock_of_the_service_is_the_worlds(small_database):
    access = AccessService(small_database, AccessSettings("http://localhost"))

    token = access.sign_in(ADA, []).token

    assert abs(peek(token).claims["iat"] - datetime.now(UTC).timestamp()) < 5
