"""A change, and what of it one reader gets to see.

A reader sees a part of the graph: what they are allowed to, and what they asked for. Into this part
entities come, change in it, and leave it; what happens outside of it is not told. Whether an
entity left because it was deleted, or because it does not match any more, the item says `left`, and
shows what the reader saw of it last. So what a reader may not see is never in an item, and applying
all items in order (put what is in `entity` under `entityRef`, remove what `left`) keeps a copy that
is equal to the part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from app.catalog.projection import Projection
from app.db.instants import instant
from app.graph.changes.log import ChangeLog, ChangeRow
from app.index.single import Single
from app.model.query import EVERYTHING, Expression

# A change remembers what so many expressions had to say about it.
_VERDICTS = 512


@dataclass(frozen=True, slots=True)
class Lens:
    """The part of the graph that a reader sees, and how much of each entity."""

    expression: Expression = EVERYTHING
    fields: Projection | None = None
    has_entity: bool = True


class Version:
    """An entity as it was served at some time, looked into only if somebody asks."""

    def __init__(self, document: bytes, entity_id: int) -> None:
        self.document = document
        self._entity_id = entity_id

    @cached_property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = orjson.loads(self.document)
        return data

    @cached_property
    def _single(self) -> Single:
        return Single(self.data, self._entity_id)

    def matches(self, expression: Expression) -> bool:
        """Tell whether it belongs to a part of the graph."""
        return expression == EVERYTHING or self._single.matches(expression)


@dataclass(slots=True)
class Change:
    """One committed change, with the entity before and after it; threads may share it."""

    row: ChangeRow
    before: Version | None
    after: Version | None
    _verdicts: dict[Expression, tuple[Version | None, bool]] = field(default_factory=dict)

    @property
    def seq(self) -> int:
        return self.row.seq

    @property
    def size(self) -> int:
        """Answer about how many bytes it holds."""
        return sum(len(v.document) for v in (self.before, self.after) if v is not None)

    def through(self, lens: Lens) -> bytes | None:
        """Write the item that a reader gets; None if nothing happened in their part."""
        shown, has_left = self._verdict(lens.expression)
        if shown is None:
            return None
        row = self.row
        head: dict[str, Any] = {
            "seq": row.seq,
            "at": instant(row.at),
            "operation": row.operation,
            "entityRef": row.ref,
            "etag": row.etag,
            "cause": orjson.loads(row.cause),
        }
        if has_left:
            head["left"] = True
        item = orjson.dumps(head)
        if not lens.has_entity:
            return item
        entity = shown.document
        if lens.fields is not None:
            entity = orjson.dumps(lens.fields.of(shown.data))
        return b'%b,"entity":%b}' % (item[:-1], entity)

    def _verdict(self, expression: Expression) -> tuple[Version | None, bool]:
        """Answer the version to show, and whether the entity left the part."""
        known = self._verdicts.get(expression)
        if known is None:
            known = self._judge(expression)
            if len(self._verdicts) < _VERDICTS:
                self._verdicts[expression] = known
        return known

    def _judge(self, expression: Expression) -> tuple[Version | None, bool]:
        if self.after is not None and self.after.matches(expression):
            return self.after, False
        if self.before is not None and self.before.matches(expression):
            return self.before, True
        return None, False


def load_changes(
    log: ChangeLog, after: int, limit: int, expression: Expression | None = None
) -> list[Change]:
    """Load the first changes after a sequence number, in order, with the documents around them.

    If they are to be looked at with one `expression` only, what that does not need is left out.
    """
    rows = log.after(after, limit)
    before = log.before(rows, after)
    if expression == EVERYTHING:
        deleted = {row.seq for row in rows if row.operation == "delete"}
        before = {seq: earlier for seq, earlier in before.items() if seq in deleted}
    documents = log.documents({*before.values(), *(row.seq for row in rows)})
    # Versions are shared between the change that made them and the one that replaced them.
    versions = dict[int, Version]()

    def version(seq: int | None, row: ChangeRow) -> Version | None:
        if seq is None or seq not in documents:
            return None
        return versions.setdefault(seq, Version(documents[seq], row.entity_id))

    return [Change(row, version(before.get(row.seq), row), version(row.seq, row)) for row in rows]


def join_items(items: list[bytes], rest: Mapping[str, Any]) -> bytes:
    """Write a JSON object of items that are written already, and the rest of it."""
    return b'{"items":[%b],%b' % (b",".join(items), orjson.dumps(rest)[1:])
