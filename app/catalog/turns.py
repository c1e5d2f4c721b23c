"""Reading a Location while other processes may read or change it as well.

Nobody waits for anybody: whoever finds out that it was overtaken gives up what it read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from app.catalog.locations import LocationEntity
from app.catalog.store import GraphStore, ReadingRow
from app.model.uid import new_uid


class OvertakenError(Exception):
    """A Location was changed, removed or read by another process while it was read."""


@dataclass(slots=True)
class Turn:
    """One reading of a Location: what it was when that began, and how it was read before.

    The first time it writes it leaves its mark, and whoever had begun before and finds the mark of
    another one gives up. So what is in the graph is always all that one of them read, together with
    the fingerprint of just that.
    """

    location: LocationEntity
    before: ReadingRow
    reader: str = field(default_factory=new_uid)
    now: ReadingRow = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is written yet."""
        self.now = self.before

    def check(self, store: GraphStore, now: datetime) -> None:
        """Raise `OvertakenError` if anybody else did something with the Location meanwhile."""
        location = self.location
        emission = store.emission(location.emission_id)
        if emission is None or not emission.claimed or emission.hash != location.hash:
            raise OvertakenError
        ref_id = location.ref_id
        if store.readings([ref_id]).get(ref_id, ReadingRow(ref_id, "", good=False)) != self.now:
            raise OvertakenError
        if self.now.reader != self.reader:
            self.now = self.now._replace(reader=self.reader)
            store.save_reading(self.now, now)

    def ended(self, fingerprint: str, *, good: bool) -> ReadingRow:
        """Answer how the Location was read, now that it was."""
        return ReadingRow(self.location.ref_id, fingerprint, good, self.reader)
