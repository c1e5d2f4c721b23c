"""Signing in as a guest: one fixed user, for trying things out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from app.access.service import AccessService, SignedIn
from app.errors import NotAllowedError
from app.settings import GuestSettings

# Tells which groups a user of the catalog is a member of; None if there is no such user.
Memberships: TypeAlias = Callable[[str], Sequence[str] | None]


@dataclass(frozen=True, slots=True)
class GuestSignIn:
    """Signs anybody in as the guest, outside development only if that is allowed."""

    access: AccessService
    settings: GuestSettings
    memberships: Memberships
    is_development: bool = False

    def sign_in(self) -> SignedIn:
        """Issue a token to the guest, who owns what the catalog says or else the settings."""
        if not self.is_development and not self.settings.is_allowed_outside_development:
            raise NotAllowedError(
                "The guest provider cannot be used outside of a development environment unless "
                "'auth.providers.guest.dangerouslyAllowOutsideDevelopment' is enabled"
            )
        user = self.settings.user
        groups = self.memberships(str(user))
        if groups is None:
            return self.access.sign_in(user, [str(ref) for ref in self.settings.ownership])
        return self.access.sign_in(user, [str(user), *groups])
