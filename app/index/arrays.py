"""Names for the arrays of the index, and the two things done with them everywhere."""

from __future__ import annotations

from array import array
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from pyroaring import FrozenBitMap

U8: TypeAlias = npt.NDArray[np.uint8]
U32: TypeAlias = npt.NDArray[np.uint32]
U64: TypeAlias = npt.NDArray[np.uint64]
Places: TypeAlias = npt.NDArray[np.intp]
Mask: TypeAlias = npt.NDArray[np.bool_]

_FEW = 64


def spans(starts: npt.NDArray[np.integer], counts: npt.NDArray[np.integer]) -> Places:
    """Join the ranges `starts[i] .. starts[i] + counts[i]` into one array of places."""
    ends = np.cumsum(counts, dtype=np.intp)
    if not len(ends):
        return ends
    shift = starts.astype(np.intp) - (ends - counts)
    return np.repeat(shift, counts) + np.arange(ends[-1], dtype=np.intp)


def bitmap(ids: U32) -> FrozenBitMap:
    """Collect ids, best in ascending order; a buffer is read ten times faster than an array."""
    return FrozenBitMap(array("I", np.ascontiguousarray(ids, np.uint32).tobytes()))


def bitmap_below(size: int, ids: U32) -> FrozenBitMap:
    """Collect ids below `size`, in any order, repeats allowed."""
    if len(ids) < _FEW:
        return FrozenBitMap(ids.tolist())
    marks = np.zeros(size, np.bool_)
    marks[ids] = True
    return bitmap(np.flatnonzero(marks).astype(np.uint32))


def ids_in(ids: FrozenBitMap) -> U32:
    """List the members in ascending order."""
    return np.frombuffer(ids.to_array(), np.uint32)


def mask(ids: FrozenBitMap, size: int) -> Mask:
    """Mark the members among `size` ids; larger ones are left out."""
    marks = np.zeros(size, np.bool_)
    members = ids_in(ids)
    if len(members) and members[-1] >= size:
        members = members[: np.searchsorted(members, size)]
    marks[members.astype(np.intp)] = True
    return marks
