"""Programs with tokens from the configuration (`backend.auth.externalAccess`), and their limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from joserfc.jwk import OctKey

from app.access.jwks import ForeignIssuer, PublishedKeys, fetch_keys
from app.access.tokens import Peeked, verified_claims
from app.errors import NotAllowedError
from app.settings import (
    AccessRestriction,
    ExternalAccess,
    JwksAccess,
    LegacyAccess,
    StaticAccess,
)
from app.web.principals import AccessRestrictions, ServicePrincipal

# What the backends of old said they were.
LEGACY_SUBJECT = "backstage-server"


@dataclass(frozen=True, slots=True)
class ExternalCaller:
    """A program, as every plugin sees it; without `restricted` it may call them all."""

    subject: str
    restricted: Mapping[str, ServicePrincipal] | None

    @classmethod
    def of(cls, access: ExternalAccess, subject: str) -> ExternalCaller:
        """Hold a subject to what its entry of the configuration says."""
        if not access.restrictions:
            return cls(subject, None)
        restricted = {
            r.plugin: ServicePrincipal(subject, _restrictions(r)) for r in access.restrictions
        }
        return cls(subject, restricted)

    def principal(self, plugin: str) -> ServicePrincipal:
        """Answer the principal that `plugin` sees; raises `NotAllowedError` for other plugins."""
        if self.restricted is None:
            return ServicePrincipal(self.subject)
        principal = self.restricted.get(plugin)
        if principal is None:
            plugins = ", ".join(f"'{name}'" for name in self.restricted)
            raise NotAllowedError(f"This token's access is restricted to plugin(s) {plugins}")
        return principal


class ExternalCallers:
    """Finds the program that a token belongs to."""

    def __init__(self, access: Iterable[ExternalAccess], digest: Callable[[str], bytes]) -> None:
        """Keep digests of the static tokens: finding one tells nothing about how long it took."""
        self._static: dict[bytes, ExternalCaller] = {}
        self._legacy: list[tuple[OctKey, ExternalCaller]] = []
        self._issuers: list[ForeignIssuer] = []
        fetch = fetch_keys()
        for entry in access:
            match entry:
                case StaticAccess():
                    self._static[digest(entry.token)] = ExternalCaller.of(entry, entry.subject)
                case LegacyAccess():
                    key = OctKey.import_key(entry.secret)
                    self._legacy.append((key, ExternalCaller.of(entry, entry.subject)))
                case JwksAccess():
                    keys = PublishedKeys(entry.url, fetch)
                    self._issuers.append(ForeignIssuer(entry, keys))

    def static(self, digest: bytes) -> ExternalCaller | None:
        """Find the owner of a static token by its digest."""
        return self._static.get(digest)

    def legacy(self, token: str, peeked: Peeked, now: datetime) -> ExternalCaller | None:
        """Find whose shared secret signed a legacy token."""
        claims = peeked.claims
        if peeked.header.get("alg") != "HS256" or claims.get("aud"):
            return None
        if claims.get("sub") != LEGACY_SUBJECT:
            return None
        for key, caller in self._legacy:
            if verified_claims(token, key, "HS256", now) is not None:
                return caller
        return None

    def foreign(self, token: str, peeked: Peeked, now: datetime) -> ExternalCaller | None:
        """Find whose published key signed a token."""
        for issuer in self._issuers:
            subject = issuer.subject(token, peeked, now)
            if subject is not None:
                return ExternalCaller.of(issuer.access, subject)
        return None


def _restrictions(restriction: AccessRestriction) -> AccessRestrictions:
    return AccessRestrictions(restriction.permissions or (), restriction.actions or ())
