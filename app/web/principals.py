"""Who a caller is once their credentials are verified: plain values, no framework."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from app.model.ref import EntityRef


@dataclass(frozen=True, slots=True)
class AccessRestrictions:
    """What a restricted service token may do inside one plugin; what is empty does not restrict.

    A permission that is not named, or whose action is not listed, counts as denied.
    """

    permission_names: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UserPrincipal:
    """A signed-in user; `actor` is the service that acts for them, if one does.

    `expires_at` (seconds since the epoch) is when the token ends: a stream outlives no token.
    """

    ref: EntityRef
    actor: str = ""
    expires_at: float = field(default=0.0, compare=False)

    type: ClassVar[str] = "user"

    def __str__(self) -> str:
        return str(self.ref)


@dataclass(frozen=True, slots=True)
class ServicePrincipal:
    """A program with a token of its own; `restrictions` are those for the plugin it called."""

    subject: str
    restrictions: AccessRestrictions | None = None

    type: ClassVar[str] = "service"

    def __str__(self) -> str:
        return self.subject


@dataclass(frozen=True, slots=True)
class NoPrincipal:
    """Nobody in particular: seen only where the barrier is open."""

    type: ClassVar[str] = "none"

    def __str__(self) -> str:
        return ""


Principal: TypeAlias = UserPrincipal | ServicePrincipal | NoPrincipal

NOBODY = NoPrincipal()
