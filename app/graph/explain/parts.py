"""The parts of an explanation as JSON has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from app.db.instants import instant
from app.graph.explain.relations import RelationNote, Writer
from app.graph.explain.store import Change, Claim, Flawed, Presence, SourceRun


def change_json(change: Change) -> dict[str, Any]:
    return {
        "seq": change.seq,
        "at": instant(change.at),
        "operation": change.operation,
        "cause": dict(change.cause),
    }


def run_json(run: SourceRun) -> dict[str, Any]:
    return {
        "state": run.state,
        "startedAt": instant(run.started_at),
        "finishedAt": None if run.finished_at is None else instant(run.finished_at),
        "error": run.error,
    }


def problem_json(flaw: Flawed, about: str, ref: str) -> dict[str, Any]:
    return {
        "about": about,
        "ref": ref,
        "name": flaw.error.get("name", "Error"),
        "message": flaw.error.get("message", ""),
        "location": flaw.location,
        "line": flaw.line,
        "column": flaw.column,
        "pointer": flaw.pointer,
        "at": instant(flaw.at),
    }


def held_json(claim: Claim) -> dict[str, Any]:
    return {
        "source": claim.source,
        "location": claim.location,
        "line": claim.line,
        "since": instant(claim.discovered_at),
    }


def relation_json(note: RelationNote) -> dict[str, Any]:
    return {
        "type": note.type,
        "targetRef": note.target,
        "exists": note.presence.is_served,
        "writtenBy": [writer_json(writer) for writer in note.written_by],
    }


def dangling_json(note: RelationNote) -> dict[str, Any]:
    return {
        "type": note.type,
        "targetRef": note.target,
        "why": _absence(note.presence),
        "writtenBy": [writer_json(writer) for writer in note.written_by],
    }


def _absence(presence: Presence) -> str:
    if presence.is_emitted:
        return "invalid"
    return "deleted" if presence.last == "delete" else "unknown"


def writer_json(writer: Writer) -> Mapping[str, Any]:
    return asdict(writer)


def seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()
