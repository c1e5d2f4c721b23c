"""What an outgoing webhook is, and what is sent to it.

A delivery is signed as `HMAC-SHA256(secret, "<timestamp>.<body>")`: whoever knows the secret can
tell that it is ours, that nobody changed it, and when it was sent. Its id stands for its content,
so that a receiver can tell a repeated delivery from a new one.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

import orjson
from urllib3.util import make_headers

from app.graph.changes.change import Lens

# A text that is shorter is no secret, and would be found in too much.
SHORTEST = 6
SIGNATURE, DELIVERY, WEBHOOK = "Callboard-Signature", "Callboard-Delivery", "Callboard-Webhook"


@dataclass(frozen=True, slots=True)
class Webhook:
    """One configured webhook; what may hold secrets is not in its text."""

    name: str
    url: str = field(repr=False)
    secret: str = field(repr=False)
    lens: Lens = field(default_factory=Lens)
    filters: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 10.0
    max_attempts: int = 15
    batch: int = 100

    @property
    def shown_url(self) -> str:
        """Answer the address without what is private about it: user, password and parameters."""
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path, "", ""))

    def secrets(self) -> list[str]:
        """List what nobody may be shown."""
        parts = urlsplit(self.url)
        given = [self.secret, parts.password, parts.query, *self.headers.values()]
        return [text for text in given if text and len(text) >= SHORTEST]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is sent at once: the changes after `first - 1` up to `last` that concern the webhook."""

    id: str
    body: bytes = field(repr=False)
    first: int
    last: int


def make_delivery(
    webhook: Webhook, lineage: str, span: tuple[int, int], items: Iterable[bytes]
) -> Delivery:
    """Put items into a delivery; `lineage` tells the database from others."""
    first, last = span
    head = orjson.dumps({"webhook": webhook.name, "firstSeq": first, "lastSeq": last})
    body = b'%b,"changes":[%b]}' % (head[:-1], b",".join(items))
    digest = hashlib.sha256(lineage.encode() + b"\0" + body).hexdigest()
    return Delivery(digest[:32], body, first, last)


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """Write the value of the signature header."""
    signed = hmac.new(secret.encode(), b"%d." % timestamp + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={signed}"


def request_headers(webhook: Webhook, delivery: Delivery, timestamp: int) -> dict[str, str]:
    """Write the headers of a delivery that is sent at a time (seconds since the epoch)."""
    parts = urlsplit(webhook.url)
    credentials = (
        make_headers(basic_auth=f"{parts.username}:{parts.password or ''}")
        if parts.username
        else {}
    )
    return {
        **credentials,
        **webhook.headers,
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "callboard",
        # Deliveries are seldom, and what a receiver says besides its status is not waited for.
        "Connection": "close",
        WEBHOOK: webhook.name,
        DELIVERY: delivery.id,
        SIGNATURE: sign(webhook.secret, timestamp, delivery.body),
    }
