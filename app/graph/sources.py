"""Every source that the graph knows of: what it holds, when it was read or pushed last, and how."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from app.catalog.writing import GraphWriter
from app.db.instants import instant
from app.errors import NotFoundError
from app.graph.push.pushed import PREFIX
from app.graph.push.store import PushRow, PushStore, RunRow


@dataclass(frozen=True, slots=True)
class SourceState:
    """What is known of one source."""

    name: str
    entities: int
    run: RunRow | None
    failed: RunRow | None
    push: PushRow | None

    @property
    def kind(self) -> str:
        """Answer what kind of source it is: what stands before the colon of its name."""
        return self.name.partition(":")[0]

    @property
    def last_error(self) -> RunRow | None:
        """Answer the last failure, unless a later run went well."""
        if self.failed and self.run and self.failed.id == self.run.id:
            return self.failed
        return None


@dataclass(frozen=True, slots=True)
class Sources:
    """Lists sources; `configured` are those that exist even if nothing came of them yet."""

    writer: GraphWriter
    configured: frozenset[str]

    def all(self) -> list[SourceState]:
        """Answer every source, by name."""
        with self.writer.look() as graph:
            store = PushStore(graph.sql)
            counts, pushes = store.counts(), store.pushes()
            runs, failed = store.last_runs(), store.last_runs(failed=True)
        names = self.configured | counts.keys() | runs.keys() | pushes.keys()
        return [
            SourceState(
                name, counts.get(name, 0), runs.get(name), failed.get(name), pushes.get(name)
            )
            for name in sorted(names)
        ]

    def get(self, name: str) -> SourceState:
        """Answer one source; a pushed one also without `push:`. Raises `NotFoundError`."""
        known = {source.name: source for source in self.all()}
        found = known.get(name) or known.get(f"{PREFIX}{name}")
        if found is None:
            raise NotFoundError(f"No source named {name!r}")
        return found


def source_json(source: SourceState) -> dict[str, Any]:
    """Write a source."""
    error = source.last_error
    return {
        "name": source.name,
        "kind": source.kind,
        "entities": source.entities,
        "lastRun": _run(source.run) if source.run else None,
        "lastPush": _push(source.push) if source.push else None,
        "lastError": {"message": error.error or "", "at": instant(error.started_at)}
        if error
        else None,
    }


def sources_json(sources: Iterable[SourceState]) -> dict[str, Any]:
    """Write a list of sources."""
    return {"items": [source_json(source) for source in sources]}


def _run(run: RunRow) -> Mapping[str, Any]:
    return {
        "id": run.id,
        "state": run.state,
        "startedAt": instant(run.started_at),
        "finishedAt": None if run.finished_at is None else instant(run.finished_at),
        "counts": orjson.loads(run.counts),
        "error": run.error,
    }


def _push(push: PushRow) -> Mapping[str, Any]:
    return {"version": push.version, "at": instant(push.at), "actor": push.actor}
