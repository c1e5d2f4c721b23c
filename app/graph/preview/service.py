"""Previews: what the changed files of a pull request would do to the graph, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.catalog.snapshot import Snapshots
from app.graph.preview.effect import Effect, effect_of
from app.graph.preview.rehearsal import GivenFile, Rehearsals
from app.index.index import EntityIndex
from app.model.query import EVERYTHING, Expression


@dataclass(frozen=True, slots=True)
class PreviewService:
    """Previews changed files for a caller who sees a part of the graph."""

    rehearsals: Rehearsals
    snapshots: Snapshots

    def preview(self, files: Sequence[GivenFile], visible: Expression = EVERYTHING) -> Effect:
        """Tell what the files would change, as far as it is about entities that are visible.

        Raises `InputError` beyond a limit, and `ServiceUnavailableError` if too much goes on.
        """
        found = self.rehearsals.rehearse(files)
        return effect_of(found, lambda refs: self._hidden(refs, visible))

    def _hidden(self, refs: set[str], visible: Expression) -> set[str]:
        if visible == EVERYTHING:
            return set()

        def hidden(index: EntityIndex) -> set[str]:
            seen, asked = index.match(visible), list(refs)
            found = zip(asked, index.ids_of(asked), strict=True)
            return {ref for ref, one in found if one is not None and one not in seen}

        with self.snapshots.open() as snapshot:
            return snapshot.ask(hidden)
