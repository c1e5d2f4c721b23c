"""Pushed sources: organisations that compute their catalog elsewhere put it here.

A push is one transaction: claims, removals and what is served change together, so that no reader
sees half of it. Versions make it safe to push again: the same version with the same content writes
nothing, and one that is not newer is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.catalog.causes import cause
from app.catalog.claims import Claims
from app.catalog.clashes import conflict
from app.catalog.emission import Counts, Parent
from app.catalog.processing import Processor
from app.catalog.run_log import record_run
from app.catalog.runs import BATCH
from app.catalog.stitching import Stitcher
from app.catalog.store import EmissionRow
from app.catalog.writing import GraphWriter
from app.db.statements import Statements
from app.errors import CallboardError, ConflictError, NotAllowedError, NotFoundError
from app.graph.push.pushed import PREFIX, Checked, Push, PushedSource, PushProblem, check_push
from app.graph.push.store import PushRow, PushStore
from app.model.batching import batches
from app.model.uid import new_uid
from app.web.errors import NamedError

# So many problems are told at most; how many there are is told always.
MOST_PROBLEMS = 5000
_SPOKEN = 5


@dataclass(frozen=True, slots=True)
class PushOptions:
    """Whether to leave out what is not valid, and to remove however much is missing."""

    skips_invalid: bool = False
    is_forced: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a push came to. One that was known already is not `is_applied`."""

    source: str
    version: int
    is_applied: bool
    counts: Counts = field(default_factory=Counts)
    changed: int = 0
    problems: Sequence[PushProblem] = ()
    conflicts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class PushService:
    """Takes pushes for the sources of the configuration."""

    writer: GraphWriter
    stitcher: Stitcher
    processor: Processor
    sources: Mapping[str, PushedSource]

    def find(self, name: str) -> PushedSource:
        """Answer a configured source, named with or without `push:`; raises `NotFoundError`."""
        found = self.sources.get(name.removeprefix(PREFIX))
        if found is None:
            raise NotFoundError(
                f"No source named {name!r} may be pushed; callboard.push.sources names those"
            )
        return found

    def admit(self, source: PushedSource, subject: str) -> None:
        """Let a program pass that may push to the source; raises `NotAllowedError`."""
        if subject not in source.subjects:
            raise NotAllowedError(
                f"{subject!r} may not push to {source.source}; "
                f"callboard.push.sources.{source.name}.subjects names who may"
            )

    def push(self, source: PushedSource, push: Push, actor: str, options: PushOptions) -> Receipt:
        """Store a push and serve it at once.

        Raises `ConflictError` (as a `NamedError` with the current version) for a version that is
        not the next one, and for a mass removal; and `InputError` with every problem.
        """
        started, digest = datetime.now(UTC), push.digest
        with self.writer.look() as graph:
            known = PushStore(graph.sql).find(source.source)
        if _is_known(push, digest, known):
            return Receipt(source.source, push.version, is_applied=False)
        try:
            checked = self._checked(source, push, options)
            row = PushRow(source.source, push.version, digest, actor, started)
            return self._apply(source, push, row, (checked, options))
        except CallboardError as error:
            self._record_failure(source, started, str(error))
            raise

    def _checked(self, source: PushedSource, push: Push, options: PushOptions) -> Checked:
        checked = check_push(push, source, self.processor)
        if checked.problems and not options.skips_invalid:
            raise _refused(checked.problems, len(push.entities) + len(push.deleted))
        self.writer.codec.learn([e.document for e in checked.emissions if e.document])
        return checked

    def _apply(
        self,
        source: PushedSource,
        push: Push,
        row: PushRow,
        wanted: tuple[Checked, PushOptions],
    ) -> Receipt:
        counts, parent = Counts(), Parent(source.source)
        checked, _ = wanted
        with self.writer.begin() as claims:
            store = PushStore(claims.store.sql)
            if _is_known(push, row.digest, store.find(source.source)):
                return Receipt(source.source, push.version, is_applied=False)
            gone = self._gone(claims, source, push, wanted)
            ids = dict[str, int]()
            for batch in batches(checked.emissions, BATCH):
                ids |= claims.write(parent, batch, counts)
            why = cause(source=source.source, actor=row.actor, version=row.version)
            claims.release(gone, counts, why=why, eager=True)
            marked = claims.store.marked
            locations = [i for ref, i in ids.items() if ref.startswith("location:") and i in marked]
            claims.store.ask_for(locations, new_uid(), claims.now)
            changed = self.stitcher.stitch_in(claims.store, marked)
            store.save(row)
            record_run(claims.store.sql, new_uid(), source.source, row.at, counts.as_dict())
        conflicts = [conflict(emission, place).problem.message for emission, place in claims.lost]
        return Receipt(
            source.source,
            push.version,
            is_applied=True,
            counts=counts,
            changed=changed,
            problems=checked.problems,
            conflicts=conflicts,
        )

    def _gone(
        self,
        claims: Claims,
        source: PushedSource,
        push: Push,
        wanted: tuple[Checked, PushOptions],
    ) -> list[EmissionRow]:
        """Find what is to be removed; raises `ConflictError` if that is an implausible share."""
        checked, options = wanted
        rows = claims.store.emissions_by(Parent(source.source))
        refs = claims.store.refs(row.ref_id for row in rows)
        if push.base is None:
            kept = {emission.ref for emission in checked.emissions} | checked.spared
            gone = [row for row in rows if refs[row.ref_id] not in kept]
        else:
            gone = [row for row in rows if refs[row.ref_id] in checked.deleted]
        if source.guard.refuses(len(gone), len(rows)) and not options.is_forced:
            raise ConflictError(
                f"{source.source} would lose {len(gone)} of its {len(rows)} entities; nothing was "
                "changed. If that is meant, push again with force=true"
            )
        return gone

    def _record_failure(self, source: PushedSource, started: datetime, error: str) -> None:
        with self.writer.database.begin() as connection:
            sql = Statements.on(connection)
            record_run(sql, new_uid(), source.source, started, {}, error)


def _is_known(push: Push, digest: str, known: PushRow | None) -> bool:
    """Tell whether a push was stored already; raises `NamedError` if it cannot follow that one."""
    current = known.version if known else 0
    if known is not None and push.version == current and digest == known.digest:
        return True
    if push.version < current:
        raise _stale(f"Version {push.version} is older than the current one", current)
    if push.version == current:
        raise _stale(f"Version {push.version} was pushed already with other content", current)
    if push.base is not None and push.base != current:
        raise _stale(f"Version {push.version} builds on {push.base}", current)
    return False


def _stale(message: str, current: int) -> NamedError:
    message = f"{message}; the current version is {current}"
    return NamedError("ConflictError", message, 409, {"currentVersion": current})


def _refused(problems: Sequence[PushProblem], total: int) -> NamedError:
    spoken = "; ".join(f"{p.pointer}: {p.message}" for p in problems[:_SPOKEN])
    more = f"; and {len(problems) - _SPOKEN} more" if len(problems) > _SPOKEN else ""
    message = f"{len(problems)} problems in {total} entities, nothing was changed: {spoken}{more}"
    written = [problem_json(problem) for problem in problems[:MOST_PROBLEMS]]
    return NamedError(
        "InputError", message, 400, {"problems": written, "problemCount": len(problems)}
    )


def problem_json(problem: PushProblem) -> dict[str, str | None]:
    """Write a problem."""
    return {
        "pointer": problem.pointer,
        "name": problem.name,
        "message": problem.message,
        "ref": problem.ref or None,
    }
