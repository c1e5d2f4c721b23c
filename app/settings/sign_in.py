"""`auth`: user tokens, the guest, and the providers people sign in with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from marshmallow import ValidationError

from app.errors import InputError
from app.model.ref import EntityRef
from app.settings.fields import Duration, Flag, Items, Table, Text, Texts, one_of
from app.settings.section import Section

_SHORTEST = timedelta(minutes=10)
_LONGEST = timedelta(hours=24)
_JWS = ("ES256", "ES384", "ES512", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
# Options of parts that read them from `raw`.
_LATER = (
    "session",
    "keyStore",
    "clientIdMetadataDocuments",
    "experimentalClientIdMetadataDocuments",
    "experimentalDynamicClientRegistration",
    "experimentalRefreshToken",
)


@dataclass(frozen=True, slots=True)
class GuestSettings:
    """Signing in as one fixed user, for development unless it is allowed elsewhere."""

    user: EntityRef
    ownership: tuple[EntityRef, ...]
    is_allowed_outside_development: bool


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """`auth`. `raw` is the whole section as written, providers included."""

    environment: str | None
    token_lifetime: timedelta
    token_algorithm: str
    is_ownership_claim_omitted: bool
    extra_allowed_origins: tuple[str, ...] = ()
    guest: GuestSettings | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Ref(Text):
    """A full entity ref."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return EntityRef.parse(super()._deserialize(value, *args, **kwargs))
        except InputError as error:
            raise ValidationError(str(error)) from None


class GuestSchema(Section):
    """`auth.providers.guest`."""

    model = GuestSettings
    ignored = frozenset({"signIn"})

    user = Ref(data_key="userEntityRef", load_default=EntityRef("user", "development", "guest"))
    ownership = Items(Ref(), data_key="ownershipEntityRefs", load_default=None)
    is_allowed_outside_development = Flag(
        data_key="dangerouslyAllowOutsideDevelopment", load_default=False
    )

    def build(self, data: Mapping[str, Any]) -> GuestSettings:
        """Let the guest own itself, unless it is said what it owns."""
        owns_itself = data["ownership"] is None
        return GuestSettings(**{**data, "ownership": (data["user"],)} if owns_itself else data)


class AuthSchema(Section):
    """`auth`, but for the guest, which is read where the providers are."""

    model = AuthSettings
    ignored = frozenset(_LATER)

    environment = Text(load_default=None)
    providers = Table(load_default=dict)
    token_lifetime = Duration(data_key="backstageTokenExpiration", required=True)
    token_algorithm = Text(data_key="identityTokenAlgorithm", required=True, validate=one_of(*_JWS))
    is_ownership_claim_omitted = Flag(data_key="omitIdentityTokenOwnershipClaim", required=True)
    extra_allowed_origins = Texts(data_key="experimentalExtraAllowedOrigins", load_default=())

    def build(self, data: Mapping[str, Any]) -> AuthSettings:
        """Keep token lifetimes between ten minutes and a day, as Backstage does."""
        lifetime = min(max(data["token_lifetime"], _SHORTEST), _LONGEST)
        kept = {key: value for key, value in data.items() if key != "providers"}
        return AuthSettings(**{**kept, "token_lifetime": lifetime})
