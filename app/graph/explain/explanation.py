"""The explanation of a ref as it is answered: structured parts, and the summary in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from app.catalog.store import ORPHAN
from app.db.instants import instant
from app.graph.explain.known import Known, Link, Schedule
from app.graph.explain.origins import FieldOrigin
from app.graph.explain.parts import (
    change_json,
    dangling_json,
    held_json,
    problem_json,
    relation_json,
    run_json,
    seconds,
    writer_json,
)
from app.graph.explain.sentences import summary
from app.graph.explain.store import Change, Claim, Flawed

MOST_PLACES = 50
State: TypeAlias = Literal[
    "served", "orphan", "reading", "stitching", "unstitchable", "invalid", "deleted", "unknown"
]
Role: TypeAlias = Literal["served", "outdated", "shared", "waiting", "invalid"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Composes the answer from what is known."""

    known: Known
    schedule: Schedule

    def parts(self, fields: Sequence[FieldOrigin]) -> dict[str, Any]:
        """Write the whole answer."""
        known = self.known
        answer: dict[str, Any] = {
            "ref": known.ref,
            "state": self.state,
            "summary": [],
            "seq": known.seq,
            "entity": self._entity(),
            "claims": [self._claim(claim) for claim in known.claims],
            "formerClaims": list(self._former()),
            "problems": list(self._problems()),
            "fields": [self._field(one) for one in fields],
            "relations": [relation_json(note) for note in known.relations.notes],
            "relationsComplete": known.relations.is_complete,
            "dangling": [dangling_json(note) for note in known.relations.dangling],
            "mentionedBy": [writer_json(writer) for writer in known.relations.mentions],
            "conflict": self._conflict(),
            "orphan": self._orphan(),
            "deletion": self._deletion(),
        }
        answer["summary"] = list(summary(answer))
        return answer

    @property
    def state(self) -> State:
        """Say in a word what has become of the ref."""
        known, holder = self.known, self.known.holder
        state: State
        if known.served is not None:
            state = "orphan" if known.is_orphan else "served"
        elif holder is not None:
            is_unread = known.reading is None or not known.reading.good
            if known.ref.startswith("location:") and is_unread:
                state = "reading"
            else:
                state = "stitching" if known.is_waiting else "unstitchable"
        elif known.claims:
            state = "invalid"
        else:
            is_gone = bool(known.changes) and known.changes[0].operation == "delete"
            state = "deleted" if is_gone else "unknown"
        return state

    def _entity(self) -> dict[str, Any] | None:
        served, changes = self.known.served, self.known.changes
        if served is None:
            return None
        metadata = served["metadata"]
        entity: dict[str, Any] = {"uid": metadata["uid"], "etag": metadata["etag"]}
        entity["changed"] = change_json(changes[0]) if changes else None
        return entity

    # -- claims -----------------------------------------------------------------------------------

    def _claim(self, claim: Claim) -> dict[str, Any]:
        role = self._role(claim)
        chain = self.known.chains.get(claim.id, ())
        return {
            "source": claim.source,
            "location": claim.location,
            "line": claim.line,
            "role": role,
            "why": self._why(claim, role),
            "since": instant(claim.discovered_at),
            "isNewestContent": claim.is_newest,
            "via": [self._via(link) for link in chain],
            "read": self._read(claim, chain),
        }

    def _role(self, claim: Claim) -> Role:
        holder = self.known.holder
        if claim.is_claimed:
            return "served" if claim.is_newest else "outdated"
        if not claim.was_valid:
            return "invalid"
        return "shared" if holder and holder.location == claim.location else "waiting"

    def _why(self, claim: Claim, role: Role) -> str:
        holder = self.known.holder
        if claim.parent == ORPHAN:
            return "nobody emits it any more; its last content is kept"
        if role == "served":
            is_only = len(self.known.claims) == 1
            return "it is the only description" if is_only else "it is the first valid description"
        if role == "outdated":
            return "it holds the name with its last valid content; what was read since is not valid"
        if role == "invalid":
            return "it never was valid, and what is not valid claims no name"
        place = holder.location if holder else ""
        if role == "shared":
            return f"the same place is read by another way; the newest content of {place} counts"
        return f"the name is held by {place}; it takes over when that goes"

    def _via(self, link: Link) -> dict[str, Any]:
        reading = link.reading
        places = sorted(place for place in reading.places if place) if reading else []
        return {
            "ref": link.ref,
            "location": link.claim.location,
            "readAt": instant(reading.read_at) if reading else None,
            "wasEverRead": bool(reading and reading.good),
            "places": places[:MOST_PLACES],
            "next": self._next(link),
        }

    def _next(self, link: Link) -> dict[str, Any]:
        """Tell when a Location is looked at again."""
        if link.asked_at is not None:
            return {"why": "asked", "since": instant(link.asked_at), "everySeconds": None}
        places = [place for place in (link.reading.places if link.reading else {}) if place]
        is_file = any(place.startswith("file:") for place in places)
        every = self.schedule.locations
        if is_file and self.schedule.files is not None:
            every = min(every or self.schedule.files, self.schedule.files)
        why = "never" if every is None else "interval"
        return {"why": why, "since": None, "everySeconds": seconds(every)}

    def _read(self, claim: Claim, chain: Sequence[Link]) -> dict[str, Any]:
        """Tell how the source at the root was last read, and when it will be."""
        source = chain[-1].claim.source if chain else claim.source
        run, every = self.known.runs.get(source), self.schedule.sources.get(source)
        due = run.started_at + every if run and every else None
        return {
            "source": source,
            "isConfigured": source in self.schedule.sources,
            "lastRun": None if run is None else run_json(run),
            "everySeconds": seconds(every),
            "nextRunAt": None if due is None else instant(max(due, datetime.now(UTC))),
        }

    def _former(self) -> Iterator[dict[str, Any]]:
        """List the places that the entity was once read from, as the history has it."""
        present = {(claim.source, claim.location) for claim in self.known.claims}
        ended: Change | None = None
        found = dict[tuple[str, str], dict[str, Any]]()
        for change in self.known.changes:
            place = _place_of(change)
            if place is not None and place not in present:
                entry = found.setdefault(
                    place,
                    {
                        "source": place[0],
                        "location": place[1],
                        "line": change.cause.get("line", 0),
                        "until": None if ended is None else change_json(ended),
                    },
                )
                entry["since"] = change_json(change)
            if "by" not in change.cause:
                ended = change
        yield from found.values()

    # -- what is wrong ----------------------------------------------------------------------------

    def _problems(self) -> Iterator[dict[str, Any]]:
        for flaw in self.known.flaws:
            if not flaw.is_notice:
                yield problem_json(flaw, "entity", self.known.ref)
        told = set[int]()
        for flaw, about, ref in self._problems_above():
            if id(flaw) not in told:
                told.add(id(flaw))
                yield problem_json(flaw, about, ref)

    def _problems_above(self) -> Iterator[tuple[Flawed, str, str]]:
        """Find what is wrong with the Locations that lead to the entity, and concerns it."""
        for claim in self.known.claims:
            below = claim
            for link in self.known.chains.get(claim.id, ()):
                for flaw in link.flaws_about(below.location):
                    about = "file" if flaw.location == below.location else "location"
                    yield flaw, about, link.ref
                for flaw in link.flaws:
                    if flaw.is_notice and flaw.error.get("ref") == self.known.ref:
                        yield flaw, "duplicate", link.ref
                below = link.claim

    def _conflict(self) -> dict[str, Any] | None:
        holder = self.known.holder
        waiting = [claim for claim in self.known.claims if self._role(claim) == "waiting"]
        if holder is None or not waiting:
            return None
        return {"heldBy": held_json(holder), "waiting": [held_json(claim) for claim in waiting]}

    def _orphan(self) -> dict[str, Any] | None:
        if not self.known.is_orphan:
            return None
        # What made it an orphan is the newest change that no relation of another entity caused.
        change = next((c for c in self.known.changes if "by" not in c.cause), None)
        return {"change": None if change is None else change_json(change)}

    def _deletion(self) -> dict[str, Any] | None:
        changes = self.known.changes
        is_gone = self.known.served is None and changes and changes[0].operation == "delete"
        return change_json(changes[0]) if is_gone else None

    def _field(self, one: FieldOrigin) -> dict[str, Any]:
        written: dict[str, Any] = {"pointer": one.pointer, "from": one.origin}
        holder = self.known.holder
        if one.why:
            written["why"] = one.why
        if one.origin == "author" and holder is not None:
            written |= {"location": holder.location, "line": one.line or holder.line}
            written |= {"column": one.column, "isExact": bool(one.line)}
        return written


def _place_of(change: Change) -> tuple[str, str] | None:
    """Answer which source and place gave an entity the content of a change, if one did."""
    cause = change.cause
    source, location = cause.get("source"), cause.get("location")
    is_content = change.operation == "create" or cause.get("line")
    if change.operation == "delete" or not is_content or not source or not location:
        return None
    return str(source), str(location)
