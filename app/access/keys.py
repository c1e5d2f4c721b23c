"""The keys behind tokens: private ones live and die with a process, public ones are shared.

Every process signs with a key of its own, made when it first signs and replaced when its period is
over. The public half is in the database, where all processes find it by its id, until the last
token it may have signed has expired.
"""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from app.access.store import KeyStore, PublicKey
from app.db.engine import Database

Clock: TypeAlias = Callable[[], datetime]
Key: TypeAlias = ECKey | RSAKey | OKPKey

# Whose keys sign for users; a plugin's own keys are those of `service(plugin)`.
AUTH = "auth"
# A key signs for one period; its last token lives one more, and clocks may differ.
KEPT_PERIODS = 3
# How long a process trusts what it read, so that a key that is taken away ceases to count.
TRUST = timedelta(minutes=5)
_KID = re.compile(r"[\w-]{1,64}", re.ASCII)
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key with its id, and until when it signs."""

    kid: str
    algorithm: str
    key: Key
    retires_at: datetime


class SigningKeys:
    """The private keys of this process, one per owner: `auth` for users, or a plugin."""

    def __init__(
        self, database: Database, *, algorithm: str, period: timedelta, clock: Clock
    ) -> None:
        self._database = database
        self._algorithm = algorithm
        self._period = period
        self._clock = clock
        self._lock = threading.Lock()
        self._current: dict[str, SigningKey] = {}

    def current(self, owner: str) -> SigningKey:
        """Answer the key that signs for `owner` now; a new one is published before it is used."""
        with self._lock:
            signing = self._current.get(owner)
            if signing is None or signing.retires_at <= self._clock():
                signing = self._current[owner] = self._make(owner)
            return signing

    def _make(self, owner: str) -> SigningKey:
        now = self._clock()
        kid = str(uuid.uuid4())
        key = _generate(self._algorithm)
        expires_at = now + KEPT_PERIODS * self._period
        public = PublicKey(kid, owner, _public_jwk(key, kid, self._algorithm), expires_at)
        with self._database.begin() as connection:
            store = KeyStore(connection)
            store.remove_expired(now)
            store.add(public, now)
        return SigningKey(kid, self._algorithm, key, now + self._period)


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key, the only algorithm it is good for, and whose tokens it verifies."""

    owner: str
    algorithm: str
    key: Key


class PublicKeys:
    """Public keys of all processes, looked up when they are first needed."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[str, tuple[VerifyingKey, datetime]] = {}

    def find(self, owner: str, kid: object) -> VerifyingKey | None:
        """Answer the key `kid` if it signs for `owner` and has not expired."""
        if not isinstance(kid, str) or not _KID.fullmatch(kid):
            return None
        now = self._clock()
        known = self._known.get(kid)
        if known is None or known[1] <= now:
            known = self._read(kid, now)
        if known is None or known[0].owner != owner:
            return None
        return known[0]

    def published(self, owner: str) -> list[Mapping[str, str]]:
        """Answer the JSON Web Keys of `owner`."""
        with self._database.snapshot() as connection:
            keys = KeyStore(connection).of_owner(owner, self._clock())
        return [key.jwk for key in keys]

    def _read(self, kid: str, now: datetime) -> tuple[VerifyingKey, datetime] | None:
        with self._database.snapshot() as connection:
            found = KeyStore(connection).find(kid)
        if found is None or found.expires_at <= now:
            self._known.pop(kid, None)
            return None
        key: Any = JWKRegistry.import_key(dict(found.jwk))
        verifying = VerifyingKey(found.owner, found.jwk["alg"], key)
        entry = self._known[kid] = (verifying, min(found.expires_at, now + TRUST))
        return entry


def service(plugin: str) -> str:
    """Name the owner of the keys with which `plugin` signs as a service."""
    return f"plugin:{plugin}"


def _generate(algorithm: str) -> Key:
    if algorithm in _CURVES:
        return ECKey.generate_key(_CURVES[algorithm])
    if algorithm == "EdDSA":
        return OKPKey.generate_key("Ed25519")
    return RSAKey.generate_key(_RSA_BITS)


def _public_jwk(key: Key, kid: str, algorithm: str) -> dict[str, str]:
    parts: dict[str, Any] = key.as_dict(private=False)
    order = [name for name in ("kty", "x", "y", "n", "e", "crv") if name in parts]
    return {**{name: str(parts[name]) for name in order}, "kid": kid, "alg": algorithm}
