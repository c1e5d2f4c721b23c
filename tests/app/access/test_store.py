"""Public keys and user info in the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.access.store import KeyStore, PublicKey, UserInfoStore

NOW = datetime(2026, 11, 23, 21, 0, tzinfo=UTC)


def a_key(kid: str, owner: str = "auth", hours: int = 3) -> PublicKey:
    return PublicKey(kid, owner, {"kty": "EC", "kid": kid}, NOW + timedelta(hours=hours))


def test_a_key_is_found_as_it_was_added(database):
    with database.begin() as connection:
        KeyStore(connection).add(a_key("k"), NOW)

    with database.snapshot() as connection:
        assert KeyStore(connection).find("k") == a_key("k")
        assert KeyStore(connection).find("other") is None


def test_only_the_owners_keys_that_have_not_expired_are_listed_oldest_first(database):
    with database.begin() as connection:
        store = KeyStore(connection)
        store.add(a_key("second"), NOW + timedelta(minutes=1))
        store.add(a_key("first"), NOW)
        store.add(a_key("expired", hours=0), NOW)
        store.add(a_key("foreign", owner="plugin:search"), NOW)

        assert [key.kid for key in store.of_owner("auth", NOW)] == ["first", "second"]


def test_expired_keys_are_removed(database):
    with database.begin() as connection:
        store = KeyStore(connection)
        store.add(a_key("expired", hours=1), NOW)
        store.add(a_key("good"), NOW)

        store.remove_expired(NOW + timedelta(hours=1))

        assert store.find("expired") is None
        assert store.find("good") is not None


def test_the_last_sign_in_says_what_a_user_owns(database):
    with database.begin() as connection:
        store = UserInfoStore(connection)
        assert store.find("user:default/ada") is None
        store.put("user:default/ada", {"ent": ["a"]}, NOW)
        store.put("user:default/ada", {"ent": ["b", "c"]}, NOW)

    with database.snapshot() as connection:
        assert UserInfoStore(connection).find("user:default/ada") == {"ent": ["b", "c"]}
