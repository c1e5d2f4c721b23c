"""Files of one Location that describe the same name: the first to have it keeps it (CONTRACT 1.6).

Between Locations the claims decide (`app.catalog.claims`). What one Location emits is one emission
per name, so while it is read it has to be known which of its files may still want theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from app.catalog.emission import Emission
from app.scm.globs import has_magic


@dataclass(slots=True)
class Rivals:
    """One reading of a Location: whose turn is past, and whose is still to come.

    `seen` are the refs that were written, `coming` the places to be read yet, and `unread` those
    that could not be read and keep what they had. `lost` is what another file has, and which.
    """

    seen: set[int] = field(default_factory=set)
    coming: set[str] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)
    lost: list[tuple[Emission, str]] = field(default_factory=list)
    _put_off: list[Emission] = field(default_factory=list)
    _waiting: set[int] = field(default_factory=set)
    _patterns: set[str] = field(init=False)
    _invalid: dict[int, Emission] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Note the patterns: what one stands for is not known before it is read."""
        self._patterns = set(filter(has_magic, self.coming))

    def holds_off(self, ref_id: int, emission: Emission, holder: str) -> bool:
        """Tell whether an emission has to leave its name to `holder`, at least for now."""
        if ref_id in self.seen or holder in self.unread:
            self.lost.append((emission, holder))
            return True
        # Who waits comes before those that are read later.
        may_come = holder in self.coming or not self._patterns.isdisjoint(self.coming)
        if may_come or ref_id in self._waiting:
            self._put_off.append(emission)
            self._waiting.add(ref_id)
            return True
        return False

    def is_no_better(self, ref_id: int, emission: Emission, holder: str) -> bool:
        """Tell whether an emission is not valid, as that is not which was read before."""
        if ref_id in self.seen and emission.document is None:
            self.lost.append((emission, holder))
            return True
        return False

    def note(self, ref_id: int, emission: Emission) -> None:
        """Note that an emission is written, perhaps over one that was not valid."""
        other = self._invalid.pop(ref_id, None)
        if other is not None and other.location != emission.location:
            self.lost.append((other, emission.location))
        if emission.document is None:
            self._invalid[ref_id] = emission

    def put_off(self) -> Iterator[list[Emission]]:
        """Yield, file by file, what waited for another file to be read. Nothing waits after it."""
        waiting, self._put_off = self._put_off, []
        self.coming.clear()
        self._waiting.clear()
        for _, emissions in groupby(waiting, lambda emission: emission.location):
            yield list(emissions)
