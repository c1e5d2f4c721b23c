"""Tokens of foreign issuers: which keys are believed, and how often they are read."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace

import orjson
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from app.access.jwks import (
    BELIEVED,
    FRESH,
    MAX_BYTES,
    PATIENCE,
    PATIENCE_AFTER_FAILURE,
    ForeignIssuer,
    PublishedKeys,
    UnusableKeysError,
    fetch_keys,
)
from app.access.service import AccessService, AccessSettings
from app.access.tokens import peek
from app.errors import AuthenticationError, NotAllowedError
from app.settings import AccessRestriction, JwksAccess
from app.web.principals import AccessRestrictions, ServicePrincipal
from app.web.waiting import HoldsUpError
from tests.app.scm.web_server import web_server

URL = "https://issuer.example/keys"
KEYS = {
    "ES256": ECKey.generate_key("P-256"),
    "ES384": ECKey.generate_key("P-384"),
    "RS256": RSAKey.generate_key(2048),
    "PS512": RSAKey.generate_key(2048),
    "EdDSA": OKPKey.generate_key("Ed25519"),
}
EC = KEYS["ES256"]
OTHER = ECKey.generate_key("P-256")


def published(**keys):
    """Write a key set; what has an underscore at its end is the kid."""
    return orjson.dumps(
        {"keys": [{**key.as_dict(private=False), "kid": kid} for kid, key in keys.items()]}
    )


def token(key=EC, kid="one", algorithm="ES256", **claims):
    header = {"alg": algorithm, **({} if kid is None else {"kid": kid})}
    return jws.serialize_compact(header, orjson.dumps(claims), key, algorithms=[algorithm])


class Issuer:
    """An issuer that counts how often its keys are read, in a time that stands still."""

    def __init__(self, answer=b"", **access):
        self.answer, self.reads, self.time = answer or published(one=EC), 0, 1000.0
        self.keys = PublishedKeys(URL, self.fetch, lambda: self.time)
        self.foreign = ForeignIssuer(JwksAccess(URL, **access), self.keys)

    def fetch(self, url):
        assert url == URL
        self.reads += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def subject(self, text, now):
        return self.foreign.subject(text, peek(text), now)


@pytest.fixture
def now(clock):
    return clock()


@pytest.fixture
def claims(now):
    return {"sub": "deploy", "exp": int(now.timestamp()) + 600}


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("algorithm", KEYS)
def test_a_token_signed_with_a_published_key_stands_for_its_subject(now, claims, algorithm):
    key = KEYS[algorithm]
    issuer = Issuer(published(one=key))

    assert issuer.subject(token(key, algorithm=algorithm, **claims), now) == "external:deploy"


def test_the_subject_may_get_a_prefix(now, claims):
    assert Issuer(subject_prefix="ci").subject(token(**claims), now) == "external:ci:deploy"


def test_a_token_with_another_signature_stands_for_nobody(now, claims):
    assert Issuer().subject(token(OTHER, **claims), now) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"exp": 1},
        {"nbf": 9_999_999_999},
        {"sub": ""},
        {"sub": None},
        {"sub": 5},
        {"sub": "a\nb"},
        {"sub": "a\0"},
        {"exp": "never"},
        {"iss": "other"},
        {"iss": None},
        {"aud": "other"},
        {"aud": ["other", None, {}]},
        {"aud": {"callboard": 1}},
    ],
)
def test_claims_that_are_not_right_stand_for_nobody(now, claims, wrong):
    issuer = Issuer(issuers=("me",), audiences=("callboard",))
    right = {**claims, "iss": "me", "aud": ["x", "callboard"]}

    assert issuer.subject(token(**right), now) == "external:deploy"
    assert issuer.subject(token(**{**right, **wrong}), now) is None


def test_a_token_need_not_expire_and_need_not_name_its_key(now):
    assert Issuer().subject(token(kid=None, sub="x"), now) == "external:x"


def test_only_algorithms_of_the_configuration_are_taken(now, claims):
    issuer = Issuer(published(one=EC, two=KEYS["RS256"]), algorithms=("RS256",))

    assert issuer.subject(token(**claims), now) is None
    rsa = token(KEYS["RS256"], "two", "RS256", **claims)
    assert issuer.subject(rsa, now) == "external:deploy"


@pytest.mark.parametrize("algorithms", [(), ("HS256",), ("none", "HS256")])
def test_what_is_public_is_never_a_shared_secret(now, claims, algorithms):
    jwk = orjson.dumps(EC.as_dict(private=False))
    secret = OctKey.import_key(jwk)
    answer = orjson.dumps({"keys": [{**secret.as_dict(), "kid": "one"}]})
    for issuer in (Issuer(algorithms=algorithms), Issuer(answer, algorithms=algorithms)):
        assert issuer.subject(token(secret, algorithm="HS256", **claims), now) is None
        head, body, _ = token(**claims).split(".")
        assert issuer.subject(f"{head}.{body}.", now) is None


@pytest.mark.parametrize(
    "more", [{"use": "enc"}, {"alg": "ES384"}, {"key_ops": ["sign"]}, {"key_ops": "verify"}]
)
def test_a_key_for_something_else_verifies_nothing(now, claims, more):
    jwk = {**EC.as_dict(private=False), "kid": "one"}
    good, bad = (orjson.dumps({"keys": [{**jwk, **parts}]}) for parts in ({}, more))

    assert Issuer(good).subject(token(**claims), now) == "external:deploy"
    assert Issuer(bad).subject(token(**claims), now) is None


def test_keys_that_are_of_no_use_do_not_spoil_those_beside_them(now, claims):
    jwk = {**EC.as_dict(private=False), "kid": "one"}
    odd = [None, 5, {}, {"kty": "X"}, {"kty": "EC"}, {**jwk, "x": "!"}, {**jwk, "crv": 7}]
    issuer = Issuer(orjson.dumps({"keys": [*odd, jwk]}))

    assert issuer.subject(token(**claims), now) == "external:deploy"


def test_keys_are_read_once_while_they_are_fresh(now, claims):
    issuer = Issuer()
    for _ in range(5):
        assert issuer.subject(token(**claims), now)
        issuer.time += FRESH / 10
    assert issuer.reads == 1

    issuer.time += FRESH
    assert issuer.subject(token(**claims), now)
    assert issuer.reads == 2


def test_a_key_that_is_new_is_found_as_soon_as_it_is_used(now, claims):
    issuer = Issuer()
    assert issuer.subject(token(**claims), now)
    issuer.answer = published(one=EC, two=OTHER)
    issuer.time += PATIENCE

    assert issuer.subject(token(OTHER, "two", **claims), now)
    assert issuer.reads == 2


def test_a_key_that_is_gone_ceases_to_count(now, claims):
    issuer = Issuer()
    assert issuer.subject(token(**claims), now)
    issuer.answer = published(two=OTHER)
    issuer.time += FRESH + 1

    assert issuer.subject(token(**claims), now) is None


def test_strangers_do_not_make_it_read_again_and_again(now, claims):
    issuer = Issuer()
    for number in range(50):
        assert issuer.subject(token(OTHER, f"k{number}", **claims), now) is None
        issuer.time += PATIENCE / 20

    assert issuer.reads == 3


def test_a_token_meant_for_somebody_else_makes_it_read_nothing(now, claims):
    issuer = Issuer(audiences=("callboard",))

    assert issuer.subject(token(**claims, aud="other"), now) is None
    assert issuer.reads == 0


@pytest.mark.parametrize(
    "failure",
    [
        OSError("down"),
        UnusableKeysError("status 500"),
        b"no json",
        b"[]",
        b"{}",
        b'{"keys": 5}',
        orjson.dumps({"keys": [{}] * 101}),
    ],
)
def test_an_issuer_that_fails_is_asked_again_and_believed_for_an_hour(now, claims, failure, caplog):
    issuer = Issuer()
    good = issuer.answer
    assert issuer.subject(token(**claims), now)
    issuer.answer = failure
    issuer.time += FRESH + 1

    assert issuer.subject(token(**claims), now) == "external:deploy"
    assert issuer.subject(token(**claims), now) == "external:deploy"
    assert issuer.reads == 2
    assert "cannot read the keys of an issuer" in caplog.text

    issuer.time += BELIEVED
    assert issuer.subject(token(**claims), now) is None

    issuer.answer = good
    issuer.time += PATIENCE_AFTER_FAILURE
    assert issuer.subject(token(**claims), now) == "external:deploy"


def test_many_at_once_read_once(now, claims):
    issuer = Issuer()
    fetch = issuer.fetch
    issuer.keys._fetch = lambda url: (time.sleep(0.05), fetch(url))[1]
    found = []
    text = token(**claims)
    threads = [
        threading.Thread(target=lambda: found.append(issuer.subject(text, now))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == ["external:deploy"] * 8
    assert issuer.reads == 1


def test_on_the_event_loop_nothing_is_waited_for(now, claims):
    issuer = Issuer()
    text = token(**claims)

    async def called():
        with pytest.raises(HoldsUpError):
            issuer.subject(text, now)

    asyncio.run(called())
    assert issuer.reads == 0
    assert issuer.subject(text, now)

    async def known():
        return issuer.subject(text, now)

    assert asyncio.run(known()) == "external:deploy"


def test_keys_come_from_a_server_without_following_it_elsewhere():
    with web_server() as site:
        keys = published(one=EC)
        fetch = fetch_keys()
        assert fetch(site.answer("/keys", keys)) == keys
        for url, message in (
            (site.redirect("/moved", "/keys"), "status 302"),
            (site.answer("/gone", b"", 404), "status 404"),
            (site.answer("/huge", b"x" * (MAX_BYTES + 1)), "more than"),
        ):
            with pytest.raises(UnusableKeysError, match=message):
                fetch(url)


def test_a_foreign_token_passes_the_barrier_with_its_restrictions(small_database, clock, claims):
    with web_server() as site:
        open_access = JwksAccess(site.answer("/keys", published(one=EC)))
        narrow = replace(
            open_access,
            url=site.answer("/other", published(two=OTHER)),
            subject_prefix="ci",
            restrictions=(AccessRestriction("catalog", ("catalog.entity.read",)),),
        )
        access = AccessService(
            small_database, AccessSettings("http://localhost", (open_access, narrow)), clock
        )
        ours, theirs = token(**claims), token(OTHER, "two", **claims)

        assert access.authenticate(ours, "scaffolder") == ServicePrincipal("external:deploy")
        assert access.authenticate(theirs, "catalog") == ServicePrincipal(
            "external:ci:deploy", AccessRestrictions(("catalog.entity.read",))
        )
        with pytest.raises(NotAllowedError, match="restricted to plugin"):
            access.authenticate(theirs, "scaffolder")
        clock.forward(minutes=20)
        with pytest.raises(AuthenticationError, match=r"^Illegal token$"):
            access.authenticate(ours, "catalog")
