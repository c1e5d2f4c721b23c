"""Catalog files that nobody should write, made in a folder each: a few hundred of them.

A case is a file called `catalog-info.yaml` in a folder of its own, maybe with other things beside
it. `tells` says what has to come of it: a problem, an entity, or (`None`) either, as long as nothing
breaks.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

NAME = "catalog-info.yaml"
HEAD = "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: {name}\n"
# So that no case contends for the names of another one.
_NAMESPACES = itertools.count()
SPEC = "spec:\n  type: service\n  lifecycle: live\n  owner: team\n"
MEGABYTE = 1 << 20
PROBLEM, ENTITY = "problem", "entity"


@dataclass(frozen=True, slots=True)
class BadFile:
    """One case: what to write into its folder, and what it has to come to."""

    name: str
    write: Callable[[Path], object]
    tells: str | None = None


def bad_files() -> Iterator[BadFile]:
    """Make every case; their names differ."""
    for family in (
        _encodings(),
        _control_characters(),
        _syntax(),
        _bombs(),
        _values(),
        _lengths(),
        _references(),
        _targets(),
        _location_webs(),
        _odd_places(),
        _placeholders(),
    ):
        yield from family


def good(name: str, extra: str = "") -> str:
    """A Component that is all right, with `extra` in its metadata."""
    namespace = "" if "namespace:" in extra else f"  namespace: n{next(_NAMESPACES)}\n"
    return HEAD.format(name=name) + namespace + extra + SPEC


def location(name: str, *targets: object, **spec: object) -> str:
    """A Location."""
    return json.dumps(
        {
            "apiVersion": "backstage.io/v1alpha1",
            "kind": "Location",
            "metadata": {"name": name},
            "spec": {**({"targets": list(targets)} if targets else {}), **spec},
        }
    )


def _file(name: str, content: str | bytes, tells: str | None = None) -> BadFile:
    data = content.encode() if isinstance(content, str) else content
    return BadFile(name, lambda folder: (folder / NAME).write_bytes(data), tells)


def _encodings() -> Iterator[BadFile]:
    for encoding, tells in (
        ("utf-8-sig", ENTITY),
        ("utf-16", ENTITY),
        ("utf-16-le", PROBLEM),
        ("utf-16-be", PROBLEM),
        ("utf-32", PROBLEM),
        ("utf-32-le", PROBLEM),
        ("utf-7", None),
    ):
        text = good("encoded", "  description: Grüße, 世界 😀\n")
        yield _file(f"encoded-{encoding}", text.encode(encoding), tells)
    for encoding in ("latin-1", "cp1252", "cp437", "mac_roman", "cp037"):
        plain = good("encoded", "  description: Grüße\n")
        yield _file(f"encoded-{encoding}", plain.encode(encoding), PROBLEM)
    for name, junk in {
        "surrogate": b"\xed\xa0\x80",
        "surrogate-pair": b"\xed\xa0\xbd\xed\xb8\x80",
        "overlong": b"\xc0\xaf",
        "overlong-nul": b"\xc0\x80",
        "too-high": b"\xf4\x90\x80\x80",
        "cut-off": b"\xe4\xb8",
        "continuation": b"\x80\x80",
        "bom-inside": b"\xfe\xff",
        "ff": b"\xff" * 20,
    }.items():
        data = good("encoded", "  description: before @@ after\n").encode()
        yield _file(f"bytes-{name}", data.replace(b"@@", junk), PROBLEM)
        yield _file(f"bytes-{name}-at-the-end", good("encoded").encode() + junk, PROBLEM)
    yield _file("utf-16-odd", "\ufeff".encode("utf-16-le") + b"a", PROBLEM)
    yield _file("utf-16-lone-surrogate", b"\xff\xfe\x3d\xd8a\x00", PROBLEM)
    yield _file("empty", b"")
    yield _file("only-a-bom", b"\xef\xbb\xbf")
    yield _file("blanks", b" \n\n \t\n")
    yield _file("nul", b"\0", PROBLEM)
    yield _file("nuls", b"\0" * MEGABYTE, PROBLEM)
    yield _file("noise", bytes((i * 7919 + 13) % 256 for i in range(200_000)), PROBLEM)
    yield _file("a-picture", b"\x89PNG\r\n\x1a\n" + bytes(500), PROBLEM)
    yield _file("gzip", b"\x1f\x8b\x08\x00" + bytes(500), PROBLEM)
    yield _file("carriage-returns", good("mac").replace("\n", "\r"))
    yield _file("windows", good("windows").replace("\n", "\r\n"), ENTITY)


def _control_characters() -> Iterator[BadFile]:
    codes = [*range(0x20), 0x7F, 0x80, 0x85, 0xA0, 0x2028, 0x2029, 0xFDD0, 0xFEFF, 0xFFFE, 0xFFFF]
    for code in [*codes, 0x1F600, 0x10FFFF]:
        text = good("control", f"  description: a{chr(code)}b\n")
        yield _file(f"control-plain-{code:x}", text)
        yield _file(f"control-name-{code:x}", good(f"a{chr(code)}b") if code else good("a\0b"))
    for escape in (
        "\\0", "\\ud800", "\\udc00", "\\ud83d\\ude00", "\\udc00\\ud800", "\\uffff", "\\U00110000",
        "\\UFFFFFFFF", "\\x", "\\u12", "\\q", "\\", "\\x00\\x01\\x1b", "\\N\\_\\L\\P",
    ):  # fmt: skip
        yield _file(
            f"escape-{escape.replace(chr(92), '_')}",
            good("escape", f'  description: "a{escape}b"\n'),
        )


def _syntax() -> Iterator[BadFile]:
    snippets = [
        "[", "]", "{", "}", "[[[", "{a: [}", "- - -", ": : :", "? ? ?", "!", "!!", "!<>", "!<!>", "&",
        "*", "*a", "&a", "&a *a", "&a [*a]", "&a {b: *a}", "%", "%YAML 9.9\n---\na: b",
        "%TAG ! tag:x,2000:\n---\n!y a", "---\n---\n---", "...", "--- >\n...\n---", "|", ">", "|99", "|0",
        ">+-", "'", '"', "'a", '"a', "a: b: c", "a:\n\tb: c", "\ta: b", "a: b\n c: d\n  e: f", "@a", "`a",
        "a: @b", "a: `b", "- a\nb: c", "a: b\n- c", "? a\n? b", "? [a]\n: b", "? {a: b}\n: c",
        "{[a]: b}", "[a: b: c]", "{a, b: , : c}", "a: 1\na: 2", "<<: {a: b}", "<<: *x", "a: &b\nc: *b",
        "!!python/object/apply:os.system ['true']", "!!python/name:os.system", "!!binary aGFsbG8=",
        "!!binary '***'", "!!set {a, b}", "!!omap [a: 1]", "!!timestamp 2001-01-01", "!!int abc",
        "!!float abc", "!!null x", "!!bool x", "!!map []", "!!seq {}", "!!str [a]", "!ruby/object:A {}",
        "1: 2", "null: 1", "true: 1", "~: 1", "1.5: x\n1.50: y", "? |\n  a\n: b", "# nothing at all",
        "a: b # c\n #d\n   # e", "a: [b,\nc]", "a: {b:\nc}", "- !a &b c\n- *b", "&a a: &b b", "''", '""',
        "a: >\n\n\n", "a: |2\n b", "text", "5", "true", "null", "1e999", "- a\n- b", "a",
        "key: [a, b", "key: {a: b", "key: 'it''s", "a: 'b'c", 'a: "b"c', "a: [b]c", "-a", "-\ta", "a:b",
        "!!", "a: !b", "a: !!b c", "x: &1 *1", "---a", "--- a\n--- b\n...\nc", "\ufeff---\na: b",
    ]  # fmt: skip
    for number, snippet in enumerate(snippets):
        yield _file(f"syntax-{number}", snippet)
        indented = snippet.replace("\n", "\n    ")
        yield _file(f"syntax-inside-{number}", good("syntax", f"  x:\n    {indented}\n"))
        yield _file(f"syntax-below-{number}", f"{good('above')}---\n{snippet}\n")


def _bombs() -> Iterator[BadFile]:
    laughs = "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n" + "".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    yield _file("laughs", laughs, PROBLEM)
    maps = "a: &a {x: 1}\n" + "".join(
        f"{b}: &{b} {{{', '.join(f'k{i}: *{a}' for i in range(10))}}}\n"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    yield _file("laughing-maps", maps, PROBLEM)
    inside = "".join(f"    {line}\n" for line in laughs.splitlines())
    yield _file("laughs-inside", good("laughs", f"  x:\n{inside}"), PROBLEM)
    for count in (50, 1000, 100_000):
        long = "".join(f"    k{i}: *a\n" for i in range(count))
        text = f"  annotations:\n    a: &a {'x' * 500_000}\n{long}"
        yield _file(f"long-text-{count}-times", good("quadratic", text), PROBLEM)
    keys = "".join(f"    {'k' * 1000}{i}: *a\n" for i in range(400))
    yield _file(
        "long-keys", good("keys", f"  annotations:\n    a: &a {'x' * 900_000}\n{keys}"), PROBLEM
    )
    for depth in (50, 99, 100, 101, 1000, 100_000, 2_000_000):
        tells = PROBLEM if depth > 100 else None
        yield _file(f"lists-{depth}-deep", "[" * depth + "]" * depth, PROBLEM)
        inner = "[" * depth + "]" * depth
        yield _file(f"lists-inside-{depth}-deep", good("deep", f"  x: {inner}\n"), tells)
        maps = "{a: " * min(depth, 1_000_000) + "1" + "}" * min(depth, 1_000_000)
        yield _file(f"maps-inside-{depth}-deep", good("deep", f"  x: {maps}\n"), tells)
    for depth in (50, 101, 2000):
        block = "".join(" " * (2 + i) + "a:\n" for i in range(depth))
        yield _file(
            f"blocks-{depth}-deep", good("deep", "  x:\n" + block), None if depth == 50 else PROBLEM
        )
        dashes = "  x: \n    " + "- " * depth + "a\n"
        yield _file(f"dashes-{depth}-deep", good("deep", dashes), None if depth == 50 else PROBLEM)
    aliased = "  x:\n    a0: &a0 [x]\n" + "".join(
        f"    a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 300)
    )
    yield _file("aliases-deep", good("deep", aliased), PROBLEM)
    yield _file(
        "keys-many", good("many", "  x:\n" + "".join(f"    k{i}: 1\n" for i in range(120_000)))
    )
    yield _file("items-many", good("many", "  x: [" + "1," * 900_000 + "1]\n"))
    yield _file("items-too-many", good("many", "  x: [" + "1," * 2_000_000 + "1]\n"), PROBLEM)
    yield _file("anchors-many", "".join(f"a{i}: &a{i} x\n" for i in range(100_000)), PROBLEM)
    yield _file("documents-many", "---\n" * 300_000)
    yield _file("documents-good-many", (good("one") + "---\n") * 19_000)
    yield _file("documents-too-many", (good("one") + "---\n") * 30_000, PROBLEM)
    yield _file("documents-broken-many", "a: [\n---\n" * 15_000, PROBLEM)
    yield _file("documents-invalid-many", (HEAD.format(name="_") + "---\n") * 15_000, PROBLEM)
    for size in (9, 11, 30):
        tells = PROBLEM
        yield _file(
            f"comment-{size}-mb",
            good("big") + "#" + "x" * (size * MEGABYTE),
            None if size == 9 else PROBLEM,
        )
        yield _file(
            f"text-{size}-mb", good("big", f"  description: {'x' * (size * MEGABYTE)}\n"), tells
        )
        yield _file(
            f"lines-{size}-mb",
            good("big") + "\n" * (size * MEGABYTE),
            None if size == 9 else PROBLEM,
        )
        yield _file(f"dashes-{size}-mb", "-" * (size * MEGABYTE), PROBLEM)
        yield _file(f"spaces-{size}-mb", " " * (size * MEGABYTE) + "x", PROBLEM)
    sparse = BadFile(
        "sparse-100-gb", lambda folder: os.truncate(_touch(folder / NAME), 100 << 30), PROBLEM
    )
    yield sparse
    yield _file("key-long", good("key", f"  {'k' * 5000}: 1\n"))
    yield _file("key-huge", good("key", f"  ? {'k' * MEGABYTE}\n  : 1\n"), PROBLEM)
    yield _file("quotes-many", good("q", "  x: " + "'" * 1_000_001 + "\n"))
    yield _file("tags-many", good("t", "  tags: [" + "a," * 100_000 + "a]\n"))
    yield _file("colons", "a" + ": a" * 100_000, PROBLEM)
    yield _file("questions", "? " * 100_000, PROBLEM)
    yield _file("stars", "*" * 100_000, PROBLEM)
    yield _file("braces", "{" * 5_000_000, PROBLEM)
    yield _file("folded", good("f", "  description: >\n" + "    a\n\n" * 200_000))
    yield _file("plain-lines", good("f", "  description: a\n" + "   b\n" * 300_000))
    yield _file("quoted-lines", good("f", '  description: "a\n' + "    b\n" * 100_000 + '    "\n'))
    yield _file("flow-lines", good("f", "  x: [\n" + "    a,\n" * 100_000 + "    ]\n"))
    yield _file("case-only", good("c", "  annotations: {Aa: x, aA: y, aa: z}\n"))


def _touch(path: Path) -> Path:
    path.touch()
    return path


def _values() -> Iterator[BadFile]:
    """Put what is not expected into every field."""
    values = {
        "null": None, "true": True, "zero": 0, "minus": -1, "huge": 10**30, "longer": 10**400,
        "fraction": 1.5, "list": [], "lists": [[["a"]]], "map": {}, "maps": {"a": {"b": {}}},
        "empty": "", "blank": "  ", "nul": "a\0b", "slash": "a/b/c", "colon": "a:b:c", "quote": "'\"`;--",
        "percent": "%00%s%n{0}${x}{{x}}", "long": "x" * 100_000, "emoji": "😀", "rtl": "\u202eabc",
        "newline": "a\nb", "path": "../../etc/passwd", "script": "javascript:alert(1)", "ref": {"$ref": "#"},
        "proto": {"__proto__": 1, "constructor": {}},
    }  # fmt: skip
    for field in (
        "apiVersion", "kind", "metadata", "spec", "metadata.name", "metadata.namespace",
        "metadata.title", "metadata.description", "metadata.uid", "metadata.etag", "metadata.labels",
        "metadata.labels.a", "metadata.annotations", "metadata.annotations.a", "metadata.tags",
        "metadata.tags.0", "metadata.links", "metadata.links.0", "metadata.links.0.url", "spec.type",
        "spec.owner", "spec.system", "spec.dependsOn", "spec.dependsOn.0", "spec.providesApis", "status",
        "relations", "extra",
    ):  # fmt: skip
        for name, value in values.items():
            yield _file(f"value-{field}-{name}", json.dumps(_with(field, value)))
    for name, text in {
        "1e308": "1e308", "1e309": "1e309", "-1e309": "-1e309", "inf": ".inf", "-inf": "-.inf",
        "nan": ".nan", "-0": "-0", "-0.0": "-0.0", "denormal": "5e-324", "hex": "0xFFFFFFFFFFFFFFFFFF",
        "octal": "0o777777777777777777777777", "2^53": "9007199254740993", "2^63": "9223372036854775808",
        "2^64": "18446744073709551616", "digits": "1" * 5000, "fraction": "0." + "1" * 5000,
        "exponent": "1e" + "9" * 500, "date": "2024-01-01", "time": "12:30:45", "yes": "yes",
        "underscore": "1_000", "plus": "+1", "dot": ".", "tilde": "~",
    }.items():  # fmt: skip
        yield _file(f"number-{name}", good("number", f"  x: {text}\n"))
        yield _file(f"number-key-{name}", good("number", f"  x: {{{text}: 1}}\n"))
        yield _file(f"number-name-{name}", good(text))
        yield _file(f"number-label-{name}", good("number", f"  labels: {{a: {text}}}\n"))


def _with(field: str, value: object) -> dict[str, object]:
    entity: dict[str, object] = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": "odd", "namespace": f"n{next(_NAMESPACES)}"},
        "spec": {"type": "service", "lifecycle": "live", "owner": "team"},
    }
    *path, last = field.split(".")
    place: object = entity
    for number, key in enumerate(path):
        following = [*path, last][number + 1]
        fresh: object = [] if following == "0" else {}
        if isinstance(place, dict):
            place = place.setdefault(key, fresh)
        elif isinstance(place, list):
            place.append(fresh)
            place = place[-1]
    if isinstance(place, dict):
        place[last] = value
    elif isinstance(place, list):
        place.append(value)
    return entity


def _lengths() -> Iterator[BadFile]:
    for length in (1, 62, 63, 64, 65, 253, 254, 1000, 100_000):
        fits = ENTITY if length <= 63 else PROBLEM
        text = _letters(length)
        yield _file(f"name-{length}", good(text), fits)
        yield _file(f"namespace-{length}", good(f"n{length}", f"  namespace: {text}\n"), fits)
        yield _file(f"tag-{length}", good("n", f"  tags: [{text}]\n"), fits)
        yield _file(f"label-{length}", good("n", f"  labels: {{a: {text}}}\n"), fits)
        yield _file(f"label-key-{length}", good("n", f"  labels: {{? {text} : a}}\n"), fits)
        yield _file(
            f"annotation-key-{length}", good("n", f"  annotations: {{? {text} : a}}\n"), fits
        )
        prefix = ".".join(["a" * min(length, 63)] * (1 + length // 64))[:length]
        yield _file(f"label-prefix-{length}", good("n", f"  labels: {{? {prefix}/a : a}}\n"))
        yield _file(f"owner-{length}", good("n").replace("owner: team", f"owner: {text}"))
        yield _file(f"kind-{length}", good("n").replace("Component", "C" * length), PROBLEM)
        yield _file(f"version-{length}", good("n").replace("v1alpha1", text), PROBLEM)
        yield _file(f"title-{length}", good("n", f"  title: {text}\n"), ENTITY)
        url = f"  links: [{{url: 'https://a.example/{text}'}}]\n"
        yield _file(f"link-{length}", good("n", url), ENTITY)


def _letters(length: int) -> str:
    """Make text that no compression makes short."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    return "".join(letters[b % 26] for b in hashlib.shake_256(b"x").digest(length))


def _references() -> Iterator[BadFile]:
    for number, ref in enumerate(
        [
            "", " ", ":", "/", ":/", "a:", "/a", "a/", ":a", "a:/b", "a:b/", "a:b:c/d", "a/b/c", "a:b/c/d",
            "group:", "group:/", "group:x/", "user:default/" + _letters(500), "é", "a b", "a\nb", "%2e%2e", "..",
            "group:default/" + _letters(5000), _letters(60) + ":" + _letters(60) + "/" + _letters(5000),
            "component:default/odd", "COMPONENT:DEFAULT/ODD", "İ", "ß", "ﬀ", "\u0000", "😀:😀/😀",
        ]
    ):  # fmt: skip
        for field in ("owner", "dependsOn", "subcomponentOf"):
            value = [ref] if field == "dependsOn" else ref
            yield _file(f"ref-{field}-{number}", json.dumps(_with(f"spec.{field}", value)))


def _targets() -> Iterator[BadFile]:
    odd: list[object] = [
        "", " ", ".", "..", "/", "./", "../", "./.", "//", "~", "~/x", "$HOME", "./nothing.yaml", "nothing.yaml",
        "./a\0b", "./" + "x" * 300, "./" + "x/" * 3000, "./*", "./**", "./**/**/**", "./[", "./{", "./{a,b}{c,d}" * 9,
        "./" + "{a,b}" * 12 + ".yaml", "./" + "*" * 2000, "./" + "?" * 300, "./[a-", "./[z-a]", "./!(a)",
        "./+(a|b)", "/dev/zero", "/dev/stdin", "/dev/full", "/dev/tty", "/proc/self/mem", "/proc/self/environ",
        "/proc/kmsg", "/etc/shadow", "/proc/self/fd/*", "/sys/**/x.yaml", "http://127.0.0.1:1/x", "https://[", "http://",
        "http://a b/", "http://\x00/", "file:///etc/passwd", "ftp://x/y", "javascript:1", "data:,x", "\\\\host\\share",
        "C:\\x.yaml", 5, None, True, [], {}, ["x"], {"a": 1}, 1e300, "./é.yaml", "./\ud83d.yaml",
    ]  # fmt: skip
    for number, target in enumerate(odd):
        yield _file(f"target-{number}", location(f"target-{number}", target))
        yield _file(f"target-url-{number}", location(f"target-url-{number}", target, type="url"))
        yield _file(f"target-one-{number}", location(f"target-one-{number}", target=target))
    for number, kind in enumerate(
        ["", "FILE", "url ", "git", "dir", "s3", 5, None, [], {}, "x" * 10_000]
    ):
        yield _file(f"type-{number}", location(f"type-{number}", "./x.yaml", type=kind))
        yield _file(f"presence-{number}", location(f"presence-{number}", "./x.yaml", presence=kind))
    yield _file(
        "targets-10000", location("targets", *(f"./t{i}.yaml" for i in range(10_000))), PROBLEM
    )
    yield _file("targets-same", location("targets", *["./nothing.yaml"] * 5000), PROBLEM)
    yield _file("targets-none", location("targets", targets=[]))
    yield _file("targets-text", location("targets", targets="./x.yaml"))
    yield _file("targets-map", location("targets", targets={"a": "./x.yaml"}))


def _location_webs() -> Iterator[BadFile]:
    yield _file("cycle-self", location("cycle-self", f"./{NAME}"))
    yield BadFile("cycle-two", lambda folder: _write_all(folder, {
        NAME: location("cycle-a", "./b.yaml"), "b.yaml": location("cycle-b", f"./{NAME}")}))  # fmt: skip
    yield BadFile("cycle-glob", lambda folder: _write_all(folder, {
        NAME: location("cycle-glob", "./*.yaml"), "b.yaml": location("cycle-glob-b", "./*.yaml")}))  # fmt: skip
    yield BadFile("same-name", lambda folder: _write_all(folder, {
        NAME: location("same", "./b.yaml"), "b.yaml": location("same", "./c.yaml"),
        "c.yaml": location("same", f"./{NAME}")}))  # fmt: skip
    yield BadFile("chain-100", lambda folder: _write_all(folder, {
        NAME: location("chain", "./0.yaml"),
        **{f"{i}.yaml": location(f"chain-{i}", f"./{i + 1}.yaml") for i in range(100)}}), PROBLEM)  # fmt: skip
    yield BadFile("web", lambda folder: _write_all(folder, {
        NAME: location("web", "./0.yaml"),
        **{f"{i}.yaml": location(f"web-{i}", *(f"./{j}.yaml" for j in range(30)))
           for i in range(30)}}))  # fmt: skip
    yield BadFile("many-of-one-name", lambda folder: _write_all(folder, {
        NAME: location("many", "./*.yml"), **{f"{i}.yml": good("contended") for i in range(300)}}))  # fmt: skip


def _write_all(folder: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def _odd_places() -> Iterator[BadFile]:
    """What a path or a pattern may meet instead of a file."""
    makers: dict[str, Callable[[Path], object]] = {
        "directory": Path.mkdir,
        "pipe": os.mkfifo,
        "link-to-itself": lambda path: path.symlink_to(path),
        "link-to-nothing": lambda path: path.symlink_to("nothing"),
        "link-to-zero": lambda path: path.symlink_to("/dev/zero"),
        "link-to-folder": lambda path: path.symlink_to("."),
        "link-up": lambda path: path.symlink_to("../.."),
        "link-in-a-ring": lambda path: (
            path.symlink_to("ring-b"), (path.parent / "ring-b").symlink_to(path)),
        "unreadable": lambda path: (path.write_text(good("secret")), path.chmod(0)),
        "socket": _socket,
        "link-to-memory": lambda path: path.symlink_to("/proc/self/mem"),
        "link-to-stdin": lambda path: path.symlink_to("/dev/stdin"),
    }  # fmt: skip
    for name, make in makers.items():
        yield BadFile(f"place-{name}", lambda folder, make=make: make(folder / NAME))
        yield BadFile(f"place-target-{name}", lambda folder, make=make: (
            _write_all(folder, {NAME: location("place", "./odd.yml")}), make(folder / "odd.yml")))  # fmt: skip
        yield BadFile(f"place-glob-{name}", lambda folder, make=make: (
            _write_all(folder, {NAME: location("place", "./*.yml"), "a.yml": good("beside")}),
            make(folder / "odd.yml")))  # fmt: skip
    yield BadFile("glob-of-links", lambda folder: (
        _write_all(folder, {NAME: location("links", "./**/x.yml"), "d/x.yml": good("linked")}),
        [(folder / "d" / f"loop{i}").symlink_to("..") for i in range(10)]))  # fmt: skip
    yield BadFile("glob-of-bytes", lambda folder: (
        _write_all(folder, {NAME: location("bytes", "./*.yml")}),
        Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.yml")).write_text(good("bytes"))))  # fmt: skip
    yield BadFile("glob-of-newlines", lambda folder: _write_all(
        folder, {NAME: location("newlines", "./*.yml"), "a\nb.yml": "a: [", "\x1b[31m.yml": "b: ["}))  # fmt: skip
    yield BadFile("glob-deep", lambda folder: _write_all(
        folder, {NAME: location("deep", "./**/x.yml"), "d/" * 200 + "x.yml": good("deep")}))  # fmt: skip
    yield BadFile("glob-many", lambda folder: _write_all(
        folder, {NAME: location("many", "./*.yml"), **{f"{i}.yml": "a: [" for i in range(3000)}}))  # fmt: skip


def _socket(path: Path) -> None:
    # The name of a socket is bound in the folder: its path may be too long.
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as listening:
            listening.bind(path.name)
    finally:
        os.chdir(here)


def _placeholders() -> Iterator[BadFile]:
    for key in ("$text", "$json", "$yaml", "$openapi", "$ref", "$", "$$text"):
        targets: Iterable[object] = (
            "./x", "/etc/passwd", "http://127.0.0.1:1/", "", None, 5, ["./x"], {}, "\0")  # fmt: skip
        for number, target in enumerate(targets):
            text = json.dumps({key: target})
            yield _file(
                f"placeholder-{key.replace('$', '_')}-{number}", good("p", f"  x: {text}\n")
            )
    many = ", ".join(["{$text: ./x}"] * 5000)
    yield _file("placeholders-many", good("p", f"  x: [{many}]\n"))
