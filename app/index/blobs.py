"""The blob stored beside each entity: its index rows as hashes, and how blobs become arrays.

A *key* is the 64-bit hash of a lower-cased key, a *term* the hash of a lower-cased value, seeded
with its key. A row without a comparable value (null, or too long) has its key as term. The rows
`(path.item, "true")` of array items are so many and so various that they are kept apart: they share
the key `ITEMS`, and their term is the key they would have had.

The seed makes a term stand for the pair. Two terms of `n` are equal by chance with a probability of
n² / 2⁶⁵: about one in a million at 500,000 entities with 7 million different terms. xxh3 is no
defence against an author who looks for a clash on purpose; what they could gain is to be found
under a value that they might as well have written.

Layout, little-endian, a multiple of 8 bytes:

    u32 version, u32 cased, u32 plain, u32 items
    u64 keys[cased + plain], u64 terms[cased + plain], u64 items[items]
    u32 originals[cased], padded to an even number

`cased` rows come first: their value is not lower case as written, and `originals` tells the
spellings apart (a 32-bit hash, never 0).
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from xxhash import xxh3_64_intdigest

from app.index.arrays import U32, U64, spans
from app.index.text import utf8

VERSION = 1
"""Of the layout and of the hashes: blobs of another version must be made anew."""

ITEMS = 0
TRUE = "true"

_HEADER = struct.Struct("<4I")
_HEADER_WORDS = 2
_HALF = 0xFFFFFFFF


def key_hash(key: str) -> int:
    """Hash a lower-cased key."""
    return xxh3_64_intdigest(utf8(key))


def term_hash(key: int, value: str | None) -> int:
    """Hash a lower-cased value under its key; None stands for null and for what is too long."""
    return key if value is None else xxh3_64_intdigest(utf8(value), key)


def original_hash(original: str, lowered: str) -> int:
    """Tell spellings of one lower-cased value apart: 0 if it is lower case as written."""
    return 0 if original == lowered else (xxh3_64_intdigest(utf8(original)) & _HALF) or 1


def pack(
    keys: list[int], terms: list[int], items: list[int], cased: list[tuple[int, int, int]]
) -> bytes:
    """Write a blob from plain rows, array items, and `(key, term, original)` of cased rows."""
    originals: list[int] = []
    if cased:
        keys = [row[0] for row in cased] + keys
        terms = [row[1] for row in cased] + terms
        originals = [row[2] for row in cased]
    header = _HEADER.pack(VERSION, len(originals), len(keys) - len(originals), len(items))
    if len(originals) % 2:
        originals.append(0)
    return header + array("Q", keys + terms + items).tobytes() + array("I", originals).tobytes()


@dataclass(frozen=True, slots=True)
class Rows:
    """Index rows of any number of entities, one array per column."""

    keys: U64
    terms: U64
    originals: U32
    ids: U32

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, chosen: slice | np.ndarray) -> Rows:
        """Pick the rows at some places."""
        return Rows(self.keys[chosen], self.terms[chosen], self.originals[chosen], self.ids[chosen])

    @classmethod
    def join(cls, parts: Sequence[Rows]) -> Rows:
        """Put the rows of all parts one after the other."""
        return cls(
            np.concatenate([part.keys for part in parts]),
            np.concatenate([part.terms for part in parts]),
            np.concatenate([part.originals for part in parts]),
            np.concatenate([part.ids for part in parts]),
        )


def unpack(blob: bytes) -> tuple[list[int], list[int], list[int]]:
    """Read the keys, terms and items of one blob."""
    version, cased, plain, items = _HEADER.unpack_from(blob)
    if version != VERSION:
        raise ValueError(f"index blob of version {version}, expected {VERSION}")
    words = memoryview(blob)[: 16 + 8 * (2 * (cased + plain) + items)].cast("Q").tolist()
    middle = _HEADER_WORDS + cased + plain
    end = middle + cased + plain
    return words[_HEADER_WORDS:middle], words[middle:end], words[end:]


def unpack_many(ids: Sequence[int], blobs: Sequence[bytes]) -> Rows:
    """Read many blobs at once: no work is done per row in Python."""
    sizes = np.fromiter(map(len, blobs), np.intp, len(blobs))
    joined = b"".join(blobs)
    if len(sizes) and (sizes.min() < _HEADER.size or (sizes % 8).any()):
        raise ValueError("index blob of a size that no version has")
    words = np.frombuffer(joined, "<u8")
    halves = np.frombuffer(joined, "<u4")
    starts = (np.cumsum(sizes) - sizes) // 8
    version, cased, plain, items = (halves[2 * starts + n].astype(np.intp) for n in range(4))
    rows = cased + plain
    expected = 8 * (_HEADER_WORDS + 2 * rows + items + (cased + 1) // 2)
    if (version != VERSION).any() or (expected != sizes).any():
        raise ValueError(f"index blob of another version than {VERSION}")
    first = starts + _HEADER_WORDS
    row_places = spans(first, rows)
    item_places = spans(first + 2 * rows, items)
    owners = np.asarray(ids, np.uint32)
    originals = np.zeros(len(row_places) + len(item_places), np.uint32)
    originals[spans(np.cumsum(rows) - rows, cased)] = halves[
        spans(2 * (first + 2 * rows + items), cased)
    ]
    keys = np.zeros(len(originals), np.uint64)
    keys[: len(row_places)] = words[row_places]
    return Rows(
        keys,
        np.concatenate([words[row_places + np.repeat(rows, rows)], words[item_places]]),
        originals,
        np.concatenate([np.repeat(owners, rows), np.repeat(owners, items)]),
    )
