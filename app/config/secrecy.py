"""Which parts of a configuration are not for showing, and how they are covered."""

from __future__ import annotations

import re
from typing import Any

from app.config.place import ABSENT, Node

MASK = "********"

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_PASSWORDS = {"passphrase", "passwd", "password"}
_OTHERS = {"authorization", "cookie", "credential", "credentials", "key", "pat"}
_LAST_WORDS = {"secret", "secrets", "token", "tokens"} | _PASSWORDS | _OTHERS
_URL_PASSWORD = re.compile(r"(://[^/?#\s:@]*:)[^/?#\s]*@")


def is_secret_name(name: str) -> bool:
    """Tell whether a key promises a secret: its last word is `token`, `secret` or the like."""
    words = _WORD.findall(name)
    return bool(words) and words[-1].lower() in _LAST_WORDS


def redacted(node: Node, *, is_secret: bool = False) -> Any:
    """Copy the value with secrets masked: texts and numbers, never booleans or structure."""
    is_secret = is_secret or node.is_secret
    if isinstance(node.value, dict):
        return {
            key: redacted(child, is_secret=is_secret or is_secret_name(key))
            for key, child in node.value.items()
            if child.value is not ABSENT
        }
    if isinstance(node.value, list):
        return [redacted(child, is_secret=is_secret) for child in node.value]
    if node.value is None or isinstance(node.value, bool):
        return node.value
    if is_secret:
        return MASK
    if isinstance(node.value, str):
        return _URL_PASSWORD.sub(rf"\1{MASK}@", node.value)
    return node.value
