"""What is sent to a webhook, and that a receiver can tell that it is genuine."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.graph.webhooks.sending import LONGEST_WAIT, seconds_of
from app.graph.webhooks.webhook import Webhook, make_delivery, request_headers, sign
from tests.app.graph.webhooks import receiver

PAGE = (Path(__file__).parents[4] / "docs" / "changes.md").read_text()
SECRET = "a-secret-of-the-receiver"
HOOK = Webhook("ci", "https://ada:hunter22@ci.example.org:8443/x?key=hunter22", SECRET)


@pytest.fixture(params=["documented", "of the tests"])
def is_genuine(request) -> Callable[..., bool]:
    if request.param == "of the tests":
        return receiver.is_genuine
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - our own documentation
    return names["is_genuine"]


def test_a_signature_is_genuine_for_its_secret_time_and_body(is_genuine):
    now = int(time.time())
    signature = sign(SECRET, now, b"{}")

    assert is_genuine(SECRET, signature, b"{}")
    assert not is_genuine("another-secret", signature, b"{}")
    assert not is_genuine(SECRET, signature, b"{ }")
    assert not is_genuine(SECRET, signature.replace(f"t={now}", f"t={now + 1}"), b"{}")
    assert not is_genuine(SECRET, sign(SECRET, now - 1000, b"{}"), b"{}")


def test_a_signature_is_what_others_compute():
    # printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
    expected = "49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686"

    assert sign("secret", 1700000000, b'{"a":1}') == f"t=1700000000,v1={expected}"


def test_a_delivery_is_what_its_content_is():
    items = [b'{"seq":2}', b'{"seq":5}']

    one = make_delivery(HOOK, "here", (1, 5), items)
    same = make_delivery(HOOK, "here", (1, 5), items)
    others = [
        make_delivery(HOOK, "elsewhere", (1, 5), items),
        make_delivery(HOOK, "here", (1, 6), items),
        make_delivery(HOOK, "here", (1, 5), items[:1]),
    ]

    assert one == same
    assert len({one.id, *(other.id for other in others)}) == 4
    assert json.loads(one.body) == {
        "webhook": "ci",
        "firstSeq": 1,
        "lastSeq": 5,
        "changes": [{"seq": 2}, {"seq": 5}],
    }


def test_what_is_private_is_sent_and_not_shown():
    delivery = make_delivery(HOOK, "here", (1, 1), [])

    headers = request_headers(HOOK, delivery, 1)

    assert headers["authorization"] == "Basic YWRhOmh1bnRlcjIy"
    assert HOOK.shown_url == "https://ci.example.org:8443/x"
    assert "hunter22" not in repr(HOOK)
    assert SECRET not in repr(HOOK)
    assert set(HOOK.secrets()) == {SECRET, "hunter22", "key=hunter22"}


NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 0),
        ("7", 7),
        (" 7 ", 7),
        ("-7", 0),
        ("soon", 0),
        ("\u0667", 0),
        ("999999999999999999", LONGEST_WAIT),
        ("7200", LONGEST_WAIT),
        ("Wed, 25 Nov 2026 12:00:30 GMT", 30),
        ("Wed, 25 Nov 2026 11:00:30 GMT", 0),
        ("Wed, 25 Nov 2026 12:00:30 -0000", 30),
        ("Wed, 25 Nov 2099 12:00:30 GMT", LONGEST_WAIT),
        ("Wed, 99 Nov 2026 12:00:30 GMT", 0),
    ],
)
def test_how_long_a_receiver_wants_to_be_left_alone(text, seconds):
    assert seconds_of(text, NOW) == seconds
