"""Visiting Locations: reading what they lead to, as far as it changed, and writing that.

What could not be read stays as it was, and one that another process changed or read meanwhile is
left to be read once more (`app.catalog.turns`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from app.catalog.clashes import duplicates, rivalries
from app.catalog.emission import Emission, Flaw, Parent
from app.catalog.locations import (
    LocationEntity,
    flaw_at,
    is_unchanged,
    places_of,
    read_targets,
)
from app.catalog.processing import FileProcessor
from app.catalog.rivals import Rivals
from app.catalog.runs import BATCH, Reading, Run, RunWriter, StoppedError
from app.catalog.store import EmissionRow, GraphStore, ReadingRow, storable_text
from app.catalog.turns import OvertakenError, Turn
from app.db.leases import LeaseLostError
from app.errors import ConflictError, InputError
from app.model.batching import batches
from app.model.entity import CatalogFile
from app.model.uid import new_uid

# So many Locations may fail for reasons that no one foresaw until a run gives up.
MAX_FAILURES = 10


@dataclass(frozen=True, slots=True)
class Visits:
    """Visits the Locations that a run has before it."""

    runs: RunWriter
    processor: FileProcessor
    revision: str
    max_depth: int

    def walk(self, run: Run) -> None:
        """Visit what waits; one that cannot be visited at all keeps few others from it."""
        failures = list[Exception]()
        try:
            while run.waiting and len(failures) < MAX_FAILURES:
                self.runs.go_on()
                ref_id, depth = run.waiting.popleft()
                if ref_id in run.visited:
                    continue
                run.visited.add(ref_id)
                try:
                    self._visit(run, ref_id, depth)
                except (StoppedError, LeaseLostError):
                    raise
                except Exception as error:  # noqa: BLE001 - raised below
                    failures.append(error)
                if run.unstitched >= run.stitch_after:
                    self.runs.stitch(run)
                    run.stitch_after *= 2
        finally:
            self.runs.stitch(run)
        if failures:
            raise failures[0]

    def _visit(self, run: Run, ref_id: int, depth: int) -> None:
        location, before = self._load(ref_id)
        if location is None:
            # What is read later in this run may lead to it, and then it is to be visited.
            run.visited.discard(ref_id)
            return
        turn = Turn(location, before)
        try:
            self._take_turn(run, turn, depth)
        except OvertakenError:
            self._ask_again(run, ref_id)
            return
        if depth > self.max_depth:
            return
        with self.runs.writer.look() as store:
            children = store.emissions_below(ref_id)
            refs = store.refs(row.ref_id for row in children)
        run.waiting.extend(
            (row.ref_id, depth + 1)
            for row in children
            if row.claimed and refs[row.ref_id].startswith("location:")
        )

    def _take_turn(self, run: Run, turn: Turn, depth: int) -> None:
        location = turn.location
        given = run.given.pop(location.ref_id, None)
        if given is not None and places_of(self.processor.readers, location) != {given.location}:
            # Somebody else has the name, and points elsewhere.
            given = None
        if depth > self.max_depth:
            message = f"Locations are nested more than {self.max_depth} deep; is there a cycle?"
            after = turn.ended(turn.before.fingerprint, good=turn.before.good)
            self._finish(run, turn, [], [flaw_at(location.location, InputError(message))], after)
        elif not location.is_newest or self._is_unchanged(turn.before.fingerprint, given):
            # Of one that is not valid, what it leads to stays as it is, and the error on it too.
            run.report.counts.unchanged += 1
        else:
            self._read(run, turn, given)

    def _ask_again(self, run: Run, ref_id: int) -> None:
        """Have a Location read later: what another process wrote of it may be older than this."""
        with self.runs.begin(run) as claims:
            if any(row.claimed for row in claims.store.emissions_of([ref_id])[ref_id]):
                claims.store.ask_for([ref_id], new_uid(), claims.now)

    def _load(self, ref_id: int) -> tuple[LocationEntity | None, ReadingRow]:
        never = ReadingRow(ref_id, "", good=False)
        with self.runs.writer.look() as store:
            for row in store.claimed([ref_id]):
                data = orjson.loads(self.runs.writer.codec.unpack(row.document))
                ref = store.refs([ref_id])[ref_id]
                emission = store.emission(row.emission_id)
                location = LocationEntity(
                    ref_id,
                    ref,
                    row.emission_id,
                    row.source,
                    data,
                    bool(row.is_newest),
                    emission.hash if emission else b"",
                )
                return location, store.readings([ref_id]).get(ref_id, never)
        return None, never

    def _is_unchanged(self, fingerprint: str, given: CatalogFile | None) -> bool:
        """Ask every place that was read whether it still holds the same."""
        known = orjson.loads(fingerprint) if fingerprint else {}
        if known.pop("", None) != self.revision:
            return False
        if given is not None:
            return bool(given.fingerprint) and known.get(given.location) == given.fingerprint
        readers = self.processor.readers
        return all(is_unchanged(readers, place, sign) for place, sign in known.items())

    def _read(self, run: Run, turn: Turn, given: CatalogFile | None) -> None:
        """Read every target, write what it holds, and remove what it holds no longer."""
        location = turn.location
        seen, done, broken = set[int](), set[str](), set[str]()
        rivals = Rivals(seen, places_of(self.processor.readers, location))
        reading = Reading(turn, rivals)
        flaws, notices, fingerprints = list[Flaw](), list[Flaw](), {"": self.revision}
        parent = Parent(location.source, location.ref_id)
        for read in read_targets(self.processor.readers, location, given):
            if read.flaw is not None:
                flaws.append(read.flaw)
                rivals.unread.add(read.target.location)
                # Whatever will be found there counts as changed.
                fingerprints[read.target.location] = ""
                continue
            fingerprints[read.target.location] = read.fingerprint
            rivals.coming.discard(read.target.location)
            # A file that two of the targets lead to is read, and what is wrong with it told, once.
            contents = [c for c in read.contents if c.location not in done | broken]
            rivals.coming |= {content.location for content in contents}
            for content in contents:
                rivals.coming.discard(content.location)
                processed = self.processor.file(content, location.origin)
                fingerprints |= processed.fingerprints
                if processed.flaws:
                    flaws += processed.flaws
                    broken.add(content.location)
                    rivals.unread.add(content.location)
                    continue
                done.add(content.location)
                reading.commits[content.location] = content.commit
                notices += duplicates(processed.emissions)
                for batch in batches(processed.emissions, BATCH):
                    seen |= self._write_file(run, parent, batch, reading)
        for waited in rivals.put_off():
            run.report.counts.read -= len(waited)
            for batch in batches(waited, BATCH):
                seen |= self._write_file(run, parent, batch, reading)
        notices += rivalries(rivals.lost)
        run.report.counts.conflicts += len(rivals.lost)
        failed = any(flaw.problem.location not in broken for flaw in flaws)
        with self.runs.writer.look() as store:
            rows = store.emissions_below(location.ref_id)
        # Another source may have emitted this Location before: what came of that goes as well.
        gone = [
            row
            for row in rows
            if (row.ref_id not in seen or row.source != location.source)
            and row.location not in broken
            and (not failed or row.location in done)
        ]
        try:
            lost = {row.ref_id for row in gone} - seen
            self.runs.check_removal(parent, len(lost), len({row.ref_id for row in rows}))
        except ConflictError as error:
            flaws.append(flaw_at(location.location, error))
            gone = []
        good = turn.before.good or bool(done) or not flaws
        after = turn.ended(orjson.dumps(fingerprints).decode(), good=good)
        self._finish(run, turn, gone, [*flaws, *notices], after)

    def _write_file(
        self,
        run: Run,
        parent: Parent,
        batch: Sequence[Emission],
        reading: Reading,
    ) -> set[int]:
        """Write some of a file of a Location that is being read; answer which refs it describes."""
        ids = self.runs.write(run, parent, batch, reading)
        run.report.flaws += [flaw for e in batch if e.ref in ids for flaw in e.flaws]
        return set(ids.values())

    def _finish(
        self,
        run: Run,
        turn: Turn,
        gone: Sequence[EmissionRow],
        flaws: Sequence[Flaw],
        after: ReadingRow,
    ) -> None:
        run.report.flaws += flaws
        location = turn.location
        trigger = run.trigger(location.source)
        with self.runs.begin(run, trigger) as claims:
            store = claims.store
            turn.check(store, claims.now)
            why = trigger.cause(source=location.source, location=location.location)
            claims.release(gone, run.report.counts, why=why)
            if store.emission(location.emission_id) is None:
                # Only what it emitted held it up, and that is gone.
                return
            if self._flaws_differ(store, location, flaws):
                claims.note_flaws(location.emission_id, flaws)
                store.mark_dirty({location.ref_id: why})
            if after.good and not turn.before.good:
                store.mark_dirty({location.ref_id: why})
            if after != turn.now:
                store.save_reading(after, claims.now)

    def _flaws_differ(
        self, store: GraphStore, location: LocationEntity, flaws: Sequence[Flaw]
    ) -> bool:
        known = store.problems_of([location.emission_id]).get(location.emission_id, [])
        return [(p.error, p.location, p.line, p.column) for p in known] != [
            (orjson.dumps(f.error).decode(), storable_text(p.location), p.line, p.column)
            for f in flaws
            for p in (f.problem,)
        ]
