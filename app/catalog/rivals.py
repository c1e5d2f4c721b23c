"""Files of one Location that describe the same name: the first to have it keeps it (CONTRACT 1.6).

Between Locations the claims decide (`app.catalog.claims`). What one Location emits is one emission
per name, so while it is read it has to be known which of its files may still want theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby

from app.catalog.emission import Emission
from app.errors import InputError
from app.scm.globs import Glob, compile_glob, has_magic


@dataclass(slots=True)
class Rivals:
    """One reading of a Location: whose turn is past, and whose is still to come.

    `seen` are the refs that were written, `coming` the places to be read yet, and `unread` those
    that could not be read and keep what they had; both may have patterns, which stand for the
    places that they match. `lost` is what another file has, and which.
    """

    seen: set[int] = field(default_factory=set)
    coming: set[str] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)
    lost: list[tuple[Emission, str]] = field(default_factory=list)
    _put_off: list[Emission] = field(default_factory=list)
    _waiting: set[int] = field(default_factory=set)
    # Written, but not valid: whichever file has something better takes their place.
    _invalid: dict[int, Emission] = field(default_factory=dict)
    _patterns: dict[str, Glob] = field(init=False)

    def __post_init__(self) -> None:
        """Keep the patterns apart, of which there are few."""
        self._patterns = dict(_compiled(self.coming))

    def holds_off(self, ref_id: int, emission: Emission, holder: str) -> bool:
        """Tell whether an emission has to leave its name to `holder`, at least for now."""
        if ref_id in self.seen or self._is_in(self.unread, holder):
            self.lost.append((emission, holder))
            return True
        # Who waits comes before those that are read later.
        if ref_id in self._waiting or self._is_in(self.coming, holder):
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
        """Take notice of what is written, perhaps in place of what was not valid."""
        earlier = self._invalid.pop(ref_id, None)
        if earlier is not None and earlier.location != emission.location:
            self.lost.append((earlier, emission.location))
        if emission.document is None:
            self._invalid[ref_id] = emission

    def put_off(self) -> Iterator[list[Emission]]:
        """Yield, file by file, what waited for another file to be read. Nothing waits after it."""
        waiting, self._put_off = self._put_off, []
        self.coming.clear()
        self._waiting.clear()
        for _, emissions in groupby(waiting, lambda emission: emission.location):
            yield list(emissions)

    def _is_in(self, places: set[str], holder: str) -> bool:
        return holder in places or any(
            text in places and glob.matches(holder) for text, glob in self._patterns.items()
        )


def _compiled(places: Iterable[str]) -> Iterator[tuple[str, Glob]]:
    for place in places:
        if has_magic(place):
            with suppress(InputError):  # Reading it says so.
                yield place, compile_glob(place, dotfiles=True)
