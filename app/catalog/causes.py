"""Why an entity changed: the small JSON object kept with every change.

`source`, `location` and `line` say where new content was read, and `commit` what was the newest
commit there, if the reader knows. `by` names the entity whose relation changed a peer. `run` is the
run that wrote it; `actor` and `request` name a caller of the API and what their request is called
in the log. `undo` is the change, or the run, that was undone.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from app.logs import REQUEST_ID


def cause(**parts: object) -> str:
    """Make a cause of the parts that are known."""
    return orjson.dumps({name: value for name, value in parts.items() if value}).decode()


@dataclass(frozen=True, slots=True)
class Trigger:
    """What set off all that one transaction changes: a run, or a caller."""

    run: str = ""
    commit: str = ""
    actor: str = ""
    request: str = ""
    undo: str = ""

    def cause(self, **parts: object) -> str:
        """Make a cause of the parts that are known, and of this."""
        return cause(
            **parts,
            commit=self.commit,
            run=self.run,
            actor=self.actor,
            request=self.request,
            undo=self.undo,
        )

    def peer_cause(self, by: str) -> str:
        """Make the cause of a change that follows from that of `by`, which tells the rest."""
        return cause(by=by, run=self.run, actor=self.actor, request=self.request, undo=self.undo)


NOTHING = Trigger()


def called_by(actor: str) -> Trigger:
    """Make the trigger of a request by `actor`, under the id that the log knows it by."""
    return Trigger(actor=actor or "api", request=REQUEST_ID.get())
