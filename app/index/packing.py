"""A base and its columns as one run of bytes, so that processes can share them and start at once.

What is unpacked are views of those bytes, so they may lie in a file that is mapped into memory. The
order of bytes is this machine's: what was packed is for processes on the same one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson
from xxhash import xxh3_64_digest, xxh3_64_intdigest

from app.index.arrays import bitmap_below
from app.index.base import Base, Entities, Spellings
from app.index.columns import Column
from app.index.ranking import Ranking
from app.index.strings import Strings

Array: TypeAlias = npt.NDArray[Any]
Piece: TypeAlias = bytes | memoryview

# Raise it with every change of what is packed, or of what hashes and arrays mean.
FORMAT = 1
_MAGIC = b"callboard index\n"
_ALIGNED = 64
_HEAD = len(_MAGIC) + 16
_SPELLINGS = ("cased", "cased_originals", "mixed", "mixed_starts", "mixed_originals")
_ROWS = ("keys", "term_starts", "shared_starts", "id_starts", "terms", "starts", "ids")


@dataclass(frozen=True, slots=True)
class Packed:
    """A base, columns that belong to it, and what its owner wrote beside them."""

    base: Base
    columns: Mapping[str, Column]
    about: Mapping[str, Any]


class DamagedError(Exception):
    """The bytes are not what `pack` made, or not of this format."""


def pack(base: Base, columns: Mapping[str, Column], about: Mapping[str, Any]) -> Iterator[Piece]:
    """Yield the bytes piece by piece; `about` is JSON. Columns with patches are left out."""
    whole = {name: column for name, column in columns.items() if not column.patches}
    arrays = dict(_arrays_of(base, whole))
    places, at, check = dict[str, list[Any]](), 0, 0
    for name, array in arrays.items():
        places[name] = [array.dtype.str, at, len(array)]
        check = xxh3_64_intdigest(_bytes_of(array), check)
        at += _padded(array.nbytes)
    unique = {name: column.ranking.is_unique for name, column in whole.items()}
    head = orjson.dumps({
        "format": FORMAT, "about": about, "size": base.entities.size, "columns": unique,
        "arrays": places, "check": f"{check:x}",
    })  # fmt: skip
    yield _MAGIC + len(head).to_bytes(8, "little") + xxh3_64_digest(head)
    yield head + bytes(_padded(_HEAD + len(head)) - _HEAD - len(head))
    for array in arrays.values():
        yield _bytes_of(array)
        yield bytes(_padded(array.nbytes) - array.nbytes)


def unpack(data: memoryview) -> Packed:
    """View what was packed, without copying it. Raises `DamagedError`."""
    head, start = _read_head(data)
    arrays, check = dict[str, Array](), 0
    for name, (kind, at, count) in head["arrays"].items():
        try:
            array = np.frombuffer(data, np.dtype(kind), count, start + at)
        except ValueError as error:
            raise DamagedError("it is cut off") from error
        arrays[name] = array
        check = xxh3_64_intdigest(_bytes_of(array), check)
    if f"{check:x}" != head["check"]:
        raise DamagedError("its checksum is wrong")
    size = head["size"]
    columns = {
        name: _column(arrays, f"{name}/", size, is_unique=is_unique)
        for name, is_unique in head["columns"].items()
    }
    return Packed(_base(arrays, size), columns, head["about"])


def read_about(data: memoryview) -> Mapping[str, Any]:
    """Read only what the owner wrote. Raises `DamagedError`."""
    about: Mapping[str, Any] = _read_head(data)[0]["about"]
    return about


def _read_head(data: memoryview) -> tuple[dict[str, Any], int]:
    if bytes(data[: len(_MAGIC)]) != _MAGIC:
        raise DamagedError("it does not begin as it should")
    end = _HEAD + int.from_bytes(data[len(_MAGIC) : len(_MAGIC) + 8], "little")
    if xxh3_64_digest(data[_HEAD:end]) != data[len(_MAGIC) + 8 : _HEAD]:
        raise DamagedError("its head is damaged")
    head: dict[str, Any] = orjson.loads(data[_HEAD:end])
    if head.get("format") != FORMAT:
        raise DamagedError("it is of another format")
    return head, _padded(end)


def _arrays_of(base: Base, columns: Mapping[str, Column]) -> Iterator[tuple[str, Array]]:
    entities = base.entities
    yield from ((name, getattr(base, name)) for name in _ROWS)
    yield from ((name, getattr(base.spellings, name)) for name in _SPELLINGS)
    yield from _texts("ref ", entities.refs)
    yield from _texts("uid ", entities.uids)
    yield "by ref", entities.by_ref.ids
    yield "by uid", entities.by_uid.ids
    yield "hashes", entities.hashes
    yield "hash places", entities.hash_places
    for name, column in columns.items():
        yield from _texts(f"{name}/text ", column.texts)
        yield f"{name}/terms", column.terms
        yield f"{name}/ends", column.ends
        yield f"{name}/ids", column.ranking.ids


def _texts(name: str, texts: Strings) -> Iterator[tuple[str, Array]]:
    data, ends = texts.arrays
    yield f"{name}texts", data
    yield f"{name}ends", ends


def _base(arrays: Mapping[str, Array], size: int) -> Base:
    entities = Entities(
        by_ref=Ranking(arrays["by ref"], size),
        by_uid=Ranking(arrays["by uid"], size),
        refs=_strings(arrays, "ref "),
        uids=_strings(arrays, "uid "),
        hashes=arrays["hashes"],
        hash_places=arrays["hash places"],
        all=bitmap_below(size, arrays["by ref"]),
    )
    spellings = Spellings(**{name: arrays[name] for name in _SPELLINGS})
    return Base(entities=entities, spellings=spellings, **{name: arrays[name] for name in _ROWS})


def _column(arrays: Mapping[str, Array], prefix: str, size: int, *, is_unique: bool) -> Column:
    ids = arrays[f"{prefix}ids"]
    return Column(
        texts=_strings(arrays, f"{prefix}text "),
        terms=arrays[f"{prefix}terms"],
        ends=arrays[f"{prefix}ends"],
        ranking=Ranking(ids, size, is_unique=is_unique),
        owners=bitmap_below(size, ids),
        patches={},
    )


def _strings(arrays: Mapping[str, Array], prefix: str) -> Strings:
    return Strings(arrays[f"{prefix}texts"], arrays[f"{prefix}ends"])


def _bytes_of(array: Array) -> memoryview:
    return np.ascontiguousarray(array).view(np.uint8).data


def _padded(size: int) -> int:
    return -(-size // _ALIGNED) * _ALIGNED
