"""From emissions and edges to what is served: the final JSON of each entity and its history.

Stitching reads one claimed emission, its problems and the edges around it, and composes the ready
answer (CONTRACT 1.5, 1.6). It works the `stitch` queue off in batches, each one transaction; an
entity that comes out as it was writes nothing.
"""

from __future__ import annotations

import hashlib
import logging
import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from app.catalog.change_store import ChangeStore, pack_change
from app.catalog.emission import status_item
from app.catalog.store import ORPHAN, Claimed, GraphStore
from app.db import sequence
from app.db.documents import FIRST, SAMPLES, DocumentCodec
from app.db.shared import Transactions
from app.db.statements import Statements
from app.index.terms import DuplicateKeysError, encode_terms
from app.logs import fields
from app.model.policies import fill_namespace
from app.model.uid import new_uid

BATCH = 500
# With so many entities waiting, another dictionary is worth the time to train it.
LEARN_AT = (10_000, 40_000, 90_000)
ORPHAN_ANNOTATION = "backstage.io/orphan"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Final:
    """An entity composed, before it has a sequence number."""

    ref_id: int
    ref: str
    uid: str
    etag: str
    terms: bytes
    document: bytes


@dataclass(slots=True)
class _Around:
    """What is known about the refs of a batch."""

    refs: Mapping[int, str]
    served: Mapping[int, tuple[str, str]]
    errors: Mapping[int, Sequence[str]]
    relations: Mapping[int, Sequence[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Stitcher:
    """Brings what is served in line with what was emitted."""

    database: Transactions
    codec: DocumentCodec
    reverse: Mapping[str, str]
    batch: int = field(default=BATCH)

    def stitch_all(self, is_stopped: Callable[[], bool] = lambda: False) -> int:
        """Work off the whole queue, unless stopped; answer how many entities changed."""
        changed = 0
        self.learn()
        while not is_stopped():
            with self.database.begin() as connection:
                sql = Statements.on(connection)
                sequence.lock_graph(sql)
                store = GraphStore(sql)
                causes = store.dirty(self.batch)
                changed += self._stitch(store, causes)
                store.clear_dirty(list(causes))
            if len(causes) < self.batch:
                break
        return changed

    def stitch_in(self, store: GraphStore, ref_ids: Iterable[int]) -> int:
        """Stitch these refs in the caller's transaction, as far as they wait, and leave the others.

        So what one transaction writes is served as soon as it is committed, and not by and by.
        """
        waiting, changed = sorted(ref_ids), 0
        for start in range(0, len(waiting), self.batch):
            causes = store.dirty_among(waiting[start : start + self.batch])
            changed += self._stitch(store, causes)
            store.clear_dirty(list(causes))
        return changed

    def learn(self) -> None:
        """Train a better compression dictionary while many documents are still to be written.

        What is read first is seldom like what is read last, so it is done again for more.
        """
        with self.database.snapshot() as connection:
            store = GraphStore(Statements.on(connection))
            number = FIRST + bisect_right(LEARN_AT, store.count_dirty())
            if number == FIRST or not self.codec.wants(number):
                return
            waiting = store.all_dirty()
            ids = random.sample(waiting, 4 * SAMPLES)
            claimed = store.claimed(ids)
            around = self._look_around(store, ids, claimed)
            finals = [self._compose(content, around) for content in claimed]
        self.codec.learn([final.document for final in finals if final is not None], number)

    def _stitch(self, store: GraphStore, causes: Mapping[int, str]) -> int:
        if not causes:
            return 0
        ids = list(causes)
        claimed = self._visible(store, store.claimed(ids))
        around = self._look_around(store, ids, claimed)
        finals = list[_Final]()
        for content in claimed:
            final = self._compose(content, around)
            if final is not None and self._differs(store, final, around.served):
                finals.append(final)
        holds = {content.ref_id for content in claimed}
        gone = [ref_id for ref_id in around.served if ref_id not in holds]
        self._write(store, finals, gone, causes, around.served)
        return len(finals) + len(gone)

    def _visible(self, store: GraphStore, claimed: list[Claimed]) -> list[Claimed]:
        """Leave out Locations that were never read: they have no final entity (CONTRACT 1.5)."""
        refs = store.refs(content.ref_id for content in claimed)
        locations = [i for i, ref in refs.items() if ref.startswith("location:")]
        readings = store.readings(locations) if locations else {}
        unread = {i for i in locations if i not in readings or not readings[i].good}
        return [content for content in claimed if content.ref_id not in unread]

    def _look_around(self, store: GraphStore, ids: list[int], claimed: list[Claimed]) -> _Around:
        relations = defaultdict[int, list[tuple[str, str]]](list)
        outgoing, incoming = store.relations_around(ids)
        for ref_id, kind, peer in outgoing:
            relations[ref_id].append((kind, peer))
        for ref_id, kind, peer in incoming:
            # A kind that is configured no more may have left edges that have no reverse any more.
            if kind in self.reverse:
                relations[ref_id].append((self.reverse[kind], peer))
        return _Around(
            refs=store.refs(ids),
            served=store.served(ids),
            errors=store.errors_of(content.emission_id for content in claimed),
            relations=relations,
        )

    def _compose(self, content: Claimed, around: _Around) -> _Final | None:
        ref_id = content.ref_id
        data: dict[str, Any] = orjson.loads(self.codec.unpack(content.document))
        data = fill_namespace(data)
        metadata = data["metadata"]
        if content.parent == ORPHAN:
            metadata.setdefault("annotations", {})[ORPHAN_ANNOTATION] = "true"
        relations = sorted(set(around.relations.get(ref_id, ())))
        data["relations"] = [{"type": kind, "targetRef": peer} for kind, peer in relations]
        if errors := around.errors.get(content.emission_id):
            data["status"] = _status(data.get("status"), errors)
        metadata.pop("uid", None)
        etag = metadata.pop("etag", None) or content_hash(data)
        uid = around.served[ref_id][0] if ref_id in around.served else new_uid()
        metadata["uid"], metadata["etag"] = uid, etag
        try:
            terms = encode_terms(data)
        except DuplicateKeysError as error:
            # Backstage cannot stitch such an entity either: what was served before stays.
            log.warning("cannot stitch", extra=fields(ref=around.refs[ref_id], reason=str(error)))
            return None
        ref = around.refs[ref_id]
        return _Final(ref_id, ref, uid, str(etag), terms, orjson.dumps(data))

    def _differs(
        self, store: GraphStore, final: _Final, served: Mapping[int, tuple[str, str]]
    ) -> bool:
        before = served.get(final.ref_id)
        if before is None or before[1] != final.etag:
            return True
        # An etag that its author wrote does not tell one content from another.
        return store.served_document(final.ref_id) != final.document

    def _write(
        self,
        store: GraphStore,
        finals: Sequence[_Final],
        gone: Sequence[int],
        causes: Mapping[int, str],
        served: Mapping[int, tuple[str, str]],
    ) -> None:
        if not finals and not gone:
            return
        now = datetime.now(UTC)
        first = sequence.take(store.sql, len(finals) + len(gone))
        numbered = list(enumerate(finals, first))
        new = [(seq, f) for seq, f in numbered if f.ref_id not in served]
        known = [(seq, f) for seq, f in numbered if f.ref_id in served]
        anchors = ChangeStore(store.sql, self.codec).anchors([f.ref_id for _, f in known])
        with store.sql.together():
            store.insert_entities(
                [(f.ref_id, f.etag, seq, f.document) for seq, f in new],
                [(f.ref_id, f.uid, f.terms) for _, f in new],
            )
            store.update_entities(
                [(f.etag, seq, f.document, f.ref_id) for seq, f in known],
                [(f.terms, f.ref_id) for _, f in known],
            )
            store.delete_entities(gone)
            store.log(
                [
                    (
                        seq,
                        f.ref_id,
                        "update" if f.ref_id in served else "create",
                        f.etag,
                        *pack_change(self.codec, f.document, anchors.get(f.ref_id)),
                        causes[f.ref_id],
                        now,
                    )
                    for seq, f in numbered
                ]
                + [
                    (seq, ref_id, "delete", served[ref_id][1], None, None, causes[ref_id], now)
                    for seq, ref_id in enumerate(gone, first + len(finals))
                ]
            )


def content_hash(data: Mapping[str, Any]) -> str:
    """Make the etag of an entity that lacks nothing but its uid and etag."""
    return hashlib.sha1(orjson.dumps(data), usedforsecurity=False).hexdigest()


def _status(own: Any, errors: Sequence[str]) -> dict[str, Any]:
    """Append processing errors to the status items that the entity brought itself."""
    items = list(own.get("items", ())) if isinstance(own, dict) else []
    return {"items": items + [status_item(orjson.loads(error)) for error in errors]}
