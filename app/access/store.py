"""Public keys and what users own, in the database: what every process has to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from app.db.tables import signing_key, user_info


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half of a key that signs for `owner` (see `app.access.keys`)."""

    kid: str
    owner: str
    jwk: Mapping[str, str]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class KeyStore:
    """Public keys inside one transaction."""

    connection: Connection

    def add(self, key: PublicKey, now: datetime) -> None:
        """Publish a key."""
        self.connection.execute(
            insert(signing_key).values(
                kid=key.kid,
                plugin=key.owner,
                jwk=orjson.dumps(dict(key.jwk)).decode(),
                created_at=now,
                expires_at=key.expires_at,
            )
        )

    def find(self, kid: str) -> PublicKey | None:
        """Look up one key."""
        row = self.connection.execute(
            select(signing_key).where(signing_key.c.kid == kid)
        ).one_or_none()
        return None if row is None else _public_key(row)

    def of_owner(self, owner: str, now: datetime) -> list[PublicKey]:
        """Answer the keys of `owner` that may still have signed something valid, oldest first."""
        rows = self.connection.execute(
            select(signing_key)
            .where(signing_key.c.plugin == owner, signing_key.c.expires_at > now)
            .order_by(signing_key.c.created_at, signing_key.c.kid)
        )
        return [_public_key(row) for row in rows]

    def remove_expired(self, now: datetime) -> None:
        """Forget keys whose tokens have all expired."""
        self.connection.execute(delete(signing_key).where(signing_key.c.expires_at <= now))


@dataclass(frozen=True, slots=True)
class UserInfoStore:
    """What users own, as of their last sign-in, inside one transaction."""

    connection: Connection

    def put(self, user_ref: str, claims: Mapping[str, Any], now: datetime) -> None:
        """Replace what is known of a user."""
        known = {"claims": orjson.dumps(dict(claims)).decode(), "updated_at": now}
        is_sqlite = self.connection.dialect.name == "sqlite"
        statement = (sqlite.insert if is_sqlite else postgresql.insert)(user_info)
        self.connection.execute(
            statement.values(user_ref=user_ref, **known).on_conflict_do_update(
                index_elements=[user_info.c.user_ref], set_=known
            )
        )

    def find(self, user_ref: str) -> dict[str, Any] | None:
        """Answer the claims of a user, None if they never signed in."""
        claims = self.connection.execute(
            select(user_info.c.claims).where(user_info.c.user_ref == user_ref)
        ).scalar_one_or_none()
        if claims is None:
            return None
        found: dict[str, Any] = orjson.loads(claims)
        return found


def _public_key(row: Any) -> PublicKey:
    # SQLite keeps no time zone; what we write is UTC.
    expires_at = row.expires_at.replace(tzinfo=row.expires_at.tzinfo or UTC)
    return PublicKey(row.kid, row.plugin, orjson.loads(row.jwk), expires_at)
