"""The barrier: who may pass to a plugin's routes, and how a view learns who is calling.

Every path of a plugin wants the credentials of a user or a service, unless the plugin opened it
with an `AuthPolicy`. The order of judgement and the texts are Backstage's (CONTRACT 0.1, 0.5).
What tokens look like is the business of `app.access`, which implements `Authenticator`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from flask import Request

from app.errors import AuthenticationError, NotAllowedError, ServiceUnavailableError
from app.web.lifecycle import Lifecycle
from app.web.principals import NOBODY, NoPrincipal, Principal, ServicePrincipal, UserPrincipal
from app.web.requests import API, Environ, auth_cookie, bearer_token

PRINCIPAL = "callboard.principal"
GATE = "callboard.gate"
# How many requests may wait for the start at once; more would take the threads of health checks.
WAITING = 4


@dataclass(frozen=True, slots=True)
class UserCookie:
    """The cookie a user's browser has or gets: when it ends, and `Set-Cookie` if it is new."""

    expires_at: str
    header: str | None


class Authenticator(Protocol):
    """Turns tokens into principals; implemented by `app.access`."""

    def authenticate(self, token: str, plugin: str, *, limited: bool = False) -> Principal:
        """Verify `token` for a call to `plugin`; raises `AuthenticationError`, `NotAllowedError`.

        A limited user token is refused unless `limited` allows it.
        """

    def public_keys(self, plugin: str) -> Sequence[Mapping[str, str]]:
        """Answer the JSON Web Keys that verify tokens issued by `plugin`."""

    def user_cookie(self, token: str, existing: str | None) -> UserCookie:
        """Make the auth cookie for a user's token, or keep an existing one that lasts."""

    def cleared_cookie(self) -> str:
        """Answer the `Set-Cookie` that removes the auth cookie."""


@dataclass(frozen=True, slots=True)
class AuthPolicy:
    """Opens `path` and all below it; `/` is everything."""

    path: str
    allow: Literal["unauthenticated", "user-cookie"]


@dataclass(frozen=True, slots=True)
class Barrier:
    """What the gates of all plugins share.

    `is_open` is Backstage's `dangerouslyDisableDefaultAuthPolicy`: nobody is turned away here, but
    a view that asks for a user still gets one or fails. `pause` is how many seconds a request
    waits for the process to start.
    """

    access: Authenticator
    lifecycle: Lifecycle
    is_open: bool = False
    pause: float = 5.0
    waiting: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(WAITING))

    def gate(self, plugin: str, policies: Iterable[AuthPolicy] = ()) -> Gate:
        """Make the gate of one plugin."""
        policies = tuple(policies)
        return Gate(
            self,
            plugin,
            len(f"{API}{plugin}"),
            tuple(_matcher(p.path) for p in policies if p.allow == "unauthenticated"),
            tuple(_matcher(p.path) for p in policies if p.allow == "user-cookie"),
        )


PathMatcher = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Gate:
    """The barrier in front of one plugin."""

    barrier: Barrier
    plugin: str
    mount: int
    opened: tuple[PathMatcher, ...]
    cookied: tuple[PathMatcher, ...]

    def await_start(self) -> None:
        """Let a request through once the process serves; raises `ServiceUnavailableError`.

        While the database is away nobody waits to find that out for himself.
        """
        lifecycle = self.barrier.lifecycle
        if lifecycle.has_started:
            if lifecycle.hindrance:
                raise ServiceUnavailableError(lifecycle.hindrance)
            return
        if not lifecycle.is_stopping and self.barrier.waiting.acquire(blocking=False):
            try:
                lifecycle.wait_until_started(self.barrier.pause)
            finally:
                self.barrier.waiting.release()
        if not lifecycle.has_started:
            never = "Service is shutting down"
            later = "Service has not started up yet"
            raise ServiceUnavailableError(never if lifecycle.is_stopping else later)

    def admit(self, environ: Environ) -> None:
        """Check the credentials of a request and remember whose they are."""
        environ[GATE] = self
        if self.barrier.is_open:
            return
        if self.opened and _matches(self.opened, environ, self.mount):
            return
        if self.identify(environ) is NOBODY:
            raise AuthenticationError("Missing credentials")

    def identify(self, environ: Environ) -> Principal:
        """Tell who calls, `NOBODY` without credentials; raises on credentials that are wrong."""
        token = bearer_token(environ)
        limited = bool(self.cookied) and _matches(self.cookied, environ, self.mount)
        if token is None and limited:
            token = auth_cookie(environ)
        principal: Principal = NOBODY
        if token is not None:
            principal = self.barrier.access.authenticate(token, self.plugin, limited=limited)
        environ[PRINCIPAL] = principal
        return principal


def caller(request: Request) -> Principal:
    """Tell who is calling.

    Behind the barrier this is a user or a service. Where the barrier is open, credentials are
    looked at when they are first asked for, so wrong ones disturb only those views that ask.
    """
    principal: Principal | None = request.environ.get(PRINCIPAL)
    if principal is None:
        gate: Gate | None = request.environ.get(GATE)
        return NOBODY if gate is None else gate.identify(request.environ)
    return principal


def user_caller(request: Request) -> UserPrincipal:
    """Tell which user is calling; raises if it is a service or nobody."""
    principal = caller(request)
    if not isinstance(principal, UserPrincipal):
        raise _refusal(principal)
    return principal


def service_caller(request: Request) -> ServicePrincipal:
    """Tell which service is calling; raises if it is a user or nobody."""
    principal = caller(request)
    if not isinstance(principal, ServicePrincipal):
        raise _refusal(principal)
    return principal


def known_caller(request: Request) -> UserPrincipal | ServicePrincipal:
    """Tell which user or service is calling; raises if it is nobody (see `Barrier.is_open`)."""
    principal = caller(request)
    if isinstance(principal, NoPrincipal):
        raise _refusal(principal)
    return principal


def _refusal(principal: Principal) -> AuthenticationError | NotAllowedError:
    if isinstance(principal, NoPrincipal):
        return AuthenticationError("Missing credentials")
    return NotAllowedError(f"This endpoint does not allow '{principal.type}' credentials")


def _matches(matchers: tuple[PathMatcher, ...], environ: Environ, mount: int) -> bool:
    path = environ["PATH_INFO"][mount:] or "/"
    return any(matches(path) for matches in matchers)


def _matcher(path: str) -> PathMatcher:
    """Match whole path segments, the case aside; `:name` stands for any one segment."""
    if path in {"/", "*"}:
        return lambda _: True
    segments = path.strip("/").split("/")
    pattern = "".join(f"/{'[^/]+' if s.startswith(':') else re.escape(s)}" for s in segments)
    return re.compile(f"{pattern}(?=/|$)", re.IGNORECASE).match
