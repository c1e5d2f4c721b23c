"""What has changed since the base was made: few entities, in plain dictionaries.

A touched entity counts only here, whatever the base says of it. Its terms come with the change; the
texts it has under a key are read when a column of that key is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pyroaring import FrozenBitMap

from app.index.blobs import key_hash, unpack
from app.index.build import IndexRow
from app.index.columns import Values

_Owners = dict[int, "int | set[int]"]


class Overlay:
    """The touched entities: as they are now, or deleted. Its owner does the locking."""

    __slots__ = (
        "_alive",
        "_hidden",
        "_items",
        "_keys",
        "_terms",
        "_texts",
        "by_ref",
        "by_uid",
        "rows",
    )

    def __init__(self) -> None:
        self.rows: dict[int, IndexRow | None] = {}
        self._hidden: FrozenBitMap | None = None
        self._alive: FrozenBitMap | None = None
        self.by_ref: dict[str, int] = {}
        self.by_uid: dict[str, int] = {}
        self._keys: _Owners = {}
        self._terms: _Owners = {}
        self._items: _Owners = {}
        self._texts: dict[str, dict[int, Values]] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def put(self, owner: int, row: IndexRow | None) -> None:
        """Take an entity as it is now, or None if it is deleted."""
        before = self.rows.get(owner)
        if before is not None:
            self._forget(owner, before)
        self.rows[owner] = row
        self._hidden = self._alive = None
        for texts in self._texts.values():
            texts.pop(owner, None)
        if row is not None:
            keys, terms, items = unpack(row.terms)
            _add_all(self._keys, set(keys), owner)
            _add_all(self._terms, terms, owner)
            _add_all(self._items, items, owner)
            self.by_ref[row.ref] = owner
            self.by_uid[row.uid] = owner

    def _forget(self, owner: int, row: IndexRow) -> None:
        keys, terms, items = unpack(row.terms)
        _discard_all(self._keys, set(keys), owner)
        _discard_all(self._terms, terms, owner)
        _discard_all(self._items, items, owner)
        for owners, name in ((self.by_ref, row.ref), (self.by_uid, row.uid)):
            if owners.get(name) == owner:
                del owners[name]

    @property
    def touched(self) -> FrozenBitMap:
        """The entities of which the base knows nothing any more."""
        if self._hidden is None:
            self._hidden = FrozenBitMap(self.rows)
        return self._hidden

    @property
    def alive_ids(self) -> FrozenBitMap:
        """The touched entities that are not deleted."""
        if self._alive is None:
            self._alive = FrozenBitMap([row.id for row in self.alive()])
        return self._alive

    def alive(self) -> Iterator[IndexRow]:
        """Yield the entities that are not deleted."""
        return (row for row in self.rows.values() if row is not None)

    def with_term(self, key: int, term: int, *, is_true: bool) -> FrozenBitMap:
        """Find the entities that have a term; for the value "true" also as an array item."""
        found = _owners(self._terms, term)
        return found | _owners(self._items, key) if is_true else found

    def with_key(self, key: int) -> FrozenBitMap:
        """Find the entities that have a key."""
        return _owners(self._keys, key) | _owners(self._items, key)

    def lacking_texts(self, names: Iterable[str]) -> dict[int, list[str]]:
        """List the entities that have one of the keys without its texts being known, and which."""
        lacking: dict[int, list[str]] = {}
        for name in names:
            known = self._texts.get(name, {})
            for owner in self.with_key(key_hash(name)):
                if owner not in known:
                    lacking.setdefault(owner, []).append(name)
        return lacking

    def forget_texts(self, name: str) -> None:
        """Keep the texts of a key no longer."""
        self._texts.pop(name, None)

    def give_texts(self, owner: int, row: IndexRow | None, texts: Mapping[str, Values]) -> None:
        """Take the texts of an entity that were read when it was `row`, if it still is."""
        if self.rows.get(owner) is row:
            for name, values in texts.items():
                self._texts.setdefault(name, {})[owner] = values

    def texts(self, name: str) -> Mapping[int, Values]:
        """The texts of all entities under a key, as far as they are known."""
        return self._texts.get(name, {})


def present_texts(name: str, patches: Mapping[int, Values], overlay: Overlay) -> dict[int, Values]:
    """What the entities have under a key for which the column of the base does not count."""
    texts = {owner: values for owner, values in patches.items() if owner not in overlay.rows}
    texts.update(overlay.texts(name))
    return texts


def _add_all(owners: _Owners, hashes: Iterable[int], owner: int) -> None:
    for value in hashes:
        have = owners.get(value)
        if have is None:
            owners[value] = owner
        elif isinstance(have, int):
            if have != owner:
                owners[value] = {have, owner}
        else:
            have.add(owner)


def _discard_all(owners: _Owners, hashes: Iterable[int], owner: int) -> None:
    for value in hashes:
        have = owners.get(value)
        if isinstance(have, set):
            have.discard(owner)
            if not have:
                del owners[value]
        elif have == owner:
            del owners[value]


def _owners(owners: _Owners, value: int) -> FrozenBitMap:
    have = owners.get(value)
    if have is None:
        return FrozenBitMap()
    return FrozenBitMap([have] if isinstance(have, int) else have)
