"""Tokens that nobody should accept, most of them made out of a good one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

PARTS = 3


def bad_tokens(good: str, keys: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Make a name and a token for every case, from a good user token and the published keys."""
    head, body, signature = good.split(".")
    header, claims = json.loads(_decoded(head)), json.loads(_decoded(body))
    yield from _without_signature(header, claims, signature)
    yield from _confused(header, claims, keys)
    for name, value in {
        "none": "none", "None": "None", "NONE": "NONE", "empty": "", "null": None, "number": 5, "list": ["ES256"],
        "HS256": "HS256", "RS256": "RS256", "ES384": "ES384", "EdDSA": "EdDSA", "unknown": "X", "dir": "dir",
    }.items():  # fmt: skip
        yield f"alg-{name}", f"{_part({**header, 'alg': value})}.{body}.{signature}"
    for name, value in {
        "missing": ..., "empty": "", "null": None, "number": 5, "list": [], "map": {}, "path": "../../../../dev/null",
        "sql": "' OR 1=1 --", "nul": "a\0b", "long": "x" * 100_000, "other": "00000000-0000-4000-8000-000000000000",
    }.items():  # fmt: skip
        yield f"kid-{name}", f"{_part(_set(header, 'kid', value))}.{body}.{signature}"
    for name, value in {
        "missing": ..., "plugin": "vnd.backstage.plugin", "limited": "vnd.backstage.limited-user", "JWT": "JWT",
        "number": 5, "null": None, "list": ["vnd.backstage.user"],
    }.items():  # fmt: skip
        yield f"typ-{name}", f"{_part(_set(header, 'typ', value))}.{body}.{signature}"
    for name, more in {
        "jwk": {"jwk": {"kty": "oct", "k": "AA"}}, "jku": {"jku": "http://127.0.0.1:1/"}, "x5u": {"x5u": "http://127.0.0.1:1/"},
        "x5c": {"x5c": ["AA"]}, "crit": {"crit": ["exp"]}, "b64": {"b64": False, "crit": ["b64"]}, "zip": {"zip": "DEF"},
        "enc": {"enc": "A128GCM"}, "cty": {"cty": "JWT"},
    }.items():  # fmt: skip
        yield f"header-{name}", f"{_part({**header, **more})}.{body}.{signature}"
    now = int(time.time())
    for name, changed in {
        "sub": {"sub": "user:default/admin"}, "sub-number": {"sub": 5}, "sub-null": {"sub": None}, "sub-service": {"sub": "plugin:x"},
        "exp-far": {"exp": now + 10**9}, "exp-text": {"exp": "never"}, "exp-inf": {"exp": 1e308}, "exp-null": {"exp": None},
        "iat-future": {"iat": now + 10**6}, "aud": {"aud": "catalog"}, "aud-list": {"aud": ["backstage"]}, "ent": {"ent": ["group:a/b"]},
        "nothing": {},
    }.items():  # fmt: skip
        changed_body = _part({**claims, **changed, "x": name})
        yield f"claim-{name}", f"{head}.{changed_body}.{signature}"
    for position in range(0, len(signature), 7):
        swapped = "A" if signature[position] != "A" else "B"
        yield (
            f"signature-{position}",
            f"{head}.{body}.{signature[:position]}{swapped}{signature[position + 1 :]}",
        )


def _without_signature(
    header: Mapping[str, Any], claims: Mapping[str, Any], signature: str
) -> Iterator[tuple[str, str]]:
    head, body = _part(header), _part(claims)
    odd = {
        "no-signature": f"{head}.{body}.", "two-parts": f"{head}.{body}", "one-part": head, "dots": "..", "many-dots": "." * 5000,
        "four-parts": f"{head}.{body}.{signature}.{signature}", "five-parts": f"{head}.a.b.c.{signature}", "no-header": f".{body}.{signature}",
        "no-claims": f"{head}..{signature}", "padded": f"{head}==.{body}==.{signature}==x", "text-header": f"{_encoded(b'hello')}.{body}.{signature}",
        "list-header": f"{_encoded(b'[]')}.{body}.{signature}", "null-header": f"{_encoded(b'null')}.{body}.{signature}",
        "deep-header": f"{_encoded(b'[' * 5000)}.{body}.{signature}", "list-claims": f"{head}.{_encoded(b'[]')}.{signature}",
        "deep-claims": f"{head}.{_encoded(b'[' * 5000)}.{signature}", "binary": f"{_encoded(bytes(range(256)))}.{body}.{signature}",
        "long": "x" * 30_000, "zeros": f"{head}.{body}.{_encoded(bytes(64))}", "short": f"{head}.{body}.{_encoded(b'a')}",
        "long-signature": f"{head}.{body}.{_encoded(bytes(10_000))}", "same-twice": f'{_encoded(b"""{"alg":"none","alg":"ES256"}""")}.{body}.{signature}',
    }  # fmt: skip
    yield from odd.items()


def _confused(
    header: Mapping[str, Any], claims: Mapping[str, Any], keys: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Sign with what is public: the key's text as a shared secret, no secret at all."""
    for name, secret in {
        "the-key": json.dumps(keys["keys"][0]).encode(),
        "the-keys": json.dumps(keys).encode(),
        "x": keys["keys"][0]["x"].encode(),
        "nothing": b"",
    }.items():
        for kept in (header, {k: v for k, v in header.items() if k != "kid"}, {}):
            signed = f"{_part({**kept, 'alg': 'HS256'})}.{_part(claims)}"
            proof = hmac.digest(secret, signed.encode(), hashlib.sha256)
            yield f"confused-{name}-{len(kept)}", f"{signed}.{_encoded(proof)}"


def _set(header: Mapping[str, Any], name: str, value: object) -> dict[str, Any]:
    kept = {key: old for key, old in header.items() if key != name}
    return kept if value is ... else {**kept, name: value}


def _part(value: object) -> str:
    return _encoded(json.dumps(value).encode())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
