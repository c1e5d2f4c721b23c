"""Looking through a pack that a stranger sent, before anything is unpacked from it into memory."""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Callable
from typing import BinaryIO

_HEADER = 12
_OFS_DELTA, _REF_DELTA = 6, 7
_HASH = 20
_SLICE = 1 << 16
_VARINT = 10
"""Bytes that are enough for any size."""


class UnfitPackError(Exception):
    """A pack that is malformed or holds something too large."""


def check_pack(file: BinaryIO, max_object_bytes: int, tick: Callable[[], object]) -> None:
    """Walk over all objects of a pack; raises `UnfitPackError` if one is larger than allowed.

    Memory stays small whatever the pack holds. `tick` is called now and then and may raise.
    """
    file.flush()
    if file.seek(0, 2) < _HEADER:
        raise UnfitPackError("it is too short")
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pack:
        if pack[:4] != b"PACK":
            raise UnfitPackError("it is no pack")
        at, count = _HEADER, int.from_bytes(pack[8:12], "big")
        for number in range(count):
            if number % 1000 == 0:
                tick()
            at = _check_object(pack, at, max_object_bytes)


def _check_object(pack: mmap.mmap, at: int, max_object_bytes: int) -> int:
    """Check the object at `at`; answer where the next one begins."""
    first = _byte(pack, at)
    kind, size, shift = (first >> 4) & 7, first & 15, 4
    at += 1
    while first & 0x80:
        first = _byte(pack, at)
        size |= (first & 0x7F) << shift
        shift += 7
        at += 1
    if size > max_object_bytes:
        raise UnfitPackError(f"it holds an object of {size} bytes")
    if kind == _OFS_DELTA:
        while _byte(pack, at) & 0x80:
            at += 1
        at += 1
    elif kind == _REF_DELTA:
        at += _HASH
    start, end = _inflate(pack, at, size)
    if kind in {_OFS_DELTA, _REF_DELTA}:
        size = _result_size(start)
        if size > max_object_bytes:
            raise UnfitPackError(f"it holds an object of {size} bytes")
    return end


def _inflate(pack: mmap.mmap, at: int, size: int) -> tuple[bytes, int]:
    """Decompress `size` bytes to nowhere; answer how they start, and where their stream ends."""
    inflater, start, done = zlib.decompressobj(), b"", 0
    step = min(_SLICE, size + 64)
    while not inflater.eof:
        piece = pack[at : at + step]
        if not piece:
            raise UnfitPackError("it breaks off")
        at += len(piece)
        try:
            data = inflater.decompress(piece, size - done + 1)
        except zlib.error as error:
            raise UnfitPackError("its compression is broken") from error
        done += len(data)
        start = start or data[: 2 * _VARINT]
        if done > size or inflater.unconsumed_tail:
            raise UnfitPackError("it holds an object that is larger than it says")
    return start, at - len(inflater.unused_data)


def _result_size(delta: bytes) -> int:
    """Read how large the object is that a delta makes: the second number at its start."""
    at, size = 0, 0
    for _ in range(2):
        size, shift = 0, 0
        while True:
            if at >= len(delta):
                raise UnfitPackError("it holds a broken delta")
            byte = delta[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
    return size


def _byte(pack: mmap.mmap, at: int) -> int:
    try:
        return pack[at]
    except IndexError:
        raise UnfitPackError("it breaks off") from None
