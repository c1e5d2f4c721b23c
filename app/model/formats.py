"""The formats that names, labels, tags and links must have (CONTRACT 1.1)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import ada_url

_LONGEST_LABEL = 63
_LONGEST_SUBDOMAIN = 253
_SUFFIX = re.compile(r"[a-zA-Z0-9]{1,63}\Z")
_KIND = re.compile(r"[a-zA-Z][a-zA-Z0-9]{0,62}\Z")
_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?\Z")
_DNS_LABEL = re.compile(r"[a-z0-9]+(?:-+[a-z0-9]+)*\Z")
_TAG = re.compile(r"[a-z0-9:+#]+(?:-[a-z0-9:+#]+)*\Z")
# The URLs that need no parser: the host ends like a name and is not encoded.
_PLAIN_URL = re.compile(
    r"https?://(?!xn--)(?:[a-z0-9-]+\.(?!xn--))*[a-z][a-z0-9-]*(?::[0-9]{1,4})?(?:[/?#]|\Z)"
)
# What JavaScript's `trim` takes off.
_BLANKS = "\t\n\x0b\x0c\r \xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)


def is_api_version(value: str) -> bool:
    return _is_prefixed(value, is_suffix)


def is_suffix(value: str) -> bool:
    return _SUFFIX.match(value) is not None


def is_kind(value: str) -> bool:
    return _KIND.match(value) is not None


def is_object_name(value: str) -> bool:
    return _NAME.match(value) is not None


def is_namespace(value: str) -> bool:
    return len(value) <= _LONGEST_LABEL and _DNS_LABEL.match(value) is not None


@lru_cache(maxsize=16_384)
def is_key(value: str) -> bool:
    """Accept the key of a label or an annotation; remembered, since few keys are used a lot."""
    return _is_prefixed(value, is_object_name)


def is_label_value(value: str) -> bool:
    return not value or _NAME.match(value) is not None


def is_tag(value: str) -> bool:
    return len(value) <= _LONGEST_LABEL and _TAG.match(value) is not None


def is_url(value: str) -> bool:
    """Accept what a browser would take for an absolute URL."""
    if _PLAIN_URL.match(value):
        return True
    return ada_url.check_url(value.encode("utf-8", "replace").decode())


def is_non_empty(value: str) -> bool:
    return bool(value.strip(_BLANKS))


def _is_prefixed(value: str, is_valid_suffix: Callable[[str], bool]) -> bool:
    prefix, slash, suffix = value.partition("/")
    return _is_subdomain(prefix) and is_valid_suffix(suffix) if slash else is_valid_suffix(prefix)


def _is_subdomain(value: str) -> bool:
    return len(value) <= _LONGEST_SUBDOMAIN and all(map(is_namespace, value.split(".")))


@dataclass(frozen=True, slots=True)
class Format:
    """A rule for a field, and what it expects in the words of the error message."""

    is_met_by: Callable[[str], bool]
    expectation: str


_NAME_TEXT = "a string that is sequences of [a-zA-Z0-9] separated by any of [-_.]"
_KEY_TEXT = "a valid prefix and/or suffix"
_IN_TOTAL = ", at most 63 characters in total"

API_VERSION = Format(is_api_version, _KEY_TEXT)
KIND = Format(is_kind, f"a string that is a sequence of [a-zA-Z][a-z0-9A-Z]{_IN_TOTAL}")
NAME = Format(is_object_name, _NAME_TEXT + _IN_TOTAL)
NAMESPACE = Format(
    is_namespace, f"a string that is sequences of [a-z0-9] separated by [-]{_IN_TOTAL}"
)
KEY = Format(is_key, _KEY_TEXT)
LABEL_VALUE = Format(is_label_value, _NAME_TEXT + _IN_TOTAL)
TAG = Format(is_tag, f"a string that is sequences of [a-z0-9+#] separated by [-]{_IN_TOTAL}")
URL = Format(is_url, "a string that is a valid url")
NON_EMPTY = Format(is_non_empty, "a non empty string")
