"""The cookie that carries a limited user token, for what browsers load without asking a script."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import urlsplit

from app.web.requests import AUTH_COOKIE


@dataclass(frozen=True, slots=True)
class CookieForm:
    """The attributes of the cookie, which follow from the address users know."""

    domain: str
    is_secure: bool

    @classmethod
    def of(cls, base_url: str) -> CookieForm:
        """Derive them from `backend.baseUrl`; browsers trust `localhost` like HTTPS."""
        parts = urlsplit(base_url)
        host = parts.hostname or ""
        return cls(host, parts.scheme == "https" or host == "localhost")

    def issued(self, token: str, expires_at: datetime) -> str:
        """Answer the `Set-Cookie` that hands out `token`."""
        site = (
            "Secure; Priority=High; SameSite=None"
            if self.is_secure
            else ("Priority=High; SameSite=Lax")
        )
        expires = format_datetime(expires_at.astimezone(UTC), usegmt=True)
        return (
            f"{AUTH_COOKIE}={token}; Domain={self.domain}; Path=/; Expires={expires}; "
            f"HttpOnly; {site}"
        )

    def cleared(self) -> str:
        """Answer the `Set-Cookie` that takes it back."""
        return self.issued("", datetime.fromtimestamp(0, UTC))
