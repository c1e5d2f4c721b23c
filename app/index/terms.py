"""What of an entity is searchable: its index rows (CONTRACT 1.7), and the blob made of them.

`index_rows` is the specification in code. `encode_terms` says the same in hashes, for every write
of every entity, and is built for speed; a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from xxhash import xxh3_64_intdigest

from app.errors import InputError
from app.index.blobs import key_hash, original_hash, pack, term_hash
from app.index.text import LONGEST, is_too_long, scalar_text

Row: TypeAlias = tuple[str, str | None, str | None]
"""Key and value in lower case, and the value as written; a null row has neither value."""

NOT_WALKED = frozenset(
    {
        "attachments",
        "relations",
        "status",
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "metadata.etag",
    }
)
_IDENTITY = ("name", "namespace", "uid")
_SCALARS = (str, int, float, bool, type(None))
_MANY_PATHS = 50_000
_TOO_LONG = 0


class DuplicateKeysError(InputError):
    """An entity has two keys that differ only in case, and so cannot be searched by either."""

    def __init__(self, keys: list[str]) -> None:
        """Name the lower-cased `keys`."""
        named = "', '".join(keys)
        super().__init__(f"Entity has duplicate keys that vary only in casing, '{named}'")


def index_rows(entity: Mapping[str, Any]) -> list[Row]:
    """List the index rows of an entity as it is served; raises `DuplicateKeysError`."""
    pairs = list(_pairs(entity))
    _check_keys(key for key, _ in pairs)
    rows: dict[tuple[str, str | None], str | None] = {}
    for raw, value in pairs:
        key = raw.lower()
        if not is_too_long(key):
            lowered, original = comparable(value)
            rows.setdefault((key, lowered), original)
    return [(key, value, original) for (key, value), original in rows.items()]


def comparable(value: Any) -> tuple[str | None, str | None]:
    """Turn a scalar into a lower-cased value and the original; null and over-long have neither."""
    original = scalar_text(value)
    if original is None:
        return None, None
    lowered = original.lower()
    return (None, None) if is_too_long(lowered) else (lowered, original)


def identity_pairs(entity: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what is always searchable, be it null: name, namespace, uid; and every relation."""
    metadata = entity["metadata"]
    for field in _IDENTITY:
        yield f"metadata.{field}", metadata.get(field)
    if not metadata.get("namespace"):
        yield "metadata.namespace", "default"
    for relation in entity.get("relations") or ():
        yield f"relations.{relation['type']}", relation["targetRef"]


def _pairs(entity: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from _walk("", entity, set())
    yield from identity_pairs(entity)


def _walk(path: str, value: Any, items_seen: set[str]) -> Iterator[tuple[str, Any]]:
    if path in NOT_WALKED:
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _walk(f"{path}.{key}" if path else key, inner, items_seen)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _walk(path, item, items_seen)
            if isinstance(item, str):
                key = f"{path}.{item}"
                if key.lower() not in items_seen:
                    items_seen.add(key.lower())
                    yield key, True
    elif isinstance(value, _SCALARS):
        yield path, value


def _check_keys(keys: Iterator[str]) -> None:
    distinct = dict.fromkeys(keys)
    lowered = {key.lower() for key in distinct}
    if len(distinct) == len(lowered):
        return
    repeated: dict[str, None] = {}
    for key in distinct:
        if key.lower() in lowered:
            lowered.remove(key.lower())
        else:
            repeated[key.lower()] = None
    raise DuplicateKeysError(list(repeated))


class _Path:
    """A place in entities: what follows from its key is worked out once, not once per entity."""

    __slots__ = ("children", "doubtful", "key", "lowered", "raw", "walked")

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self.lowered = raw.lower()
        self.key = _TOO_LONG if is_too_long(self.lowered) else key_hash(self.lowered)
        self.walked = raw not in NOT_WALKED
        self.children: dict[str, _Path] = {}
        self.doubtful = False


class TermEncoder:
    """Makes the blobs of entities, remembering the paths it has seen.

    Entities are much alike, so nearly every key is found in the tree of `_Path`s, with its hash.
    Threads may share an encoder: paths are only ever added, complete, and the tree starts anew
    when authors with unusual keys have made it large.
    """

    __slots__ = ("_by_lowered", "_root")

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._by_lowered: dict[str, list[_Path]] = {}
        self._root = _Path("")

    def encode(self, entity: Mapping[str, Any]) -> bytes:
        """Make the blob of an entity as it is served; raises `DuplicateKeysError`."""
        if len(self._by_lowered) > _MANY_PATHS:
            self._start()
        root = self._root
        leaves: list[tuple[_Path, Any]] = []
        items: list[tuple[_Path, str]] = []
        self._visit_map(root, entity, leaves, items)
        for raw, value in identity_pairs(entity):
            leaves.append((root.children.get(raw) or self._add(root, raw, raw), value))
        try:
            return _encode(leaves, items) or _encode_rows(index_rows(entity))
        except UnicodeEncodeError:  # a lone surrogate: rare, and not worth a slower fast path
            return _encode_rows(index_rows(entity))

    def _visit_map(
        self,
        path: _Path,
        value: Mapping[str, Any],
        leaves: list[tuple[_Path, Any]],
        items: list[tuple[_Path, str]],
    ) -> None:
        children = path.children
        for key, inner in value.items():
            child = children.get(key) or self._add(path, key)
            kind = type(inner)
            if kind is str:
                if child.walked:
                    leaves.append((child, inner))
            elif child.walked:
                self._visit(child, inner, leaves, items)

    def _visit(
        self,
        path: _Path,
        value: Any,
        leaves: list[tuple[_Path, Any]],
        items: list[tuple[_Path, str]],
    ) -> None:
        if isinstance(value, Mapping):
            self._visit_map(path, value, leaves, items)
        elif isinstance(value, (list, tuple)):
            for item in value:
                if type(item) is str:
                    leaves.append((path, item))
                    items.append((path, item))
                else:
                    self._visit(path, item, leaves, items)
        elif isinstance(value, _SCALARS):
            leaves.append((path, value))

    def _add(self, path: _Path, key: str, raw: str = "") -> _Path:
        """Add a child, and mark it and every other path that differs from it only in case."""
        child = _Path(raw or (f"{path.raw}.{key}" if path.raw else key))
        alike = self._by_lowered.setdefault(child.lowered, [])
        alike.append(child)
        if any(other.raw != child.raw for other in alike):
            for other in alike:
                other.doubtful = True
        path.children[key] = child
        return child


def _encode(leaves: list[tuple[_Path, Any]], items: list[tuple[_Path, str]]) -> bytes | None:
    """Make a blob, or None if only the slow way can tell whether the keys are in order."""
    keys: list[int] = []
    terms: list[int] = []
    cased: list[tuple[int, int, int]] = []
    seen: set[int] = set()
    has_long_keys = False
    for path, value in leaves:
        if path.doubtful:
            return None
        key = path.key
        if key == _TOO_LONG:
            has_long_keys = True
            continue
        original = value if type(value) is str else scalar_text(value)
        lowered = "" if original is None else original.lower()
        if original is None or (len(lowered) > LONGEST // 2 and is_too_long(lowered)):
            term, original = key, lowered
        else:
            term = xxh3_64_intdigest(lowered.encode(), key)
        if term in seen:
            continue
        seen.add(term)
        if lowered == original:
            keys.append(key)
            terms.append(term)
        else:
            cased.append((key, term, original_hash(original, lowered)))
    item_keys = _item_keys(items)
    if _TOO_LONG in item_keys and has_long_keys:
        return None
    item_keys.pop(_TOO_LONG, None)
    if not item_keys.keys().isdisjoint(keys) or any(row[0] in item_keys for row in cased):
        return None
    return pack(keys, terms, list(item_keys), cased)


def _item_keys(items: list[tuple[_Path, str]]) -> dict[int, None]:
    """Hash the keys `path.item`, each once."""
    found: dict[int, None] = {}
    for path, item in items:
        lowered = f"{path.raw}.{item}".lower()
        if len(lowered) > LONGEST // 2 and is_too_long(lowered):
            found[_TOO_LONG] = None
        else:
            found[xxh3_64_intdigest(lowered.encode())] = None
    return found


def _encode_rows(rows: list[Row]) -> bytes:
    """Make a blob of rows that were worked out one by one.

    The rows of array items stay with the others here, where they are no different from a field that
    is true. Either way is understood, as long as an entity does not have one row in both places.
    """
    keys: list[int] = []
    terms: list[int] = []
    cased: list[tuple[int, int, int]] = []
    for name, value, original in rows:
        key = key_hash(name)
        term = term_hash(key, value)
        if value is None or original is None or original == value:
            keys.append(key)
            terms.append(term)
        else:
            cased.append((key, term, original_hash(original, value)))
    return pack(keys, terms, [], cased)


_encoder = TermEncoder()


def encode_terms(entity: Mapping[str, Any]) -> bytes:
    """Make the blob of an entity as it is served; raises `DuplicateKeysError`."""
    return _encoder.encode(entity)
