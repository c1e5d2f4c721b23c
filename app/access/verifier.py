"""Verifying tokens: whom one stands for, in the order and the words of Backstage (CONTRACT 0.5)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.access.external import ExternalCallers
from app.access.keys import AUTH, TRUST, Clock, PublicKeys, service
from app.access.tokens import (
    AUDIENCE,
    CLOCK_SKEW,
    LIMITED_USER,
    PLUGIN,
    USER,
    Peeked,
    peek,
    verified_claims,
)
from app.errors import AuthenticationError, InputError
from app.model.ref import EntityRef
from app.settings import ExternalAccess
from app.web.principals import Principal, ServicePrincipal, UserPrincipal

# Tokens whose verification is remembered; one takes some 300 bytes.
REMEMBERED = 20_000
_PLUGIN_ID = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


@dataclass(frozen=True, slots=True)
class Verified:
    """What verifying a token found, and until when that may be relied on."""

    principal: Principal
    until: float
    is_limited: bool = False
    audience: str = ""


class TokenVerifier:
    """Tells who a token stands for, for all plugins of this process.

    A token that was verified once is found again by a keyed digest, until it expires (but at most
    for some minutes, so that a key that was taken away ceases to count).
    """

    def __init__(self, keys: PublicKeys, external: Iterable[ExternalAccess], clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._salt = secrets.token_bytes(32)
        self._external = ExternalCallers(external, self._digest)
        self._verified: dict[bytes, Verified] = {}

    def authenticate(self, token: str, plugin: str, *, limited: bool = False) -> Principal:
        """Tell who calls `plugin` with `token`; a limited one is refused unless allowed."""
        digest = self._digest(token)
        external = self._external.static(digest)
        if external is not None:
            return external.principal(plugin)
        known = self._verified.get(digest)
        if known is None or known.until <= self._clock().timestamp():
            peeked = peek(token)
            known = None if peeked is None else self._verify(token, peeked, plugin)
            if known is None:
                return self._external_caller(token, peeked, plugin)
            self._remember(digest, known)
        if known.is_limited and not limited:
            raise AuthenticationError("Illegal limited user token")
        if known.audience and known.audience != plugin:
            raise AuthenticationError("Failed plugin token verification")
        return known.principal

    def _verify(self, token: str, peeked: Peeked, plugin: str) -> Verified | None:
        if peeked.type == PLUGIN:
            return self._verify_plugin(token, peeked, plugin)
        if peeked.type in {USER, LIMITED_USER} or peeked.claims.get("aud") == AUDIENCE:
            return self._verify_user(token, peeked)
        return None

    def _verify_user(self, token: str, peeked: Peeked) -> Verified:
        claims = self._claims(token, peeked, AUTH)
        try:
            user = EntityRef.parse(claims["sub"]) if claims else None
        except (InputError, TypeError, AttributeError):
            user = None
        if claims is None or user is None:
            raise AuthenticationError("Failed user token verification")
        principal = UserPrincipal(user, expires_at=claims["exp"])
        return Verified(principal, self._until(claims), peeked.type == LIMITED_USER)

    def _verify_plugin(self, token: str, peeked: Peeked, plugin: str) -> Verified:
        source = peeked.claims.get("sub")
        claims = None
        if isinstance(source, str) and source and _PLUGIN_ID.issuperset(source):
            claims = self._claims(token, peeked, service(source), aud=plugin)
        if claims is None:
            raise AuthenticationError("Failed plugin token verification")
        subject = f"plugin:{source}"
        on_behalf_of = claims.get("obo")
        if on_behalf_of is None:
            return Verified(ServicePrincipal(subject), self._until(claims), audience=plugin)
        user_peeked = peek(str(on_behalf_of))
        if user_peeked is None:
            raise AuthenticationError("Invalid user token in plugin token obo claim")
        verified = self._verify_user(str(on_behalf_of), user_peeked)
        user = verified.principal
        if not isinstance(user, UserPrincipal):
            raise AuthenticationError("Invalid user token in plugin token obo claim")
        principal = UserPrincipal(user.ref, subject, user.expires_at)
        until = min(verified.until, self._until(claims))
        return Verified(principal, until, audience=plugin)

    def _claims(
        self, token: str, peeked: Peeked, owner: str, **required: Any
    ) -> dict[str, Any] | None:
        found = self._keys.find(owner, peeked.header.get("kid"))
        if found is None:
            return None
        wanted = {"iat": None, "exp": None, "sub": None, **required}
        return verified_claims(token, found.key, found.algorithm, self._clock(), **wanted)

    def _external_caller(self, token: str, peeked: Peeked | None, plugin: str) -> Principal:
        caller = None
        if peeked is not None:
            now = self._clock()
            caller = self._external.legacy(token, peeked, now)
            caller = caller or self._external.foreign(token, peeked, now)
        if caller is None:
            raise AuthenticationError("Illegal token")
        return caller.principal(plugin)

    def _until(self, claims: Mapping[str, Any]) -> float:
        trusted = (self._clock() + TRUST).timestamp()
        return min(float(claims["exp"]) + CLOCK_SKEW, trusted)

    def _remember(self, digest: bytes, verified: Verified) -> None:
        if len(self._verified) >= REMEMBERED:
            now = self._clock().timestamp()
            kept = {key: known for key, known in self._verified.items() if known.until > now}
            self._verified = kept if len(kept) < REMEMBERED else {}
        self._verified[digest] = verified

    def _digest(self, token: str) -> bytes:
        data = token.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, digest_size=16, key=self._salt).digest()
