"""The forms of tokens."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from app.access.keys import SigningKey
from app.access.tokens import (
    LIMITED_USER,
    USER,
    Lifespan,
    limited_token,
    peek,
    plugin_token,
    user_token,
    verified_claims,
)
from app.errors import AuthenticationError

from .conftest import Clock

CLOCK = Clock()
SIGNING = SigningKey("key-1", "ES256", ECKey.generate_key("P-256"), CLOCK() + timedelta(hours=1))
SPAN = Lifespan.starting(CLOCK(), timedelta(hours=1))


def a_user_token(**options) -> str:
    return user_token(SIGNING, "http://x/api/auth", "user:default/ada", SPAN, **options)


def test_a_user_token_has_the_header_and_claims_of_backstage_in_their_order():
    peeked = peek(a_user_token())

    assert list(peeked.header.items()) == [("typ", USER), ("alg", "ES256"), ("kid", "key-1")]
    assert list(peeked.claims) == ["iss", "sub", "aud", "iat", "exp", "uip"]
    assert peeked.claims["exp"] - peeked.claims["iat"] == 3600


def test_ownership_is_a_claim_only_if_it_is_wanted():
    assert peek(a_user_token(ownership=["group:default/a"])).claims["ent"] == ["group:default/a"]


def test_the_limited_token_is_what_the_proof_in_the_full_token_signs():
    limited, expires_at = limited_token(a_user_token())

    peeked = peek(limited)
    assert list(peeked.header.items()) == [
        ("typ", LIMITED_USER),
        ("alg", "ES256"),
        ("kid", "key-1"),
    ]
    assert list(peeked.claims) == ["sub", "iat", "exp"]
    assert expires_at == SPAN.expires_at
    assert verified_claims(limited, SIGNING.key, "ES256", CLOCK()) is not None


def test_a_limited_token_is_its_own_limited_form():
    limited, _ = limited_token(a_user_token())

    assert limited_token(limited)[0] == limited


def test_a_plugins_token_for_a_user_holds_the_limited_form():
    limited, _ = limited_token(a_user_token())
    token = plugin_token(SIGNING, "search", "catalog", SPAN, limited)

    assert limited_token(token)[0] == limited


def test_a_plugins_own_token_cannot_be_shortened():
    with pytest.raises(AuthenticationError, match="invalid token type"):
        limited_token(plugin_token(SIGNING, "search", "catalog", SPAN))


@pytest.mark.parametrize(
    ("seconds", "valid"), [(0, True), (3600, True), (3659, True), (3661, False), (-61, False)]
)
def test_a_token_is_good_for_its_time_and_one_minute_of_skew(seconds, valid):
    now = CLOCK() + timedelta(seconds=seconds)

    claims = verified_claims(a_user_token(), SIGNING.key, "ES256", now, iat=None, exp=None)

    assert (claims is not None) == valid


def test_another_algorithm_than_the_keys_is_refused():
    assert verified_claims(a_user_token(), SIGNING.key, "ES384", CLOCK()) is None


def test_a_claim_that_is_required_has_to_be_there_and_right():
    token = plugin_token(SIGNING, "search", "catalog", SPAN)

    assert verified_claims(token, SIGNING.key, "ES256", CLOCK(), aud="catalog") is not None
    assert verified_claims(token, SIGNING.key, "ES256", CLOCK(), aud="scaffolder") is None
    assert verified_claims(token, SIGNING.key, "ES256", CLOCK(), iss=None) is None


@given(position=st.integers(0, 400), character=st.sampled_from("Aq_-."))
def test_a_token_changed_anywhere_is_not_verified(position, character):
    token = a_user_token()
    position %= len(token)
    changed = token[:position] + character + token[position + 1 :]

    if changed != token:
        assert verified_claims(changed, SIGNING.key, "ES256", CLOCK()) is None


@given(st.text() | st.text("ab.-_=", max_size=12))
def test_peeking_into_anything_never_fails(text):
    assert peek(text) is None


@given(st.lists(st.binary(max_size=9), min_size=3, max_size=3))
def test_peeking_into_odd_parts_never_fails(parts):
    peek(".".join(orjson.dumps(part.hex()).decode() for part in parts))
