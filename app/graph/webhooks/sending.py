"""Sending a delivery over HTTP, once, and what came of it.

Redirects are failures: a delivery goes to the address that is configured and nowhere else. Of the
answer only the head is looked at.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Protocol

from urllib3.exceptions import HTTPError

from app.graph.webhooks.webhook import Delivery, Webhook, request_headers
from app.scm.http import open_pool, why
from app.scm.reading import ReadingLimits

# The longest that a receiver may make us wait.
LONGEST_WAIT = 3600.0
_FAMILY = 100
_REDIRECTION = 3
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: `error` says what went wrong, and is safe to show.

    `wait` is for how many seconds the receiver wants to be left alone.
    """

    error: str = ""
    wait: float = 0.0


class Sender(Protocol):
    """Sends a delivery and answers what came of it; what goes wrong is part of the answer."""

    def __call__(self, webhook: Webhook, delivery: Delivery, /) -> Outcome: ...


def send_over_http(webhook: Webhook, delivery: Delivery) -> Outcome:
    """Send a delivery."""
    limits = ReadingLimits(connect_timeout=webhook.timeout, read_timeout=webhook.timeout)
    with open_pool(limits) as pool:
        try:
            response = pool.request(
                "POST",
                webhook.url,
                body=delivery.body,
                headers=request_headers(webhook, delivery, int(time.time())),
                redirect=False,
                retries=False,
                preload_content=False,
            )
        except (HTTPError, OSError) as error:
            return Outcome(_safe(why(error), webhook, error))
        response.close()
    family = response.status // _FAMILY
    if family == HTTPStatus.OK // _FAMILY:
        return Outcome()
    wait = seconds_of(response.headers.get("Retry-After", ""), datetime.now(UTC))
    if family == _REDIRECTION:
        return Outcome(f"it answered {_status(response.status)}; redirects are not followed", wait)
    return Outcome(f"it answered {_status(response.status)}", wait)


def seconds_of(retry_after: str, now: datetime) -> float:
    """Read a `Retry-After`, seconds or a date; what makes no sense is no wait."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(LONGEST_WAIT, float(text[:_DIGITS]) if len(text) <= _DIGITS else LONGEST_WAIT)
    try:
        then = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return min(LONGEST_WAIT, max(0.0, (then - now).total_seconds()))


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _safe(reason: str, webhook: Webhook, error: Exception) -> str:
    """Say what happened, unless that says more than it should."""
    if any(secret in reason for secret in (*webhook.secrets(), webhook.url)):
        return type(error).__name__
    return reason
