"""Keys that others publish: tokens of foreign issuers (`externalAccess` of type `jwks`).

Keys are read from the configured URL and from nowhere else, whatever a token says about its keys.
They are read when they are first needed, again once they are old, and, not too often, when a token
names one that is not among them: that is how issuers rotate theirs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry
from urllib3.exceptions import HTTPError

from app.access.keys import Key
from app.access.tokens import Peeked, verified_claims
from app.logs import fields
from app.scm.http import open_pool, why
from app.scm.reading import ReadingLimits
from app.settings import JwksAccess
from app.web.waiting import before_waiting

log = logging.getLogger(__name__)

Fetch = Callable[[str], bytes]

# Seconds. What is older is read again, what is older still is not believed any more.
FRESH = 600.0
BELIEVED = 3600.0
# Between two readings for keys that were not there, and after one that failed.
PATIENCE = 30.0
PATIENCE_AFTER_FAILURE = 5.0
TIMEOUT = 5.0
MAX_BYTES = 256 * 1024
MAX_KEYS = 100
# The type of key of every algorithm that takes a published key; a shared secret is none.
_KEY_TYPES = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", None)),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
_OK = 200


class UnusableKeysError(Exception):
    """What was read are no keys."""


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """One key of a set, with what the set says about its use."""

    key: Key
    jwk: Mapping[str, Any]

    def fits(self, algorithm: str, kid: object) -> bool:
        """Tell whether a token signed with `algorithm` by the key `kid` may be signed by this."""
        key_type, curve = _KEY_TYPES[algorithm]
        jwk = self.jwk
        return (
            jwk.get("kty") == key_type
            and (curve is None or jwk.get("crv") == curve)
            and (kid is None or jwk.get("kid") == kid)
            and jwk.get("alg", algorithm) == algorithm
            and jwk.get("use", "sig") == "sig"
            and "verify" in jwk.get("key_ops", ("verify",))
        )


class PublishedKeys:
    """The keys at one URL, shared by all threads of a process."""

    def __init__(self, url: str, fetch: Fetch, now: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._fetch = fetch
        self._now = now
        self._lock = threading.Lock()
        self._keys: tuple[PublishedKey, ...] = ()
        self._read_at = self._tried_at = float("-inf")
        self._patience = 0.0

    def find(self, algorithm: str, kid: object) -> list[Key]:
        """Answer the keys that may have signed a token; waits for the issuer if it has to."""
        found = self._known(algorithm, kid)
        if (found and self._age() <= FRESH) or not self._may_read():
            return found
        before_waiting()
        with self._lock:
            # Somebody else may have read them while this thread waited for its turn.
            if self._may_read():
                self._read()
        return self._known(algorithm, kid)

    def _known(self, algorithm: str, kid: object) -> list[Key]:
        if self._age() > BELIEVED:
            return []
        return [known.key for known in self._keys if known.fits(algorithm, kid)]

    def _age(self) -> float:
        return self._now() - self._read_at

    def _may_read(self) -> bool:
        return self._now() - self._tried_at >= self._patience

    def _read(self) -> None:
        try:
            keys = _parsed(self._fetch(self._url))
        except (HTTPError, OSError, UnusableKeysError) as error:
            self._patience = PATIENCE_AFTER_FAILURE
            log.warning(
                "cannot read the keys of an issuer",
                extra=fields(url=self._url, reason=why(error)),
            )
        else:
            self._patience = PATIENCE
            self._keys, self._read_at = keys, self._now()
        self._tried_at = self._now()


@dataclass(frozen=True, slots=True)
class ForeignIssuer:
    """One entry of the configuration, and the keys it names."""

    access: JwksAccess
    keys: PublishedKeys

    def subject(self, token: str, peeked: Peeked, now: datetime) -> str | None:
        """Tell for whom a token of this issuer stands; None if it is none of its, or not valid."""
        algorithm, kid = peeked.header.get("alg"), peeked.header.get("kid")
        access = self.access
        if not isinstance(algorithm, str) or algorithm not in _KEY_TYPES:
            return None
        if access.algorithms and algorithm not in access.algorithms:
            return None
        # Before any key is asked for: strangers must not make this process read.
        if not _is_meant(access, peeked.claims):
            return None
        for key in self.keys.find(algorithm, kid):
            claims = verified_claims(token, key, algorithm, now)
            if claims is not None:
                prefix = f"{access.subject_prefix}:" if access.subject_prefix else ""
                return f"external:{prefix}{claims['sub']}"
        return None


def _is_meant(access: JwksAccess, claims: Mapping[str, Any]) -> bool:
    subject, audience = claims.get("sub"), claims.get("aud")
    if not isinstance(subject, str) or not subject or not subject.isprintable():
        return False
    if access.issuers and claims.get("iss") not in access.issuers:
        return False
    named = audience if isinstance(audience, list) else [audience]
    return not access.audiences or any(name in access.audiences for name in named)


def fetch_keys() -> Fetch:
    """Make a function that reads a URL: no redirects, bounded in time and in size."""
    limits = ReadingLimits(connect_timeout=TIMEOUT, read_timeout=TIMEOUT)
    pool = open_pool(limits)

    def fetch(url: str) -> bytes:
        deadline = time.monotonic() + TIMEOUT
        response = pool.request(
            "GET",
            url,
            headers={"accept": "application/json"},
            redirect=False,
            preload_content=False,
        )
        try:
            if response.status != _OK:
                raise UnusableKeysError(f"the answer has status {response.status}")
            data = b""
            while piece := response.read1(1 << 16):
                data += piece
                if len(data) > MAX_BYTES:
                    raise UnusableKeysError(f"the answer has more than {MAX_BYTES} bytes")
                if time.monotonic() > deadline:
                    raise UnusableKeysError(f"no complete answer within {TIMEOUT:g} seconds")
            return data
        finally:
            response.close()

    return fetch


def _parsed(data: bytes) -> tuple[PublishedKey, ...]:
    try:
        found = orjson.loads(data)["keys"]
    except (ValueError, TypeError, KeyError):
        raise UnusableKeysError("the answer is no JSON Web Key Set") from None
    if not isinstance(found, Sequence) or len(found) > MAX_KEYS:
        raise UnusableKeysError(f"the answer has no list of up to {MAX_KEYS} keys")
    return tuple(key for jwk in found if (key := _imported(jwk)) is not None)


def _imported(jwk: Any) -> PublishedKey | None:
    """Read one key; what is of no use here may stand beside what is."""
    if not isinstance(jwk, dict) or jwk.get("kty") not in {"RSA", "EC", "OKP"}:
        return None
    ops = jwk.get("key_ops", [])
    if not isinstance(ops, list):
        return None
    try:
        key: Any = JWKRegistry.import_key(jwk)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return PublishedKey(key, jwk)
