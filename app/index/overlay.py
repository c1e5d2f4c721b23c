"""What has changed since the base was made: few entities, in plain dictionaries.

A touched entity counts only here, whatever the base says of it. Its terms come with the change; the
texts that it has under a key are read when a column of that key is used.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from pyroaring import BitMap, FrozenBitMap

from app.index.blobs import key_hash, unpack
from app.index.build import IndexRow
from app.index.columns import Values
from app.index.text import utf8

SortKey: TypeAlias = tuple[bytes, ...]
_Owners: TypeAlias = dict[int, "int | set[int]"]


class Entries:
    """What an order has of the touched entities: `(sort key, id)`, always sorted."""

    __slots__ = ("all",)

    def __init__(self, entries: Iterable[tuple[SortKey, int]] = ()) -> None:
        self.all = sorted(entries)

    def add(self, key: SortKey, owner: int) -> None:
        insort(self.all, (key, owner))

    def discard(self, key: SortKey, owner: int) -> None:
        place = bisect_left(self.all, (key, owner))
        if place < len(self.all) and self.all[place] == (key, owner):
            del self.all[place]


class Texts:
    """The texts that touched entities have under one key, and who has not been read yet."""

    __slots__ = ("entries", "key", "lacking", "values")

    def __init__(self, key: int, lacking: Iterable[int]) -> None:
        self.key = key
        self.lacking = set(lacking)
        self.values: dict[int, Values] = {}
        self.entries = Entries()

    def give(self, row: IndexRow, values: Values) -> None:
        """Take what was read of an entity."""
        self.forget(row.id, row)
        self.values[row.id] = values
        for key in sort_keys(values, row.uid):
            self.entries.add(key, row.id)

    def forget(self, owner: int, row: IndexRow | None) -> None:
        """Drop what was read of an entity, when it was `row`."""
        self.lacking.discard(owner)
        values = self.values.pop(owner, ())
        if row is not None:
            for key in sort_keys(values, row.uid):
                self.entries.discard(key, owner)


def sort_keys(values: Values, uid: str) -> Iterator[SortKey]:
    """Make the sort key of each value that an entity has."""
    return ((utf8(value), utf8(uid)) for value, _ in values if value is not None)


class Overlay:
    """The touched entities: as they are now, or deleted. Its owner does the locking."""

    __slots__ = (
        "_alive",
        "_by_ref",
        "_by_uid",
        "_frozen",
        "_items",
        "_keys",
        "_terms",
        "_texts",
        "_touched",
        "ids_by_ref",
        "ids_by_uid",
        "rows",
    )

    def __init__(self) -> None:
        self.rows: dict[int, IndexRow | None] = {}
        self.ids_by_ref: dict[str, int] = {}
        self.ids_by_uid: dict[str, int] = {}
        self._touched = BitMap()
        self._alive = BitMap()
        self._frozen: tuple[FrozenBitMap, FrozenBitMap] | None = None
        self._keys: _Owners = {}
        self._terms: _Owners = {}
        self._items: _Owners = {}
        self._texts: dict[str, Texts] = {}
        self._by_ref: Entries | None = None
        self._by_uid: Entries | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def put(self, owner: int, row: IndexRow | None) -> None:
        """Take an entity as it is now, or None if it is deleted."""
        before = self.rows.get(owner)
        if before is not None:
            self._forget(owner, before)
        self.rows[owner] = row
        self._touched.add(owner)
        self._frozen = None
        if row is not None:
            self._learn(owner, row)

    def _learn(self, owner: int, row: IndexRow) -> None:
        keys, terms, items = unpack(row.terms)
        own_keys = set(keys)
        _add_all(self._keys, own_keys, owner)
        _add_all(self._terms, terms, owner)
        _add_all(self._items, items, owner)
        self._alive.add(owner)
        self.ids_by_ref[row.ref] = owner
        self.ids_by_uid[row.uid] = owner
        if self._by_ref:
            self._by_ref.add((utf8(row.ref),), owner)
        if self._by_uid:
            self._by_uid.add((utf8(row.uid),), owner)
        for texts in self._texts.values():
            if texts.key in own_keys or texts.key in items:
                texts.lacking.add(owner)

    def _forget(self, owner: int, row: IndexRow) -> None:
        keys, terms, items = unpack(row.terms)
        _discard_all(self._keys, set(keys), owner)
        _discard_all(self._terms, terms, owner)
        _discard_all(self._items, items, owner)
        self._alive.discard(owner)
        for owners, name in ((self.ids_by_ref, row.ref), (self.ids_by_uid, row.uid)):
            if owners.get(name) == owner:
                del owners[name]
        if self._by_ref:
            self._by_ref.discard((utf8(row.ref),), owner)
        if self._by_uid:
            self._by_uid.discard((utf8(row.uid),), owner)
        for texts in self._texts.values():
            texts.forget(owner, row)

    @property
    def touched(self) -> FrozenBitMap:
        """The entities of which the base knows nothing any more."""
        return self._freeze()[0]

    @property
    def alive(self) -> FrozenBitMap:
        """The touched entities that are not deleted."""
        return self._freeze()[1]

    def _freeze(self) -> tuple[FrozenBitMap, FrozenBitMap]:
        if self._frozen is None:
            self._frozen = FrozenBitMap(self._touched), FrozenBitMap(self._alive)
        return self._frozen

    def by_ref(self) -> Entries:
        """Order the touched entities by ref."""
        if self._by_ref is None:
            self._by_ref = Entries(((utf8(row.ref),), row.id) for row in self.alive_rows())
        return self._by_ref

    def by_uid(self) -> Entries:
        """Order the touched entities by uid."""
        if self._by_uid is None:
            self._by_uid = Entries(((utf8(row.uid),), row.id) for row in self.alive_rows())
        return self._by_uid

    def alive_rows(self) -> list[IndexRow]:
        """List the touched entities that are not deleted."""
        return [row for row in self.rows.values() if row is not None]

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
            texts = self._texts.get(name)
            if texts is None:
                key = key_hash(name)
                texts = Texts(key, self.with_key(key))
                if texts.lacking:
                    self._texts[name] = texts
            for owner in texts.lacking:
                lacking.setdefault(owner, []).append(name)
        return lacking

    def give_texts(self, owner: int, row: IndexRow | None, texts: Mapping[str, Values]) -> None:
        """Take the texts of an entity that were read when it was `row`, if it still is."""
        if row is not None and self.rows.get(owner) is row:
            for name, values in texts.items():
                if name in self._texts:
                    self._texts[name].give(row, values)

    def forget_texts(self, name: str) -> None:
        """Keep the texts of a key no longer."""
        self._texts.pop(name, None)

    def texts(self, name: str) -> Mapping[int, Values]:
        """Tell what the touched entities have under a key."""
        texts = self._texts.get(name)
        return texts.values if texts else {}

    def entries(self, name: str) -> Entries:
        """Order the touched entities by their values of a key."""
        texts = self._texts.get(name)
        return texts.entries if texts else Entries()


def present_texts(name: str, patches: Mapping[int, Values], overlay: Overlay) -> dict[int, Values]:
    """Tell what the entities have under a key for which the column of the base does not count."""
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
