"""A sorted list of texts in one piece of memory: found by bisection, searched for substrings."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np

from app.index.arrays import U8, U32, Mask
from app.index.like import LikePattern
from app.index.text import from_utf8, utf8

_END = b"\xff"  # in no UTF-8 text, so that nothing is found across two of them
_PAST_EVERYTHING = b"\xff"
_FIRST_BYTES = 3
_SAMPLE = 65536


class Strings(Sequence[bytes]):
    """UTF-8 texts, each followed by an end mark; `ends[i]` is the place of the mark of text `i`.

    Whoever makes one decides about the order. Bisecting needs them sorted by their bytes, which is
    the order of code points.
    """

    __slots__ = ("_bytes", "_counts", "_ends", "_text")

    def __init__(self, data: U8, ends: U32) -> None:
        self._bytes = data
        self._text = data.data
        self._ends = ends
        # Which bytes are rare is told from a sample: to be a little wrong about it costs little.
        step = len(self._bytes) // _SAMPLE + 1
        self._counts = (np.bincount(self._bytes[::step], minlength=256) * step).tolist()

    @classmethod
    def of(cls, texts: Sequence[bytes]) -> Strings:
        """Join texts."""
        sizes = np.fromiter(map(len, texts), np.intp, len(texts)) + 1
        joined = np.frombuffer(_END.join([*texts, b""]), np.uint8)
        return cls(joined, (np.cumsum(sizes) - 1).astype(np.uint32))

    @property
    def arrays(self) -> tuple[U8, U32]:
        """What `Strings` is made of."""
        return self._bytes, self._ends

    @property
    def nbytes(self) -> int:
        return self._bytes.nbytes + self._ends.nbytes

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, place: int) -> bytes:  # type: ignore[override]
        start = int(self._ends[place - 1]) + 1 if place else 0
        return bytes(self._text[start : int(self._ends[place])])

    def text(self, place: int) -> str:
        """Decode the text at a place."""
        return from_utf8(self[place])

    def all(self) -> list[bytes]:
        """List all of them."""
        return self._bytes.tobytes().split(_END)[:-1]

    def seek(self, text: bytes) -> tuple[int, bool]:
        """Find how many texts come before `text`, and whether it is there itself."""
        place = bisect_left(self, text)
        return place, place < len(self) and self[place] == text

    def prefixed(self, prefix: bytes) -> tuple[int, int]:
        """Find the range of the texts that start with `prefix`."""
        return bisect_left(self, prefix), bisect_right(self, prefix + _PAST_EVERYTHING)

    def matching(self, pattern: LikePattern) -> Mask:
        """Mark the texts that a pattern matches."""
        if pattern.literal is None:
            found = (pattern.matches(from_utf8(text)) for text in self.all())
            return np.fromiter(found, np.bool_, len(self))
        return self._containing(utf8(pattern.literal))

    def _containing(self, part: bytes) -> Mask:
        """Mark the texts that contain `part`, which is compared with all places at once.

        The bytes of `part` that are rarest here come first: after a few of them hardly any place
        is left, and the others need not be compared everywhere.
        """
        marks = np.zeros(len(self), np.bool_)
        last = len(self._bytes) - len(part)
        if last < 0:
            return marks
        if not part:
            return ~marks
        counts = self._counts
        order = sorted(range(len(part)), key=lambda place: counts[part[place]])
        hits = self._bytes[order[0] : order[0] + last + 1] == part[order[0]]
        for place in order[1:_FIRST_BYTES]:
            hits &= self._bytes[place : place + last + 1] == part[place]
        if len(part) == 1 and counts[part[0]] > len(self):
            starts = np.concatenate([np.zeros(1, np.intp), self._ends[:-1].astype(np.intp) + 1])
            return np.logical_or.reduceat(hits, starts)
        places = np.flatnonzero(hits)
        for place in order[_FIRST_BYTES:]:
            places = places[self._bytes[places + place] == part[place]]
        marks[np.searchsorted(self._ends, places.astype(np.uint32))] = True
        return marks
