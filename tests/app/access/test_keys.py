"""Keys: made when needed, shared, replaced, forgotten."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.access.keys import AUTH, PublicKeys, SigningKeys, service
from app.access.store import KeyStore
from app.access.tokens import Lifespan, user_token, verified_claims

HOUR = timedelta(hours=1)


@pytest.fixture
def signing(small_database, clock) -> SigningKeys:
    return SigningKeys(small_database, algorithm="ES256", period=HOUR, clock=clock)


@pytest.fixture
def public(small_database, clock) -> PublicKeys:
    return PublicKeys(small_database, clock)


def test_no_key_is_published_before_one_is_needed(public):
    assert public.published(AUTH) == []


def test_a_key_is_published_as_backstage_writes_it(signing, public):
    key = signing.current(AUTH)

    [jwk] = public.published(AUTH)

    assert list(jwk) == ["kty", "x", "y", "crv", "kid", "alg"]
    assert (jwk["kty"], jwk["crv"], jwk["kid"], jwk["alg"]) == ("EC", "P-256", key.kid, "ES256")


def test_a_key_signs_for_one_period(signing, clock):
    first = signing.current(AUTH)
    clock.forward(minutes=59)
    assert signing.current(AUTH) is first

    clock.forward(minutes=2)

    assert signing.current(AUTH).kid != first.kid


def test_a_retired_key_verifies_until_its_last_token_has_expired(signing, public, clock):
    kid = signing.current(AUTH).kid

    clock.forward(hours=2, minutes=59)
    assert public.find(AUTH, kid) is not None

    clock.forward(minutes=2)
    assert public.find(AUTH, kid) is None
    assert public.published(AUTH) == []


def test_an_expired_key_is_removed_when_the_next_one_is_made(signing, small_database, clock):
    kid = signing.current(AUTH).kid
    clock.forward(hours=4)

    signing.current(AUTH)

    with small_database.snapshot() as connection:
        assert KeyStore(connection).find(kid) is None


def test_a_key_counts_for_its_owner_only(signing, public):
    kid = signing.current(service("search")).kid

    assert public.find(service("search"), kid) is not None
    assert public.find(AUTH, kid) is None


def test_a_key_that_was_taken_away_ceases_to_count_within_minutes(
    signing, public, small_database, clock
):
    kid = signing.current(AUTH).kid
    assert public.find(AUTH, kid) is not None
    with small_database.begin() as connection:
        KeyStore(connection).remove_expired(clock() + timedelta(days=1))

    clock.forward(minutes=6)

    assert public.find(AUTH, kid) is None


@pytest.mark.parametrize("kid", [None, 7, "", "a b", "x" * 65, "' OR 1=1"])
def test_an_id_that_is_no_id_is_not_looked_up(public, kid):
    assert public.find(AUTH, kid) is None


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "EdDSA", "RS256", "PS512"])
def test_every_configurable_algorithm_signs_and_verifies(small_database, clock, algorithm):
    keys = SigningKeys(small_database, algorithm=algorithm, period=HOUR, clock=clock)
    key = keys.current(AUTH)
    span = Lifespan.starting(clock(), HOUR)

    token = user_token(key, "http://x", "user:default/ada", span)

    found = PublicKeys(small_database, clock).find(AUTH, key.kid)
    assert verified_claims(token, found.key, found.algorithm, clock()) is not None
