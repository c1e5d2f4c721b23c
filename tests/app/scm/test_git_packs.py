"""Packs are looked through without unpacking them into memory."""

from __future__ import annotations

import contextlib
import io
import resource
import struct
import tempfile
import zlib

import pytest
from dulwich.object_format import DEFAULT_OBJECT_FORMAT
from dulwich.objects import Blob
from dulwich.pack import write_pack_objects
from hypothesis import given, settings
from hypothesis import strategies as st

from app.scm.git_packs import UnfitPackError, check_pack


def header(kind, size):
    first, size = (kind << 4) | (size & 15), size >> 4
    out = bytearray()
    while size:
        out.append(first | 0x80)
        first, size = size & 0x7F, size >> 7
    return bytes([*out, first])


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def pack(*objects):
    return b"PACK" + struct.pack(">LL", 2, len(objects)) + b"".join(objects) + bytes(20)


def check(data, limit=1000):
    ticks = []
    with tempfile.TemporaryFile() as file:
        file.write(data)
        check_pack(file, limit, lambda: ticks.append(1))
    return ticks


def real_pack(*contents):
    out = io.BytesIO()
    blobs = [(Blob.from_string(content), None) for content in contents]
    write_pack_objects(out.write, blobs, deltify=True, object_format=DEFAULT_OBJECT_FORMAT)
    return out.getvalue()


def test_an_honest_pack_passes():
    text = b"the same again and again\n" * 30
    assert check(real_pack(b"a", text, text + b"x", b"")) == [1]


def test_a_large_object_is_refused():
    with pytest.raises(UnfitPackError, match="an object of 1001 bytes"):
        check(real_pack(b"x" * 1001))


def test_an_object_that_claims_to_be_huge_is_refused_at_once():
    with pytest.raises(UnfitPackError, match="an object of 1099511627776 bytes"):
        check(pack(header(3, 1 << 40) + zlib.compress(b"x")))


def test_a_bomb_that_claims_to_be_small_is_refused():
    bomb = zlib.compress(bytes(50 << 20), 9)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(UnfitPackError, match="larger than it says"):
        check(pack(header(3, 10) + bomb))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 << 10


def test_a_delta_that_would_make_something_huge_is_refused():
    delta = varint(10) + varint(1 << 40) + b"\x90\x0a"
    small = header(7, len(delta)) + bytes(20) + zlib.compress(delta)

    with pytest.raises(UnfitPackError, match="an object of 1099511627776 bytes"):
        check(pack(small))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PACK",
        b"NOPE" + bytes(40),
        pack(header(3, 5)),
        pack(header(3, 5) + b"not zlib at all"),
        real_pack(b"abc")[:-25],
        pack(b"\xff"),
        pack(header(7, 1) + bytes(20) + zlib.compress(b"\x80")),
    ],
)
def test_what_is_broken_is_refused(data):
    with pytest.raises(UnfitPackError):
        check(data)


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_nothing_else_goes_wrong(data):
    with contextlib.suppress(UnfitPackError):
        check(pack(data))
