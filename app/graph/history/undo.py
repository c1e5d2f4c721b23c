"""Undoing: one change of an entity, or all that the last run of a source changed.

What is undone is what an author had written; relations and status follow from it, as ever. An
entity that was changed by something else since is left alone. To undo what was undone is to do it
again: the undoing of a run is the last run of its source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from app.catalog.causes import Trigger, called_by
from app.catalog.change_store import ChangeRow, ChangeStore
from app.catalog.claims import Claims
from app.catalog.restoring import Restoring, authored
from app.catalog.run_log import record_run
from app.catalog.stitching import Stitcher
from app.catalog.store import GraphStore
from app.catalog.writing import GraphWriter
from app.errors import ConflictError, InputError, NotFoundError
from app.graph.history.diffing import differences
from app.graph.history.run_store import RunRow, RunStore
from app.graph.history.versions import visible_versions
from app.model.query import EVERYTHING, Expression
from app.model.uid import new_uid

# Undoing is one transaction, and all that it looks at is in memory.
MOST_CHANGES = 20_000
MOST_DIFFERENCES = 100
BATCH = 500
# What a run changed is looked for in the history of its time, by the clock of who ran it.
MARGIN = timedelta(minutes=5)
UNKNOWN_SOURCE = "undo"
ATTEMPTS = 5


class _UnsettledError(Exception):
    """What is served is not yet what was emitted last."""


@dataclass(frozen=True, slots=True)
class Step:
    """An entity, and what undoing does to it: the author's content after and before."""

    entity_id: int
    ref: str
    seq: int
    now: dict[str, Any] | None
    then: dict[str, Any] | None

    @property
    def operation(self) -> str:
        """Name what happens to the entity."""
        if self.now is None:
            return "create"
        return "delete" if self.then is None else "update"

    def json(self) -> dict[str, Any]:
        """Write it as answers have it."""
        found = differences(self.now, self.then) if self.operation == "update" else []
        changes = [difference.json() for difference in found[:MOST_DIFFERENCES]]
        return {
            "entityRef": self.ref,
            "operation": self.operation,
            "seq": self.seq,
            "changes": changes,
        }


@dataclass(slots=True)
class Plan:
    """What would be undone, and what would not, with the reason."""

    steps: list[Step] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def json(self, *, is_dry_run: bool, run: str = "") -> dict[str, Any]:
        """Write it as answers have it."""
        return {
            "dryRun": is_dry_run,
            **({"run": run} if run else {}),
            "undone": [step.json() for step in self.steps],
            "skipped": [{"entityRef": ref, "reason": reason} for ref, reason in self.skipped],
        }


@dataclass(frozen=True, slots=True)
class _Touched:
    """An entity that something changed: with which changes, the first and the last."""

    entity_id: int
    first: ChangeRow
    last: ChangeRow


@dataclass(frozen=True, slots=True)
class Undo:
    """Undoes changes, and brings what is served up to date before it returns."""

    writer: GraphWriter
    stitcher: Stitcher
    most_changes: int = MOST_CHANGES

    def change(
        self,
        seq: int,
        *,
        actor: str = "",
        is_dry_run: bool = False,
        visible: Expression = EVERYTHING,
    ) -> dict[str, Any]:
        """Undo one change.

        Raises `NotFoundError` for one that is not known, and `ConflictError` if there is nothing
        to undo or the entity has changed since.
        """
        if is_dry_run:
            with self.writer.look() as store:
                return self._plan_change(store, seq, visible).json(is_dry_run=True)
        caller = called_by(actor)
        trigger = Trigger(actor=caller.actor, request=caller.request, undo=str(seq))

        def attempt() -> dict[str, Any]:
            with self.writer.begin(trigger) as claims:
                plan = self._plan_change(claims.store, seq, visible)
                self._carry_out(claims, plan)
            return plan.json(is_dry_run=False)

        return self._once_settled(attempt)

    def source(
        self,
        name: str,
        *,
        actor: str = "",
        is_dry_run: bool = False,
        visible: Expression = EVERYTHING,
    ) -> dict[str, Any]:
        """Undo what the last run of a source that changed anything had changed.

        Raises `NotFoundError` if there is none, and `ConflictError` if nothing is left to undo.
        """
        if is_dry_run:
            with self.writer.look() as store:
                run, plan = self._plan_run(store, name, visible)
                return plan.json(is_dry_run=True, run=run)
        started, run_id, caller = datetime.now(UTC), new_uid(), called_by(actor)

        def attempt() -> dict[str, Any]:
            with self.writer.begin() as claims:
                run, plan = self._plan_run(claims.store, name, visible)
                trigger = Trigger(run_id, actor=caller.actor, request=caller.request, undo=run)
                self._carry_out(claims, plan, trigger, name)
                gone = sum(step.operation == "delete" for step in plan.steps)
                counts = {"written": len(plan.steps) - gone, "removed": gone}
                record_run(claims.store.sql, run_id, name, started, counts)
            return plan.json(is_dry_run=False, run=run)

        return self._once_settled(attempt)

    def _once_settled(self, attempt: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Undo when what is served is what was emitted; a source may be read at this moment."""
        for _ in range(ATTEMPTS):
            self.stitcher.stitch_all()
            with suppress(_UnsettledError):
                undone = attempt()
                self.stitcher.stitch_all()
                return undone
        raise ConflictError("It is being changed at this moment; try again")

    # -- planning ---------------------------------------------------------------------------------

    def _plan_change(self, store: GraphStore, seq: int, visible: Expression) -> Plan:
        history = ChangeStore(store.sql, self.writer.codec)
        row = history.change(seq)
        if row is None or row.seq <= history.span().oldest:
            raise NotFoundError(f"There is no change {seq}, or not any more")
        plan = Plan()
        unseen = self._plan(plan, history, [_Touched(row.entity_id, row, row)], visible)
        if unseen:
            raise NotFoundError(f"There is no change {seq}, or not any more")
        if not plan.steps:
            raise ConflictError(f"Change {seq} cannot be undone: {plan.skipped[0][1]}")
        return plan

    def _plan_run(self, store: GraphStore, name: str, visible: Expression) -> tuple[str, Plan]:
        history = ChangeStore(store.sql, self.writer.codec)
        for run in RunStore(store.sql).runs_of(name) if "\0" not in name else ():
            touched = self._touched_by(history, run)
            if touched:
                plan = Plan()
                for start in range(0, len(touched), BATCH):
                    if self._plan(plan, history, touched[start : start + BATCH], visible):
                        raise NotFoundError(f"No run of {name} that may be undone is known")
                # What changed only because something else did follows from that again.
                plan.skipped = [item for item in plan.skipped if item[1] != _FOLLOWED]
                if not plan.steps:
                    raise ConflictError(f"Nothing is left to undo of run {run.id} of {name}")
                return run.id, plan
        raise NotFoundError(f"No run of {name} that changed anything is known")

    def _touched_by(self, history: ChangeStore, run: RunRow) -> list[_Touched]:
        span = history.span()
        after = max(span.oldest, history.seq_at(run.started_at - MARGIN))
        until = history.seq_at((run.finished_at or datetime.now(UTC)) + MARGIN)
        first, last = dict[int, ChangeRow](), dict[int, ChangeRow]()
        for count, row in enumerate(history.between(after, until, f'"run":"{run.id}"')):
            if count >= self.most_changes:
                raise InputError(
                    f"Run {run.id} changed more than {self.most_changes} entities, "
                    "too many to undo at once"
                )
            first.setdefault(row.entity_id, row)
            last[row.entity_id] = row
        return [_Touched(one, first[one], last[one]) for one in first]

    def _plan(
        self,
        plan: Plan,
        history: ChangeStore,
        touched: Sequence[_Touched],
        visible: Expression,
    ) -> list[str]:
        """Add what is to be done about entities; answer those that the caller may not see."""
        ids = [one.entity_id for one in touched]
        refs, newest = history.refs(ids), history.span().newest
        present = history.documents_at(ids, newest)
        before = history.previous([one.first.seq for one in touched])
        documents = history.documents([*before.values(), *(one.last.seq for one in touched)])
        unseen = list[str]()
        for one in touched:
            ref, now = refs[one.entity_id], present.get(one.entity_id)
            had = documents.get(before.get(one.first.seq, 0))
            versions = {0: now, 1: had}
            known = {number: doc for number, doc in versions.items() if doc is not None}
            if len(visible_versions(one.entity_id, known, visible)) < len(known):
                unseen.append(ref)
                continue
            then, current = _content(had), _content(now)
            after = _content(documents.get(one.last.seq))
            if _same(then, after):
                plan.skipped.append((ref, _FOLLOWED))
            elif not _same(current, after):
                last = history.changes_of(one.entity_id, newest, 1)[0].seq
                plan.skipped.append((ref, f"it has changed since, last with change {last}"))
            else:
                plan.steps.append(Step(one.entity_id, ref, one.last.seq, current, then))
        return unseen

    # -- writing ----------------------------------------------------------------------------------

    def _carry_out(
        self, claims: Claims, plan: Plan, trigger: Trigger | None = None, source: str = ""
    ) -> None:
        if claims.store.waiting_of([step.entity_id for step in plan.steps]):
            raise _UnsettledError
        if trigger is not None:
            claims = replace(claims, trigger=trigger)
        restoring = Restoring(claims)
        history = ChangeStore(claims.store.sql, self.writer.codec)
        for step in plan.steps:
            why = claims.trigger.cause(source=source)
            if step.then is None:
                restoring.take(step.entity_id, why)
            else:
                owner = source or _source_of(history, step)
                restoring.put(step.entity_id, step.ref, step.then, owner, why)
        restoring.finish()


_FOLLOWED = (
    "its author's content did not change: it followed from another entity, or from a problem"
)


def _content(document: bytes | None) -> dict[str, Any] | None:
    return None if document is None else authored(document)


def _same(one: dict[str, Any] | None, other: dict[str, Any] | None) -> bool:
    """Tell whether two contents are the same; an error of processing is none of theirs."""
    sort = orjson.OPT_SORT_KEYS
    return orjson.dumps(one, option=sort) == orjson.dumps(other, option=sort)


def _source_of(history: ChangeStore, step: Step) -> str:
    """Answer which source an entity came from before it went."""
    for row in history.changes_of(step.entity_id, step.seq, BATCH):
        source = orjson.loads(row.cause).get("source")
        if source:
            return str(source)
    return UNKNOWN_SOURCE
