"""The forms of tokens (CONTRACT 3.1): writing, taking apart and verifying them.

A user token carries the signature of its own shortened form (`uip`), so that whoever holds the
full token can make the limited one out of it, but not the other way round.
"""

from __future__ import annotations

import base64
import binascii
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwt import JWTClaimsRegistry

from app.access.keys import Key, SigningKey
from app.errors import AuthenticationError

USER = "vnd.backstage.user"
LIMITED_USER = "vnd.backstage.limited-user"
PLUGIN = "vnd.backstage.plugin"
AUDIENCE = "backstage"
CLOCK_SKEW = 60
_JWT_PARTS = 3

# RFC 9864 renames the algorithm; Backstage's clients know it by the old name.
warnings.filterwarnings("ignore", "EdDSA is deprecated", SecurityWarning)


@dataclass(frozen=True, slots=True)
class Peeked:
    """What a token says of itself, nothing of which is to be believed."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def type(self) -> object:
        """The `typ` of its header; what is no text there is no type of ours."""
        found = self.header.get("typ")
        return found if found is None or isinstance(found, str) else repr(found)


def peek(token: str) -> Peeked | None:
    """Take a JWT apart without verifying it; None if it is none."""
    parts = token.split(".")
    if len(parts) != _JWT_PARTS:
        return None
    try:
        header, claims = (orjson.loads(_decode(part)) for part in parts[:2])
    except ValueError:
        return None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        return None
    return Peeked(header, claims)


@dataclass(frozen=True, slots=True)
class Lifespan:
    """When a token was issued and when it expires, in seconds since the epoch."""

    issued_at: int
    expires_at: int

    @classmethod
    def starting(cls, now: datetime, lifetime: timedelta) -> Lifespan:
        """Begin now, in whole seconds."""
        issued_at = int(now.timestamp())
        return cls(issued_at, issued_at + int(lifetime.total_seconds()))


def user_token(
    signing: SigningKey,
    issuer: str,
    subject: str,
    span: Lifespan,
    ownership: list[str] | None = None,
) -> str:
    """Write a user token; `ownership` becomes its `ent` if it is to carry that."""
    proven = {"sub": subject, "iat": span.issued_at, "exp": span.expires_at}
    proof = _sign(signing, LIMITED_USER, proven).rpartition(".")[2]
    owned = {} if ownership is None else {"ent": ownership}
    claims = {
        "iss": issuer,
        "sub": subject,
        **owned,
        "aud": AUDIENCE,
        "iat": span.issued_at,
        "exp": span.expires_at,
        "uip": proof,
    }
    return _sign(signing, USER, claims)


def plugin_token(
    signing: SigningKey, source: str, target: str, span: Lifespan, on_behalf_of: str | None = None
) -> str:
    """Write a token with which the plugin `source` calls `target`, maybe for a user."""
    claims: dict[str, Any] = {
        "sub": source,
        "aud": target,
        "iat": span.issued_at,
        "exp": span.expires_at,
    }
    if on_behalf_of is not None:
        claims["obo"] = on_behalf_of
    return _sign(signing, PLUGIN, claims)


def limited_token(token: str) -> tuple[str, int]:
    """Shorten a verified user token to its limited form; answer that and when it expires.

    What cannot be shortened (a limited or a legacy token) stays as it is; a plugin's token for a
    user holds the limited form already.
    """
    peeked = peek(token)
    if peeked is None:
        raise AuthenticationError("Failed to create limited user token, invalid token type")
    header, claims = peeked.header, peeked.claims
    if peeked.type == PLUGIN and "obo" in claims:
        return limited_token(str(claims["obo"]))
    if peeked.type == USER and claims.get("uip"):
        short_header = {"typ": LIMITED_USER, "alg": header.get("alg"), "kid": header.get("kid")}
        proven = {name: claims.get(name) for name in ("sub", "iat", "exp")}
        parts = (_encode(orjson.dumps(part)) for part in (short_header, proven))
        token = ".".join((*parts, claims["uip"]))
    elif peeked.type not in {None, LIMITED_USER, USER}:
        raise AuthenticationError("Failed to create limited user token, invalid token type")
    return token, int(claims["exp"])


def verified_claims(
    token: str, key: Key | Any, algorithm: str, now: datetime, **required: Any
) -> dict[str, Any] | None:
    """Answer the claims of a token that `key` signed and that is valid now; else None.

    `required` claims have to be there, with the value given unless that is None.
    """
    options: dict[str, Any] = {
        name: {"essential": True} if value is None else {"essential": True, "value": value}
        for name, value in required.items()
    }
    registry = JWTClaimsRegistry(now=int(now.timestamp()), leeway=CLOCK_SKEW, **options)
    try:
        payload = jws.deserialize_compact(token, key, algorithms=[algorithm]).payload
        claims = orjson.loads(payload or b"")
        registry.validate(claims)
    except (JoseError, ValueError, TypeError, AttributeError):
        return None
    return claims if isinstance(claims, dict) else None


def _sign(signing: SigningKey, kind: str, claims: Mapping[str, Any]) -> str:
    header = {"typ": kind, "alg": signing.algorithm, "kid": signing.kid}
    payload = orjson.dumps(dict(claims))
    return jws.serialize_compact(header, payload, signing.key, algorithms=[signing.algorithm])


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError(str(error)) from None
