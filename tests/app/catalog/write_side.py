"""Claims, edges and stitching joined for tests, with a way to look at what is served."""

from __future__ import annotations

import orjson

from app.catalog.emission import Counts, Emission, Parent
from app.catalog.stitching import Stitcher
from app.catalog.store import ReadingRow
from app.catalog.writing import GraphWriter
from app.db.documents import DocumentCodec
from app.db.statements import Statements

REVERSE = {"ownedBy": "ownerOf", "dependsOn": "dependencyOf", "hasMember": "memberOf"}
HERE, THERE = "url:https://example.org/here.yaml", "url:https://example.org/there.yaml"


def emission(ref, *edges, location=HERE, text="v1", flaws=()):
    kind, _, name = ref.partition(":default/")
    data = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": kind.title(),
        "metadata": {"name": name, "namespace": "default", "description": text},
        "spec": {"edges": [list(edge) for edge in edges]},
    }
    content = orjson.dumps(data)
    return Emission(ref, location, 1, None if flaws else content, content, edges, flaws)


class Graph:
    """The write side joined for tests, with a way to look at what is served."""

    def __init__(self, database, *, keeps_orphans=False):
        codec = DocumentCodec(database)
        self.database, self.reads_all = database, False
        self.writer = GraphWriter(
            database,
            codec,
            lambda data: [tuple(edge) for edge in data["spec"]["edges"]],
            keeps_orphans,
        )
        self.stitcher = Stitcher(database, codec, REVERSE)

    def write(self, parent, *emissions):
        counts = Counts()
        with self.writer.begin() as claims:
            ids = claims.write(parent, emissions, counts)
            for ref in ids if self.reads_all else ():
                if ref.startswith("location:"):
                    claims.store.save_reading(ReadingRow(ids[ref], "{}", good=True), claims.now)
        self.stitcher.stitch_all()
        return counts, ids

    def drop(self, parent, *refs, eager=False):
        counts = Counts()
        with self.writer.begin() as claims:
            ids = claims.store.known_refs(list(refs))
            rows = [r for r in claims.store.emissions_by(parent) if r.ref_id in ids.values()]
            claims.release(rows, counts, why="{}", eager=eager)
        self.stitcher.stitch_all()
        return counts

    def read_every_location(self):
        """Stitch Locations as if all were read as soon as they were written."""
        self.reads_all = True

    def location(self, source, ref, *, parent=0):
        """Write a Location that was read, so that it may emit others."""
        _, ids = self.write(Parent(source, parent), emission(ref, location=f"{HERE}#{ref}"))
        with self.writer.begin() as claims:
            claims.store.save_reading(ReadingRow(ids[ref], "{}", good=True), claims.now)
            claims.store.mark_dirty({ids[ref]: "{}"})
        self.stitcher.stitch_all()
        return ids[ref]

    def served(self, ref):
        with self.database.snapshot() as connection:
            row = Statements.on(connection).row(
                "SELECT e.document FROM entity e JOIN ref r ON r.id = e.id WHERE r.ref = ?", ref
            )
        return orjson.loads(row[0]) if row else None

    def text(self, ref):
        found = self.served(ref)
        return found["metadata"]["description"] if found else None

    def relations(self, ref):
        return [(r["type"], r["targetRef"]) for r in self.served(ref)["relations"]]

    def rows(self, sql, *values):
        with self.database.snapshot() as connection:
            return Statements.on(connection).rows(sql, *values)
