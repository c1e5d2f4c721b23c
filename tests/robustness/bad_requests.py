"""Requests that nobody should send, byte by byte: some hundreds of them.

A case is one request as it goes over the wire, with `TOKEN` where a good token belongs. `tells` says
what has to come back: a refusal (an error with a name and a message), or (`None`) any answer that is
not the server's own failure.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

TOKEN = "@@TOKEN@@"
API = "/api/catalog"
REFUSED, NOTHING = "refused", "no answer"
QUERY, FACETS, REFS = f"{API}/entities/by-query", f"{API}/entity-facets", f"{API}/entities/by-refs"
LIST, REFRESH, LOCATIONS = f"{API}/entities", f"{API}/refresh", f"{API}/locations"
VALIDATE, ANALYZE = f"{API}/validate-entity", f"{API}/analyze-location"
CONDITIONS = f"{API}/.well-known/backstage/permissions/apply-conditions"


@dataclass(frozen=True, slots=True)
class BadRequest:
    """One case: the bytes to send, and what has to come back.

    `NOTHING` allows the connection to be closed without an answer: what was sent is no HTTP.
    """

    name: str
    raw: bytes
    tells: str | None = None


def bad_requests() -> Iterator[BadRequest]:
    """Make every case; their names differ."""
    for family in (
        _parameters(),
        _filters(),
        _cursors(),
        _bodies(),
        _predicates(),
        _documents(),
        _media_types(),
        _paths(),
        _headers(),
        _methods(),
        _framing(),
        _costly(),
        _addresses(),
    ):
        yield from family


def request(
    method: str,
    target: str | bytes,
    body: bytes | None = None,
    headers: Iterable[tuple[str, str | bytes]] = (),
    *,
    token: str | None = TOKEN,
) -> bytes:
    """Write a request."""
    given = {name.lower() for name, _ in headers}
    lines = [method.encode() + b" " + _bytes(target) + b" HTTP/1.1"]
    if "host" not in given:
        lines.append(b"host: localhost")
    if token is not None and "authorization" not in given:
        lines.append(f"authorization: Bearer {token}".encode())
    if body is not None and not given & {"content-length", "transfer-encoding"}:
        lines.append(f"content-length: {len(body)}".encode())
    if body is not None and "content-type" not in given:
        lines.append(b"content-type: application/json")
    lines += [name.encode() + b": " + _bytes(value) for name, value in headers]
    return b"\r\n".join([*lines, b"", b""]) + (body or b"")


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def _get(name: str, path: str, tells: str | None = None, **query: object) -> BadRequest:
    pairs = [
        f"{quote(key)}={quote(str(value))}"
        for key, values in query.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    return BadRequest(
        name, request("GET", "?".join([path, *["&".join(pairs)][: len(pairs)]])), tells
    )


def _post(name: str, path: str, body: Any, tells: str | None = None) -> BadRequest:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return BadRequest(name, request("POST", path, data), tells)


TEXTS = {
    "nul": "a\0b", "newline": "a\nb", "emoji": "😀", "long": "x" * 8000, "quote": "'\";--", "percent": "%zz%",
    "comma": ",,,", "equals": "===", "dots": "....", "dollar": "$", "star": "*", "slash": "//", "space": " ",
    "minus": "-1", "huge": "9" * 400, "float": "1.5", "exponent": "1e999", "hex": "0x10", "nan": "NaN",
    "infinity": "Infinity", "true": "true", "null": "null", "list": "[]", "map": "{}", "arabic": "\u0663",
    "superscript": "²", "turkish": "İ", "bidi": "\u202e", "2^63": str(2**63), "2^31": str(2**31), "zero": "0",
}  # fmt: skip


def _parameters() -> Iterator[BadRequest]:
    parameters = {
        QUERY: ["filter", "fields", "limit", "offset", "orderField", "cursor", "totalItems",
                "fullTextFilterTerm", "fullTextFilterFields"],
        LIST: ["filter", "fields", "limit", "offset", "after", "order"],
        FACETS: ["facet", "filter"],
        f"{API}/entities/unprocessed/pending": ["owner"],
        LOCATIONS: ["dryRun"],
    }  # fmt: skip
    for path, names in parameters.items():
        short = path.rpartition("/")[2]
        for parameter in names:
            for name, text in TEXTS.items():
                yield _get(f"{short}-{parameter}-{name}", path, **{parameter: text})
            yield _get(f"{short}-{parameter}-nothing", path, **{parameter: ""})
            yield _get(f"{short}-{parameter}-twice", path, **{parameter: ["a", "b"]})
            yield _get(f"{short}-{parameter}-500-times", path, **{parameter: ["a=b"] * 500})
            for bracket in ("[]", "[0]", "[a]", "[a][b]", "[", "[99999999999]", "[__proto__]"):
                yield BadRequest(
                    f"{short}-{parameter}{bracket}",
                    request("GET", f"{path}?{parameter}{bracket}=a"),
                )
            for raw in (
                "%",
                "%f",
                "%ff",
                "%00",
                "%c0%80",
                "%ed%a0%80",
                "%u0041",
                "+",
                "&&&",
                "\xff",
                "%25%25",
            ):
                target = f"{path}?{parameter}={raw}".encode("latin-1")
                yield BadRequest(f"{short}-{parameter}-raw-{raw}", request("GET", target))
        yield _get(
            f"{short}-unknown", path, REFUSED if "unproc" not in path else None, nobody="knows"
        )
        yield BadRequest(f"{short}-junk", request("GET", f"{path}?{'&' * 5000}=&=&a&="))
    yield _get("limit-negative", QUERY, REFUSED, limit=-1)
    yield _get("limit-text", QUERY, REFUSED, limit="ten")
    yield _get("limit-largest", QUERY, limit=2**53)
    yield _get("offset-largest", QUERY, offset=2**53)
    yield _get("order-bad", QUERY, REFUSED, orderField="metadata.name,sideways")
    yield _get("list-order-bad", LIST, REFUSED, order="sideways:metadata.name")
    yield _get("total-bad", QUERY, REFUSED, totalItems="maybe")
    yield _get("no-facet", FACETS, REFUSED)


def _filters() -> Iterator[BadRequest]:
    for number, text in enumerate([
        "=", "=a", "a=", "a==b", "a=b=c", ",", "a,,b", "a=b,a=c,a=d", "kind", "KIND=COMPONENT", " a = b ", "a\n=b",
        "a=\0", "\0=a", "metadata.name=a\0b", "a" * 7000, "a." * 3000 + "a=b", "=" * 5000, "," * 7000,
        "relations.ownedBy=", "metadata.annotations.backstage.io/x=1", "kind=component,kind=api",
        ",".join(f"k{i}=v" for i in range(1000)), "a=" + "é" * 1000, "spec.type=\ud83d".encode("utf-8", "replace").decode(),
    ]):  # fmt: skip
        for path in (QUERY, LIST, FACETS):
            short = path.rpartition("/")[2]
            yield (
                _get(f"filter-{short}-{number}", path, facet="kind", filter=text)
                if path == FACETS
                else _get(f"filter-{short}-{number}", path, filter=text)
            )
    many = [f"kind=k{i}" for i in range(2000)]
    yield _get("filters-2000", QUERY, filter=many)
    yield _get("facets-1000", FACETS, facet=[f"metadata.k{i}" for i in range(1000)])
    yield _get("facet-all", FACETS, facet=["metadata.uid"] * 200)


def cursor(**parts: Any) -> str:
    """Write a cursor."""
    return base64.b64encode(json.dumps(parts).encode()).decode()


CURSOR = {
    "orderFields": [{"field": "metadata.name", "order": "asc"}],
    "isPrevious": False,
    "orderFieldValues": ["a", "b"],
    "totalItems": 5,
}


def _cursors() -> Iterator[BadRequest]:
    values: list[Any] = [
        None, True, 5, -1, 1e308, 10**30, "", "a", "\0", [], {}, [None], [[]], [{}], ["a"], [5, 6], ["a"] * 5000,
        {"a": {"b": 1}}, [{"field": "a"}], [{"field": "\0", "order": "asc"}], [{"field": 1, "order": "asc"}],
        [{"field": "a", "order": "up"}], {"$not": 5}, {"$all": {}}, {"term": 5}, {"term": "a", "fields": 5},
    ]  # fmt: skip
    for part in (
        "orderFields", "isPrevious", "orderFieldValues", "totalItems", "query", "fullTextFilter",
        "firstSortFieldValues", "filter", "skipTotalItems",
    ):  # fmt: skip
        for number, value in enumerate(values):
            text = cursor(**{**CURSOR, part: value})
            yield _get(f"cursor-{part}-{number}", QUERY, cursor=text)
            yield _post(f"cursor-body-{part}-{number}", QUERY, {"cursor": text})
        without = {name: value for name, value in CURSOR.items() if name != part}
        yield _get(f"cursor-without-{part}", QUERY, cursor=cursor(**without))
    for name, text in {
        "empty": "", "equals": "====", "text": "hello", "null": base64.b64encode(b"null").decode(),
        "list": base64.b64encode(b"[]").decode(), "number": base64.b64encode(b"5").decode(),
        "json": json.dumps(CURSOR), "cut": cursor(**CURSOR)[:-9], "binary": base64.b64encode(bytes(range(256))).decode(),
        "deep": base64.b64encode(b"[" * 3000).decode(), "utf-16": base64.b64encode("{}".encode("utf-16")).decode(),
        "twice": base64.b64encode(cursor(**CURSOR).encode()).decode(), "nan": base64.b64encode(b'{"totalItems":NaN}').decode(),
        "duplicate": base64.b64encode(b'{"isPrevious":true,"isPrevious":5}').decode(),
        "proto": base64.b64encode(b'{"__proto__":{"isPrevious":true}}').decode(),
    }.items():  # fmt: skip
        yield _get(f"cursor-{name}", QUERY, REFUSED, cursor=text)
        yield _post(f"cursor-body-{name}", QUERY, {"cursor": text}, REFUSED)
        yield _get(f"after-{name}", LIST, after=text, limit=1)
    for number, parts in enumerate([
        {}, {"limit": -1}, {"offset": -5}, {"limit": "a", "offset": []}, {"limit": 1e308}, {"offset": 2**70},
        {"limit": None, "offset": None}, {"limit": 1.5}, {"offset": 0.1},
    ]):  # fmt: skip
        yield _get(f"after-parts-{number}", LIST, after=cursor(**parts), limit=1)
    huge = cursor(**{**CURSOR, "orderFieldValues": ["x" * 90_000, "b"]})
    yield _post("cursor-huge", QUERY, {"cursor": huge}, REFUSED)
    deep: Any = {"kind": "a"}
    for _ in range(450):
        deep = {"$not": deep}
    yield _post("cursor-deep-query", QUERY, {"cursor": cursor(**CURSOR, query=deep)}, REFUSED)


def _bodies() -> Iterator[BadRequest]:
    texts = {
        "empty": b"", "blank": b"  ", "text": b"hello", "number": b"5", "string": b'"a"', "null": b"null",
        "true": b"true", "list": b"[]", "map": b"{}", "cut": b'{"a": ', "comma": b'{"a": 1,}', "quotes": b"{'a': 1}",
        "twice": b"{}{}", "nul": b"\0", "nul-inside": b'{"a": "\0"}', "escaped-nul": b'{"a": "\\u0000"}',
        "latin": b'{"a": "\xe9"}', "surrogate": b'{"entityRefs": ["\\ud800"]}', "bom": b"\xef\xbb\xbf{}",
        "utf-16": "{}".encode("utf-16"), "utf-32": "{}".encode("utf-32"), "nan": b'{"limit": NaN}',
        "infinity": b'{"limit": Infinity}', "1e999": b'{"limit": 1e999}', "digits": b'{"limit": ' + b"9" * 5000 + b"}",
        "minus-zero": b'{"limit": -0.0}', "deep-lists": b"[" * 50_000 + b"]" * 50_000,
        "deep-maps": b'{"a":' * 15_000 + b"1" + b"}" * 15_000, "deep-cut": b"[" * 90_000,
        "deep-in-query": b'{"query":' + b'{"$not":' * 10_000 + b"1" + b"}" * 10_001,
        "keys": json.dumps({f"k{i}": i for i in range(6000)}).encode(), "same-keys": b'{"a":1' + b',"a":1' * 9000 + b"}",
        "large": b'{"a": "' + b"x" * 200_000 + b'"}', "10-mb": b'{"a": "' + b"x" * 10_000_000 + b'"}',
        "30-mb": b'{"a": "' + b"x" * 30_000_000 + b'"}', "xml": b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
        "form": b"a=b&c=d", "escape": b'{"a": "\\x"}', "control": b'{"a": "\x01"}', "comment": b"{} // a",
        "proto": b'{"__proto__": {"query": {}}, "constructor": 1}',
    }  # fmt: skip
    refused = {
        "text",
        "cut",
        "comma",
        "twice",
        "nul",
        "utf-16",
        "utf-32",
        "nan",
        "large",
        "10-mb",
        "30-mb",
        "xml",
    }
    for path in (
        QUERY,
        FACETS,
        REFS,
        REFRESH,
        LOCATIONS,
        VALIDATE,
        ANALYZE,
        CONDITIONS,
        f"{LOCATIONS}/by-query",
    ):
        short = path.rpartition("/")[2] + ("-of-locations" if path.startswith(LOCATIONS) else "")
        for name, body in texts.items():
            yield _post(f"body-{short}-{name}", path, body, REFUSED if name in refused else None)
    fields: dict[str, tuple[str, ...]] = {
        QUERY: (
            "cursor",
            "limit",
            "offset",
            "orderBy",
            "fullTextFilter",
            "fields",
            "totalItems",
            "query",
        ),
        FACETS: ("facets", "query"),
        REFS: ("entityRefs", "fields", "query"),
        REFRESH: ("entityRef", "authorizationToken"),
        LOCATIONS: ("type", "target"),
        f"{LOCATIONS}/by-query": ("cursor", "limit", "query"),
        VALIDATE: ("entity", "location"),
        ANALYZE: ("location", "catalogFilename"),
        CONDITIONS: ("items",),
    }
    base: dict[str, dict[str, Any]] = {
        FACETS: {"facets": ["kind"]},
        REFS: {"entityRefs": ["component:default/a"]},
        REFRESH: {"entityRef": "component:default/a"},
        LOCATIONS: {"type": "url", "target": "https://a.example/x.yaml"},
        VALIDATE: {"entity": _ENTITY, "location": "url:https://a.example/x"},
        ANALYZE: {"location": {"type": "url", "target": "https://a.example/x.yaml"}},
    }
    odd: list[Any] = [
        None, True, 0, -1, 1.5, 1e308, 10**18, "", "a", "\0", "\x00" * 50, "x" * 50_000, "😀", [], {}, [[]], [{}], [None], [5],
        ["\0"], ["a"] * 5000, {"a": 1}, {"$": 1}, {"\0": "\0"}, {"a": {"$in": []}}, [{"field": "a", "order": "asc"}],
        {"term": "a", "fields": ["\0"]}, "url:\0", "../..", "file:///etc/passwd",
    ]  # fmt: skip
    for path, names in fields.items():
        short = path.rpartition("/")[2] + ("-of-locations" if path.startswith(LOCATIONS) else "")
        for field in names:
            for number, value in enumerate(odd):
                body = {**base.get(path, {}), field: value}
                yield _post(f"field-{short}-{field}-{number}", path, body)
    for number, ref in enumerate([
        "", ":", "/", "a:b", "a/b", "a:b/c", "a:b/c/d", "A:B/C", "a:" + "b" * 40_000, "\0:\0/\0", "é:é/é", "component:default/" + "x" * 90_000,
    ]):  # fmt: skip
        yield _post(f"ref-{number}", REFS, {"entityRefs": [ref]})
        yield _post(f"refresh-{number}", REFRESH, {"entityRef": ref})
    yield _post("refs-many", REFS, {"entityRefs": [f"a:b/c{i}" for i in range(8000)]})
    yield _post("refs-same", REFS, {"entityRefs": ["component:default/a"] * 4000})
    for number, target in enumerate([
        "", "/etc/passwd", "file:///etc/passwd", "http://127.0.0.1:1/x", "http://169.254.169.254/latest", "https://[::1]/",
        "http://localhost/", "ftp://x", "https://" + "x" * 90_000, "https://a.example/" + "x" * 20_000, "\0", "https://a\0b/",
        "https://user:pass@a.example/x", "javascript:alert(1)", "https://a.example/*", "//x", "https://\u202e.example/",
    ]):  # fmt: skip
        for kind in ("url", "file", "", "x" * 5000, "\0"):
            name = f"register-{number}-{kind[:4].encode().hex()}"
            yield _post(name, f"{LOCATIONS}?dryRun=true", {"type": kind, "target": target})
            if kind != "url" or number not in (3, 4, 6):
                yield _post(f"{name}-really", LOCATIONS, {"type": kind, "target": target})


_ENTITY: dict[str, Any] = {
    "apiVersion": "backstage.io/v1alpha1",
    "kind": "Component",
    "metadata": {"name": "a"},
    "spec": {"type": "service", "lifecycle": "live", "owner": "team"},
}


def _predicates() -> Iterator[BadRequest]:
    def nested(operator: str, depth: int) -> Any:
        predicate: Any = {"kind": "component"}
        for _ in range(depth):
            predicate = {operator: predicate if operator == "$not" else [predicate]}
        return predicate

    cases: list[tuple[Any, str | None]] = [
        *((nested(op, depth), REFUSED if depth > 50 else None)
          for op in ("$not", "$all", "$any") for depth in (10, 49, 51, 200, 450)),
        ({"$any": [{"kind": f"k{i}"} for i in range(3000)]}, None),
        ({"$all": [{"kind": f"k{i}"} for i in range(3000)]}, None),
        ({"$any": [{"$all": [{"a": "b"}] * 20}] * 60}, None),
        ({"kind": {"$in": [f"k{i}" for i in range(8000)]}}, None),
        ({"kind": {"$hasPrefix": ""}}, None),
        ({"kind": {"$hasPrefix": "x" * 50_000}}, None),
        ({"kind": {"$exists": "yes"}}, REFUSED),
        ({"kind": {"$unknown": 1}}, REFUSED),
        ({"$unknown": 1}, REFUSED),
        ({"$all": 5}, REFUSED),
        ({"$any": {}}, REFUSED),
        ({"$not": None}, REFUSED),
        ({"$not": []}, REFUSED),
        ({"$all": [None]}, REFUSED),
        ({"$all": [5]}, REFUSED),
        ({"$all": [], "$any": []}, REFUSED),
        ({"kind": None}, REFUSED),
        ({"kind": []}, REFUSED),
        ({"kind": [["a"]]}, REFUSED),
        ({"kind": {"$in": 5}}, REFUSED),
        ({"kind": {"$in": [{}]}}, REFUSED),
        ({"kind": {"$contains": None}}, None),
        ({"kind": {"$contains": {"a": 1}}}, REFUSED),
        ({"relations": {"$contains": {"type": 5}}}, REFUSED),
        ({"relations": {"$contains": {"type": "ownedBy", "targetRef": []}}}, REFUSED),
        ({"relations": {"$contains": {"type": "ownedBy", "targetRef": {"$in": []}}}}, REFUSED),
        ({"relations": {"$contains": {"TYPE": "a", "type": "b"}}}, REFUSED),
        ({"": ""}, None),
        ({"\0": "\0"}, None),
        ({"kind": 1e308}, None),
        ({"kind": 10**18}, None),
        ({"kind": True}, None),
        ({"k" * 90_000: 1}, None),
        ({f"k{i}": i for i in range(5000)}, None),
        ({"__proto__": {"$exists": True}}, None),
    ]  # fmt: skip
    for number, (predicate, tells) in enumerate(cases):
        yield _post(f"predicate-query-{number}", QUERY, {"query": predicate}, tells)
        yield _post(
            f"predicate-facets-{number}", FACETS, {"facets": ["kind"], "query": predicate}, tells
        )
        yield _post(
            f"predicate-refs-{number}", REFS, {"entityRefs": ["a:b/c"], "query": predicate}, tells
        )
        yield _post(f"predicate-locations-{number}", f"{LOCATIONS}/by-query", {"query": predicate})


def _documents() -> Iterator[BadRequest]:
    """Entities to validate that are no entities."""
    deep: Any = "x"
    for _ in range(450):
        deep = [deep]
    odd: list[Any] = [
        None,
        True,
        5,
        "",
        "x" * 60_000,
        "\0",
        [],
        {},
        [[]],
        {"a": None},
        deep,
        1e308,
        "\u202e",
        {"$text": "./x"},
    ]
    for field in ("apiVersion", "kind", "metadata", "spec", "relations", "status"):
        for number, value in enumerate(odd):
            yield _post(
                f"validate-{field}-{number}", VALIDATE, _validate({**_ENTITY, field: value})
            )
    for field in (
        "name",
        "namespace",
        "title",
        "uid",
        "etag",
        "labels",
        "annotations",
        "tags",
        "links",
    ):
        for number, value in enumerate(odd):
            entity = {**_ENTITY, "metadata": {"name": "a", field: value}}
            yield _post(f"validate-metadata-{field}-{number}", VALIDATE, _validate(entity))
    for number, place in enumerate(
        [
            "",
            "url",
            "url:",
            "file:/etc/passwd",
            "url:http://127.0.0.1:1/",
            "\0",
            "url:\0",
            "url:" + "x" * 50_000,
        ]
    ):
        entity = {**_ENTITY, "spec": {**_ENTITY["spec"], "x": {"$text": "./x"}}}
        yield _post(f"validate-place-{number}", VALIDATE, {"entity": entity, "location": place})
        where = {
            "apiVersion": "backstage.io/v1alpha1",
            "kind": "Location",
            "metadata": {"name": "a"},
            "spec": {"target": "./x"},
        }
        yield _post(f"validate-location-{number}", VALIDATE, {"entity": where, "location": place})


def _validate(entity: Any) -> dict[str, Any]:
    return {"entity": entity, "location": "url:https://a.example/x.yaml"}


def _media_types() -> Iterator[BadRequest]:
    body = b'{"entityRefs": ["component:default/a"]}'
    for number, kind in enumerate([
        "", "text/plain", "application/xml", "multipart/form-data", "multipart/form-data; boundary=", "application/json; charset=utf-16",
        "application/json; charset=latin1", "application/json; charset=x", "application/json; charset", "application/json;;;", "json",
        "application/JSON", "application/json; charset=UTF-8", "application/json, application/json", "*/*", "a" * 5000, "\xff".encode("latin-1").decode("latin-1"),
        "application/x-www-form-urlencoded", "application/vnd.api+json", ";", "/", "application/json\t; a=b",
    ]):  # fmt: skip
        yield BadRequest(
            f"type-{number}",
            request("POST", REFS, body, [("content-type", kind.encode("latin-1"))]),
        )
    encodings = {
        "gzip": gzip.compress(body), "gzip-cut": gzip.compress(body)[:-9], "gzip-not": body, "deflate": zlib.compress(body),
        "br": body, "identity": body, "gzip, gzip": gzip.compress(gzip.compress(body)), "GZIP": gzip.compress(body), "x" * 500: body,
        "gzip ": gzip.compress(body),
    }  # fmt: skip
    for name, data in encodings.items():
        coding = name.partition("-")[0]
        yield BadRequest(
            f"coding-{name[:20]}", request("POST", REFS, data, [("content-encoding", coding)])
        )
    bomb = gzip.compress(b" " * 100_000_000)
    yield BadRequest(
        "coding-bomb", request("POST", REFS, bomb, [("content-encoding", "gzip")]), REFUSED
    )
    bombs = gzip.compress(bomb)
    yield BadRequest(
        "coding-bombs", request("POST", REFS, bombs, [("content-encoding", "gzip")]), REFUSED
    )


def _paths() -> Iterator[BadRequest]:
    names = [
        "", ".", "..", "%2e%2e", "%2f", "a%2fb", "%00", "a%00b", "%ff", "%ed%a0%80", "%", "%zz", "a" * 5000, "%F0%9F%98%80", "a;b",
        "a b", "a?b", "a#b", "*", "{}", "[]", "<script>", "'", '"', "\\", "%5c..%5c..", "..;", "~root", "%252e%252e", "a|b",
        "%C4%B0", "%0d%0aX: y", "9" * 400, "-1", "1e9", "%C2%B2", "%D9%A3", str(2**63), str(2**64), "0", "null", "undefined",
    ]  # fmt: skip
    for number, name in enumerate(names):
        for method, path in (
            ("GET", f"{API}/entities/by-name/component/default/{name}"),
            ("GET", f"{API}/entities/by-name/component/{name}/a"),
            ("GET", f"{API}/entities/by-name/{name}/default/a"),
            ("GET", f"{API}/entities/by-name/component/default/{name}/ancestry"),
            ("GET", f"{API}/entities/by-uid/{name}"),
            ("DELETE", f"{API}/entities/by-uid/{name}"),
            ("DELETE", f"{API}/entities/unprocessed/delete/{name}"),
            ("GET", f"{LOCATIONS}/{name}"),
            ("DELETE", f"{LOCATIONS}/{name}"),
            ("GET", f"{LOCATIONS}/by-entity/location/default/{name}"),
            ("GET", f"{API}/{name}"),
            ("GET", f"/api/{name}/entities"),
            ("GET", f"/{name}"),
            ("GET", f"/.backstage/health/v1/{name}"),
            ("GET", f"/api/auth/{name}/start"),
            ("GET", f"/api/{name}/.backstage/auth/v1/jwks.json"),
        ):
            short = "-".join(path.replace(name, "X").split("/")[2:]) if name else path
            yield BadRequest(f"path-{number}-{method}-{short}", request(method, path))
    for number, target in enumerate([
        "", "*", "//", "///api/catalog/entities", "/../../../etc/passwd", "/./api/catalog/entities", "/api//catalog//entities",
        "/api/catalog/entities/", "/api/catalog/entities/../entities", "http://evil.example/api/catalog/entities", "http://", "api/catalog/entities",
        "?", "/?", "/api/catalog/entities#x", "/api/catalog/entities?%", "/API/CATALOG/ENTITIES", "/api/catalog/entities/by-query/",
        "/api/catalog%2fentities", "/api/catalog\\entities", "/" + "a/" * 3000, "/" + "%2e%2e/" * 500, "/api/catalog/entities;jsessionid=1",
        "https://localhost:7007/", "localhost:7007", "/\t", "/a b c",
    ]):  # fmt: skip
        yield BadRequest(f"target-{number}", request("GET", target), NOTHING)
    for junk in (b"/\x00", b"/\xff\xfe", b"/\x7f", "/é".encode("latin-1"), "/é".encode()):
        yield BadRequest(f"target-bytes-{junk.hex()}", request("GET", junk), NOTHING)


def _costly() -> Iterator[BadRequest]:
    """Ask little that might take long, or much memory, to answer."""
    bodies: dict[str, tuple[str, dict[str, Any]]] = {
        "like-pieces": (QUERY, {"fullTextFilter": {"term": "%".join(f"{i}a" for i in range(9000))}}),
        "like-any": (QUERY, {"fullTextFilter": {"term": "_" * 90_000, "fields": ["kind"]}}),
        "like-escapes": (QUERY, {"fullTextFilter": {"term": "\\%" * 20_000, "fields": ["kind"]}}),
        "like-fields": (QUERY, {"fullTextFilter": {"term": "a_", "fields": ["kind"] * 8000}}),
        "fields-many": (QUERY, {"fields": [f"a{i}.b.c" for i in range(7000)]}),
        "fields-deep": (QUERY, {"fields": ["a." * 45_000]}),
        "fields-below": (QUERY, {"fields": ["metadata.annotations." + "a." * 45_000]}),
        "in-many": (QUERY, {"query": {"kind": {"$in": [f"k{i}" for i in range(9000)]}}}),
        "prefixes": (QUERY, {"query": {"$any": [{"kind": {"$hasPrefix": ""}}] * 2500}}),
        "nots": (QUERY, {"query": {"$all": [{"$not": {"kind": {"$hasPrefix": "x"}}}] * 2000}}),
        "exists": (QUERY, {"query": {"$any": [{f"k{i}": {"$exists": False}} for i in range(3000)]}}),
        "facets": (FACETS, {"facets": [f"metadata.x{i}" for i in range(5000)]}),
        "facets-same": (FACETS, {"facets": ["metadata.uid"] * 6000}),
        "orders": (QUERY, {"orderBy": [{"field": f"a{i}", "order": "asc"} for i in range(2500)]}),
        "places": (f"{LOCATIONS}/by-query", {"query": {"$all": [{"$any": [{"id": "x"}] * 50}] * 50}}),
        "tag": (VALIDATE, _validate({**_ENTITY, "metadata": {"name": "a", "tags": ["a-" * 40_000 + "!"]}})),
        "version": (VALIDATE, _validate({**_ENTITY, "apiVersion": "a-" * 40_000 + "!/v1"})),
        "namespace": (VALIDATE, _validate({**_ENTITY, "metadata": {"name": "a", "namespace": "a-" * 40_000}})),
        "link": (VALIDATE, _validate({**_ENTITY, "metadata": {"name": "a", "links": [{"url": "https://" + "a." * 40_000}]}})),
        "script": (VALIDATE, _validate({**_ENTITY, "metadata": {"name": "a", "annotations": {"backstage.io/view-url": " " * 50_000 + "j"}}})),
        "ref": (VALIDATE, _validate({**_ENTITY, "spec": {**_ENTITY["spec"], "owner": ":" * 90_000}})),
    }  # fmt: skip
    for name, (path, body) in bodies.items():
        yield _post(f"costly-{name}", path, body)
    for times in (1, 3, 8, 20, 21, 900):
        orders = ["asc:metadata.tags", "desc:spec.dependsOn", "asc:relations.dependsOn"] * times
        tells = REFUSED if times > 6 else None
        yield _get(f"costly-order-{times}", LIST, tells, order=orders, limit=1)
    yield _get("costly-order-others", LIST, REFUSED, order=[f"asc:a{i}" for i in range(999)])
    dots = ",".join(["metadata." + "a." * 100] * 200)
    yield _get("costly-fields", QUERY, fields=dots)
    for name, value in {
        "none-match": ", ".join(f'W/"{i:032x}"' for i in range(1500)),
        "codings": ",".join(f"gzip;q=0.{i}" for i in range(4000)),
        "blanks": "no-cache" + " " * 50_000 + "x",
    }.items():
        header = {"none-match": "if-none-match", "codings": "accept-encoding"}
        pairs = [(header.get(name, "cache-control"), value)]
        yield BadRequest(f"costly-{name}", request("GET", f"{QUERY}?limit=1", headers=pairs))
    blanks = [("authorization", "Bearer" + " " * 50_000 + "x y")]
    yield BadRequest("costly-bearer", request("GET", QUERY, headers=blanks), REFUSED)
    media = [("content-type", "application/json;" + " " * 50_000 + "x")]
    yield BadRequest("costly-media-type", request("POST", REFS, b"{}", media), REFUSED)


def _addresses() -> Iterator[BadRequest]:
    """Have the server read what it may not, under all the names that an address may have."""
    for number, target in enumerate([
        "http://a.example@127.0.0.1/", "http://127.0.0.1#a.example", "http://127.0.0.1\\@a.example/", "http://127.1/", "http://0x7f000001/",
        "http://2130706433/", "http://0177.0.0.1/", "http://[::ffff:127.0.0.1]/", "http://[::]/", "http://0/", "http://0.0.0.0/", "http://localhost./",
        "http://LOCALHOST/", "http://loc%61lhost/", "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "http://localhost:7007/api/catalog/entities", "http:127.0.0.1/", "//127.0.0.1/",
        "http:///127.0.0.1/", "http://127.0.0.1:80:80/", "gopher://127.0.0.1/", "dict://127.0.0.1/", "file://localhost/etc/passwd", "FILE:///etc/passwd",
        "jar:http://127.0.0.1!/x", "netdoc:///etc/passwd", "http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://metadata.google.internal/",
        "http://127.0.0.1/..%2f..%2fetc/passwd", "http://a.example.127.0.0.1.nip.io/", "\thttp://127.0.0.1/", "http://127.0.0.1\t/", "ht\ntp://127.0.0.1/",
        "/etc/passwd", "../../etc/passwd", "C:/x", "\\\\host\\share", "git@127.0.0.1:x/y.git", "ssh://127.0.0.1/x", "git://127.0.0.1/x",
    ]):  # fmt: skip
        body = json.dumps({"type": "url", "target": target}).encode()
        yield BadRequest(
            f"address-dry-{number}", request("POST", f"{LOCATIONS}?dryRun=true", body), REFUSED
        )
        where = {**_ENTITY, "kind": "Location", "spec": {"type": "url", "target": target}}
        yield _post(f"address-location-{number}", VALIDATE, _validate(where), REFUSED)
        text = {**_ENTITY, "spec": {**_ENTITY["spec"], "x": {"$text": target}}}
        yield _post(f"address-placeholder-{number}", VALIDATE, _validate(text), REFUSED)


def _headers() -> Iterator[BadRequest]:
    values: dict[str, list[str | bytes]] = {
        "authorization": ["", "Bearer", "Bearer ", "bearer  x", "Basic YTpi", "Bearer a b", "Bearer \xff", "Bearer " + "x" * 20_000, "Bearer ....", "Bearer a.b.c", "Bearer é", "x" * 5000, "Negotiate", "Bearer null", ","],
        "cookie": ["", "=", ";;;", "backstage-auth=", "backstage-auth=x", "backstage-auth=%", "backstage-auth=%ff%00", "a=" + "b" * 20_000, "; ".join(f"c{i}=1" for i in range(500))],
        "accept-encoding": ["", "*", "gzip;q=0", "gzip;q=x", "identity;q=0", "gzip, br, deflate, x", ",,,", "gzip" * 500, "gzip;q=1e999", "gzip;;;q"],
        "accept": ["", "*/*", "text/html", "x", "application/json;q=x", "," * 5000],
        "if-none-match": ["", "*", '"', '"a"', "W/", 'W/"a"', '"a", "b", *', '"' + "x" * 5000, "\xff", ", ".join(['"x"'] * 2000)],
        "if-modified-since": ["", "x", "Thu, 01 Jan 1970 00:00:00 GMT", "9" * 500],
        "range": ["bytes=0-0", "bytes=-1", "bytes=9-0", "bytes=" + ",".join(["0-0"] * 1000), "x"],
        "origin": ["", "null", "*", "http://evil.example", "x" * 5000, "\xff", "http://a\x80b"],
        "access-control-request-method": ["", "GET", "x" * 5000],
        "x-request-id": ["", " ", "x" * 5000, "\xff", "a b", "a;b", "${jndi:ldap://x}"],
        "x-forwarded-for": ["x", "127.0.0.1, 127.0.0.1", "x" * 5000], "x-forwarded-proto": ["https", "x"], "x-forwarded-host": ["evil.example"],
        "host": ["", "evil.example", "localhost:99999", "[::1", "\xff", "a b", "x" * 5000, "localhost, evil"],
        "expect": ["100-continue", "x"], "upgrade": ["websocket", "h2c", "x"], "connection": ["upgrade", "close, close", "x" * 5000, ""],
        "content-length": ["5", "-1", "x", "0", "1e3", "99999999999999999999", "+5", "5, 5", ""],
        "transfer-encoding": ["chunked", "x", "chunked, chunked", "gzip, chunked", "identity", "\x0bchunked", ""],
        "content-type": ["", "x", "application/json"], "te": ["trailers"], "trailer": ["authorization"], "forwarded": ["for=x"],
        "user-agent": ["", "\xff", "x" * 30_000], "referer": ["x" * 20_000], "traceparent": ["x", "00-0-0-0"], "x_request_id": ["x"],
    }  # fmt: skip
    unframed = {"content-length", "transfer-encoding", "expect", "host", "upgrade", "connection"}
    for name, options in values.items():
        for number, value in enumerate(options):
            data = value.encode("latin-1", "replace") if isinstance(value, str) else value
            raw = request("GET", f"{QUERY}?limit=1", headers=[(name, data)])
            yield BadRequest(f"header-{name}-{number}", raw, NOTHING if name in unframed else None)
    for name, header in {
        "bad-name": b"a b: c", "no-colon": b"abc", "empty-name": b": a", "nul": b"a: \0", "newline": b"a: b\nc: d", "return": b"a: b\rc: d",
        "folded": b"a: b\r\n c", "high": b"\xff: a", "space": b"a : b", "tab": b"a\t: b", "control": b"a: \x01\x02", "brackets": b"(a): b",
    }.items():  # fmt: skip
        raw = request("GET", f"{QUERY}?limit=1").replace(
            b"\r\n\r\n", b"\r\n" + header + b"\r\n\r\n"
        )
        yield BadRequest(f"header-{name}", raw, NOTHING)
    many = [(f"x-{i}", "y") for i in range(5000)]
    yield BadRequest("headers-5000", request("GET", QUERY, headers=many), NOTHING)
    yield BadRequest("headers-same", request("GET", QUERY, headers=[("x", "y")] * 3000), NOTHING)
    yield BadRequest(
        "header-1-mb", request("GET", QUERY, headers=[("x", "y" * 1_000_000)]), NOTHING
    )
    yield BadRequest(
        "header-10-mb", request("GET", QUERY, headers=[("x", "y" * 10_000_000)]), NOTHING
    )
    yield BadRequest("line-1-mb", request("GET", f"{QUERY}?filter={'a' * 1_000_000}"), NOTHING)
    two = [("authorization", f"Bearer {TOKEN}"), ("authorization", "Bearer x")]
    yield BadRequest("authorization-twice", request("GET", QUERY, headers=two))


def _methods() -> Iterator[BadRequest]:
    for method in (
        "HEAD", "OPTIONS", "TRACE", "CONNECT", "PUT", "PATCH", "DELETE", "PROPFIND", "BREW", "get", "G" * 5000, "GET ", "", "M-SEARCH", "PRI",
    ):  # fmt: skip
        for path in (
            QUERY,
            LIST,
            FACETS,
            f"{API}/entities/by-uid/x",
            "/.backstage/health/v1/liveness",
            "/",
            "*",
            "/metrics",
            f"{API}/nothing",
        ):
            odd = (
                NOTHING
                if method not in {"HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"} or path == "*"
                else None
            )
            yield BadRequest(f"method-{method[:9]}-{path}", request(method, path), odd)
    preflight = [("origin", "http://x"), ("access-control-request-method", "PUT\x80")]
    yield BadRequest("preflight", request("OPTIONS", LIST, headers=preflight))


def _framing() -> Iterator[BadRequest]:
    good = request("GET", f"{QUERY}?limit=0")
    chunked = [("transfer-encoding", "chunked")]
    raw = {
        "nothing": b"", "newlines": b"\r\n" * 1000, "junk": bytes(range(256)) * 50, "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(100), "http09": b"GET /\r\n\r\n", "http10": b"GET /.backstage/health/v1/liveness HTTP/1.0\r\n\r\n",
        "http12": good.replace(b"HTTP/1.1", b"HTTP/1.2"), "http99": good.replace(b"HTTP/1.1", b"HTTP/9.9"), "http": good.replace(b"HTTP/1.1", b"HTTP"),
        "lower": good.replace(b"HTTP/1.1", b"http/1.1"), "line-feeds": good.replace(b"\r\n", b"\n"), "returns": good.replace(b"\r\n", b"\r"),
        "no-host": good.replace(b"host: localhost\r\n", b""), "two-hosts": good.replace(b"host: localhost", b"host: localhost\r\nhost: x"),
        "two-lengths": request("POST", REFS, b"{}", [("content-length", "2"), ("content-length", "3")]),
        "length-and-chunks": request("POST", REFS, b"2\r\n{}\r\n0\r\n\r\n", [("content-length", "2"), *chunked]),
        "chunks": request("POST", REFS, b"2\r\n{}\r\n0\r\n\r\n", chunked), "chunks-bad": request("POST", REFS, b"zz\r\n{}\r\n0\r\n\r\n", chunked),
        "chunks-negative": request("POST", REFS, b"-2\r\n{}\r\n0\r\n\r\n", chunked), "chunks-huge": request("POST", REFS, b"ffffffffffffffff\r\n{}", chunked),
        "chunks-extended": request("POST", REFS, b"2;" + b"x" * 100_000 + b"\r\n{}\r\n0\r\n\r\n", chunked),
        "chunks-trailers": request("POST", REFS, b"2\r\n{}\r\n0\r\n" + b"a: b\r\n" * 20_000 + b"\r\n", chunked),
        "chunks-tiny": request("POST", REFS, b"1\r\n \r\n" * 30_000 + b"0\r\n\r\n", chunked),
        "chunks-many": request("POST", REFS, b"400\r\n" + (b" " * 1024 + b"\r\n400\r\n") * 25_000, chunked),
        "length-less": request("POST", REFS, b"{}" * 50, [("content-length", "2")]),
        "length-more": request("POST", REFS, b"{}", [("content-length", "200")]),
        "smuggled": request("POST", REFS, b"0\r\n\r\nGET /admin HTTP/1.1\r\nhost: x\r\n\r\n", [("content-length", "44"), *chunked]),
        "pipelined": good * 200, "pipelined-junk": good + b"junk\r\n\r\n",
        "body-on-get": request("GET", f"{QUERY}?limit=0", b'{"a": 1}'), "head-only": good[:-10],
        "websocket": request("GET", QUERY, headers=[
            ("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13"), ("sec-websocket-key", "eA==")]),
        "websocket-13": request("GET", f"{API}/entities", headers=[
            ("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")]),
        "websocket-99": request("GET", QUERY, headers=[("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "99")]),
    }  # fmt: skip
    for name, data in raw.items():
        yield BadRequest(f"framing-{name}", data, NOTHING)
