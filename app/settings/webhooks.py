"""`callboard.webhooks`: who is told of changes, of which ones, and how."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from marshmallow import ValidationError, validates

from app.settings.fields import Duration, Text, Texts, TextTable, Url, Whole, between
from app.settings.section import Section

# Each has a thread while it is served.
MOST_WEBHOOKS = 50
SHORTEST_SECRET = 16
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_TIMEOUTS = (timedelta(seconds=1), timedelta(minutes=2))
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,4000}")
# What the deliveries themselves say.
_OURS = re.compile(
    r"callboard-.*|host|content-.*|transfer-encoding|connection|user-agent", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """One webhook; what may hold secrets is not in its text."""

    url: str = field(repr=False)
    filter: tuple[str, ...]
    secret: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    timeout: timedelta
    max_attempts: int
    batch: int


class WebhookSchema(Section):
    """One webhook."""

    model = WebhookSettings

    url = Url(required=True)
    filter = Texts(load_default=())
    secret = Text(required=True)
    headers = TextTable(load_default={})
    timeout = Duration(load_default=timedelta(seconds=10))
    max_attempts = Whole(data_key="maxAttempts", load_default=15, validate=between(1, 100))
    batch = Whole(load_default=100, validate=between(1, 1000))

    @validates("secret")
    def check_secret(self, secret: str, **_: Any) -> None:
        """Refuse what could be guessed."""
        if len(secret) < SHORTEST_SECRET:
            raise ValidationError(f"must have at least {SHORTEST_SECRET} characters")

    @validates("timeout")
    def check_timeout(self, timeout: timedelta, **_: Any) -> None:
        """Refuse to wait hardly at all, or for ever."""
        shortest, longest = _TIMEOUTS
        if not shortest <= timeout <= longest:
            raise ValidationError("must be between 1 second and 2 minutes")

    @validates("headers")
    def check_headers(self, headers: Mapping[str, str], **_: Any) -> None:
        """Refuse what would break a request, and what is not free to choose."""
        for name, value in headers.items():
            if not (_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
                raise ValidationError({name: ["wanted the name and value of an HTTP header"]})
            if _OURS.fullmatch(name):
                raise ValidationError({name: ["this header is set by Callboard"]})


def check_webhooks(webhooks: Mapping[str, Any]) -> None:
    """Check the names of webhooks, and that there are not too many."""
    if len(webhooks) > MOST_WEBHOOKS:
        raise ValidationError(f"at most {MOST_WEBHOOKS} webhooks are served")
    for name in webhooks:
        if not NAME.fullmatch(name):
            raise ValidationError(
                {name: ["wanted a name of up to 63 letters, digits, '-', '_' and '.'"]}
            )
