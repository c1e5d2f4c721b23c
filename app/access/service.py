"""Verifying tokens and issuing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from app.access.cookies import CookieForm
from app.access.keys import AUTH, Clock, PublicKeys, SigningKeys, service
from app.access.store import UserInfoStore
from app.access.tokens import Lifespan, limited_token, plugin_token, user_token
from app.access.verifier import TokenVerifier
from app.db.engine import Database
from app.errors import CallboardError
from app.model.ref import EntityRef
from app.settings import ExternalAccess
from app.web.identity import UserCookie
from app.web.principals import Principal, UserPrincipal

PLUGIN_TOKEN_LIFETIME = timedelta(hours=1)
COOKIE_REST = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """How user tokens are written, and which programs have tokens from the configuration.

    `base_url` is the address of the backend that the outside knows.
    """

    base_url: str
    external_access: Sequence[ExternalAccess] = ()
    token_lifetime: timedelta = timedelta(hours=1)
    signing_algorithm: str = "ES256"
    is_ownership_claim_omitted: bool = True


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A user's token, how many seconds it lasts, and what they may claim to own."""

    token: str
    user: EntityRef
    ownership: list[str]
    expires_in: int


def utc_now() -> datetime:
    """Answer the time, as everything here takes it."""
    return datetime.now(UTC)


class AccessService:
    """Verifies and issues tokens; what `app.web.identity` asks through `Authenticator`."""

    def __init__(
        self, database: Database, settings: AccessSettings, clock: Clock = utc_now
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._cookies = CookieForm.of(settings.base_url)
        self._keys = PublicKeys(database, clock)
        self._verifier = TokenVerifier(self._keys, settings.external_access, clock)
        self._user_keys = SigningKeys(
            database,
            algorithm=settings.signing_algorithm,
            period=settings.token_lifetime,
            clock=clock,
        )
        self._plugin_keys = SigningKeys(
            database, algorithm="ES256", period=PLUGIN_TOKEN_LIFETIME, clock=clock
        )

    @property
    def issuer(self) -> str:
        """The issuer of user tokens: where the auth plugin is."""
        return f"{self._settings.base_url}/api/{AUTH}"

    def authenticate(self, token: str, plugin: str, *, limited: bool = False) -> Principal:
        """Tell who calls `plugin` with `token`; a limited one is refused unless allowed."""
        return self._verifier.authenticate(token, plugin, limited=limited)

    def public_keys(self, plugin: str) -> list[Mapping[str, str]]:
        """Answer the JSON Web Keys that verify what `plugin` signs as a service."""
        return self._keys.published(service(plugin))

    def user_keys(self) -> list[Mapping[str, str]]:
        """Answer the JSON Web Keys that verify user tokens."""
        return self._keys.published(AUTH)

    def sign_in(self, user: EntityRef, ownership: Sequence[str]) -> SignedIn:
        """Issue a token to a user and keep what they own for `user_info`."""
        now = self._clock()
        span = Lifespan.starting(now, self._settings.token_lifetime)
        owned = list(dict.fromkeys(ownership))
        with self._database.begin() as connection:
            claims = {"sub": str(user), "ent": owned}
            UserInfoStore(connection).put(str(user), claims, now)
        token = user_token(
            self._user_keys.current(AUTH),
            self.issuer,
            str(user),
            span,
            None if self._settings.is_ownership_claim_omitted else owned,
        )
        expires_in = int(span.expires_at - self._clock().timestamp())
        return SignedIn(token, user, owned, expires_in)

    def user_info(self, user: EntityRef) -> dict[str, Any] | None:
        """Answer the claims of a user as of their last sign-in, None if there was none."""
        with self._database.snapshot() as connection:
            return UserInfoStore(connection).find(str(user))

    def ownership(self, user: EntityRef) -> list[str]:
        """Answer what a user may claim to own: themselves at least."""
        claims = self.user_info(user) or {}
        return list(claims.get("ent") or [str(user)])

    def plugin_token(self, source: str, target: str, on_behalf_of: str | None = None) -> str:
        """Issue a token for a call from plugin to plugin, for the user whose token is given."""
        span = Lifespan.starting(self._clock(), PLUGIN_TOKEN_LIFETIME)
        limited = None
        if on_behalf_of is not None:
            limited, ends = limited_token(on_behalf_of)
            span = Lifespan(span.issued_at, min(span.expires_at, ends))
        signing = self._plugin_keys.current(service(source))
        return plugin_token(signing, source, target, span, limited)

    def user_cookie(self, token: str, existing: str | None) -> UserCookie:
        """Make the auth cookie for a user's token, or keep an existing one that lasts."""
        ends = None if existing is None else self._cookie_end(existing)
        if ends is not None and ends > self._clock() + COOKIE_REST:
            return UserCookie(_iso(ends), None)
        limited, expires_at = limited_token(token)
        ends = datetime.fromtimestamp(expires_at, UTC)
        return UserCookie(_iso(ends), self._cookies.issued(limited, ends))

    def cleared_cookie(self) -> str:
        """Answer the `Set-Cookie` that removes the auth cookie."""
        return self._cookies.cleared()

    def _cookie_end(self, cookie: str) -> datetime | None:
        try:
            principal = self.authenticate(cookie, AUTH, limited=True)
        except CallboardError:
            return None
        if not isinstance(principal, UserPrincipal):
            return None
        return datetime.fromtimestamp(principal.expires_at, UTC)


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
