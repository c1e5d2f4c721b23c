"""`backend.auth`: which programs may call, with which tokens, and how far."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from marshmallow import RAISE, Schema, ValidationError, fields

from app.settings.fields import Flag, Items, Table, Text, Url, Words, one_of
from app.settings.section import Section

_LEGACY_SUBJECT = "external:backstage-plugin"
_MIN_TOKEN_LENGTH = 8
_NO_SPACE = re.compile(r"\S+\Z")
_ACTIONS = ("create", "read", "update", "delete")


@dataclass(frozen=True, slots=True)
class AccessRestriction:
    """What a token may do in one plugin: None leaves permissions or actions open."""

    plugin: str
    permissions: tuple[str, ...] | None = None
    actions: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class StaticAccess:
    """A fixed token."""

    token: str = field(repr=False)
    subject: str
    restrictions: tuple[AccessRestriction, ...] = ()


@dataclass(frozen=True, slots=True)
class LegacyAccess:
    """Tokens signed with a shared secret (HS256)."""

    secret: bytes = field(repr=False)
    subject: str
    restrictions: tuple[AccessRestriction, ...] = ()


@dataclass(frozen=True, slots=True)
class JwksAccess:
    """Tokens of an issuer whose keys are published at `url`; empty tuples accept anything."""

    url: str
    algorithms: tuple[str, ...] = ()
    issuers: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    subject_prefix: str | None = None
    restrictions: tuple[AccessRestriction, ...] = ()


ExternalAccess: TypeAlias = StaticAccess | LegacyAccess | JwksAccess


@dataclass(frozen=True, slots=True)
class BackendAuthSettings:
    """Who may call without signing in. Without restrictions a token is good for every plugin."""

    is_default_policy_disabled: bool
    external_access: tuple[ExternalAccess, ...] = ()


def _without_space(value: str) -> None:
    if not _NO_SPACE.match(value):
        raise ValidationError("may not hold white space")


def _long_enough(value: str) -> None:
    if len(value) < _MIN_TOKEN_LENGTH:
        raise ValidationError(f"must have at least {_MIN_TOKEN_LENGTH} characters")


def _known_actions(values: tuple[str, ...]) -> None:
    if not set(values) <= set(_ACTIONS):
        raise ValidationError(f"wanted one or more of: {', '.join(_ACTIONS)}")


class Secret(Text):
    """A shared secret in base64 or base64url, loaded as bytes."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        digits = text.replace("-", "+").replace("_", "/").rstrip("=")
        try:
            return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
        except binascii.Error:
            raise ValidationError("wanted base64") from None


class AttributeSchema(Section):
    """`permissionAttribute` of a restriction."""

    class Meta(Section.Meta):
        """As for the restriction."""

        unknown = RAISE

    model = dict

    action = Words(load_default=(), validate=_known_actions)


class RestrictionSchema(Section):
    """One plugin that a token is good for."""

    class Meta(Section.Meta):
        """A key that is misspelt would widen what the token may do: refuse it."""

        unknown = RAISE

    model = AccessRestriction

    plugin = Text(required=True)
    permissions = Words(data_key="permission", load_default=())
    attributes = fields.Nested(AttributeSchema, data_key="permissionAttribute", load_default=None)

    def build(self, data: Mapping[str, Any]) -> AccessRestriction:
        """Let empty lists restrict nothing, as Backstage does."""
        actions = (data["attributes"] or {}).get("action")
        return AccessRestriction(data["plugin"], data["permissions"] or None, actions or None)


class StaticOptions(Section):
    """Options of type `static`."""

    model = StaticAccess

    token = Text(required=True, validate=[_without_space, _long_enough])
    subject = Text(required=True, validate=_without_space)


class LegacyOptions(Section):
    """Options of type `legacy`."""

    model = LegacyAccess

    secret = Secret(required=True)
    subject = Text(required=True, validate=_without_space)


class JwksOptions(Section):
    """Options of type `jwks`."""

    model = JwksAccess

    url = Url(required=True)
    algorithms = Words(data_key="algorithm", load_default=())
    issuers = Words(data_key="issuer", load_default=())
    audiences = Words(data_key="audience", load_default=())
    subject_prefix = Text(data_key="subjectPrefix", load_default=None)


OPTIONS: Mapping[str, Callable[[], Schema]] = {
    "static": StaticOptions,
    "legacy": LegacyOptions,
    "jwks": JwksOptions,
}


class ExternalAccessSchema(Section):
    """One entry of `externalAccess`; the form of `options` depends on `type`."""

    model = dict

    type = Text(required=True, validate=one_of(*OPTIONS))
    options = Table(required=True)
    restrictions = Items(
        fields.Nested(RestrictionSchema), data_key="accessRestrictions", load_default=()
    )

    def variants(self, data: Mapping[str, Any]) -> Mapping[str, Schema]:
        """Know the options of the type."""
        options = OPTIONS.get(str(data.get("type")))
        return {"options": options()} if options else {}

    def build(self, data: Mapping[str, Any]) -> ExternalAccess:
        """Read the options and put the restrictions on."""
        try:
            access = OPTIONS[data["type"]]().load(data["options"])
        except ValidationError as error:
            raise ValidationError({"options": error.messages}) from None
        return restricted(access, data["restrictions"])


def restricted(
    access: ExternalAccess, restrictions: tuple[AccessRestriction, ...]
) -> ExternalAccess:
    """Hold a token to plugins, each of which may be named once."""
    plugins = [restriction.plugin for restriction in restrictions]
    if len(set(plugins)) < len(plugins):
        raise ValidationError({"accessRestrictions": ["names a plugin twice"]})
    return replace(access, restrictions=restrictions)


class KeySchema(Section):
    """One of the old `backend.auth.keys`."""

    model = dict

    secret = Secret(required=True)

    def build(self, data: Mapping[str, Any]) -> LegacyAccess:
        """Take it for legacy access."""
        return LegacyAccess(data["secret"], _LEGACY_SUBJECT)


class BackendAuthSchema(Section):
    """`backend.auth`."""

    model = BackendAuthSettings
    ignored = frozenset({"pluginKeyStore"})

    is_default_policy_disabled = Flag(data_key="dangerouslyDisableDefaultAuthPolicy", required=True)
    external_access = Items(
        fields.Nested(ExternalAccessSchema), data_key="externalAccess", load_default=()
    )
    keys = Items(fields.Nested(KeySchema), load_default=())

    def build(self, data: Mapping[str, Any]) -> BackendAuthSettings:
        """Put the old keys behind the new entries."""
        return BackendAuthSettings(
            data["is_default_policy_disabled"], data["external_access"] + data["keys"]
        )
