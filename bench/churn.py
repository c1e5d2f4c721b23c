"""What a year of changes costs in the database: `python bench/churn.py --corpus FOLDER`.

A corpus is a folder with `all.yaml` (see `bench/catalog.py`). It is read into an empty database
whose size is then measured, indexes and all. After that every day a share of the entities gets one
small edit, each day being one run: an annotation with a new revision, another tag, another
lifecycle, or another sentence in the description. Given the URL of an empty PostgreSQL database it
measures that one; otherwise an SQLite file.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).parents[1]))

from app.catalog.causes import Trigger
from app.catalog.change_store import ChangeStore
from app.catalog.cursors import Listing
from app.catalog.emission import Counts, Emission, Parent
from app.catalog.ingest import Ingest
from app.catalog.locations import generated
from app.catalog.processing import Processor
from app.catalog.questions import PageRequest
from app.catalog.reading import CatalogReader
from app.catalog.retention import Retention
from app.catalog.rules import Allowed, Rule, Rules
from app.catalog.snapshot import Snapshots
from app.catalog.stitching import Stitcher
from app.catalog.writing import GraphWriter
from app.db.documents import DocumentCodec
from app.db.engine import Database, open_database
from app.db.migrate import migrate
from app.db.statements import Statements
from app.graph.past.snapshots import Past
from app.model.documents import Limits
from app.model.kinds import KindRegistry
from app.model.query import Order
from app.model.uid import new_uid
from app.scm.readers import ReaderSettings, open_readers

KINDS = [
    "Component",
    "API",
    "Resource",
    "System",
    "Domain",
    "Location",
    "User",
    "Group",
    "Template",
]
WORDS = [
    "orders",
    "invoices",
    "carriers",
    "customers",
    "reads",
    "writes",
    "keeps",
    "sends",
    "checks",
    "every",
    "day",
    "hour",
]
TABLES = ("change", "entity", "searchable", "emission", "relation", "ref", "dictionary")


def clean(database: Database) -> None:
    """Do what PostgreSQL does by itself once a fifth of a table has changed, given the time."""
    if not database.is_sqlite:
        with database.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.exec_driver_sql("VACUUM")


def bytes_of(database: Database) -> int:
    """The size of everything."""
    if database.is_sqlite:
        with database.begin() as connection:
            sql = Statements.on(connection)
            (pages,), (size,) = sql.rows("PRAGMA page_count") + sql.rows("PRAGMA page_size")
            return int(pages) * int(size)
    clean(database)
    with database.engine.connect() as connection:
        return int(
            connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()
        )


def parts_of(database: Database) -> dict[str, int]:
    """The sizes of the tables on PostgreSQL, and of the documents in the history on both."""
    with database.snapshot() as connection:
        sql = Statements.on(connection)
        (row,) = sql.rows("SELECT sum(length(document)), sum(length(cause)), count(*) FROM change")
        parts = {"documents": int(row[0]), "causes": int(row[1]), "changes": int(row[2])}
        if not database.is_sqlite:
            for table in TABLES:
                (found,) = sql.rows("SELECT pg_total_relation_size(?::regclass)", table)
                parts[table] = int(found[0])
        return parts


def edit(data: dict[str, Any], chance: random.Random) -> None:
    metadata, spec = data["metadata"], data.get("spec", {})
    choice = chance.random()
    if choice < 0.5:
        metadata["annotations"]["example.com/revision"] = f"{chance.getrandbits(160):040x}"
    elif choice < 0.7:
        tags = metadata.setdefault("tags", [])
        tag = chance.choice(WORDS)
        tags.remove(tag) if tag in tags else tags.append(tag)
    elif choice < 0.8 and "lifecycle" in spec:
        spec["lifecycle"] = chance.choice(["experimental", "production", "deprecated"])
    else:
        sentence = " ".join(chance.choices(WORDS, k=12)).capitalize() + "."
        written = str(metadata.get("description", "")).split(". ")
        metadata["description"] = ". ".join([*written[:-1][:3], sentence])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--corpus", type=Path, required=True)
    options.add_argument("--days", type=int, default=365)
    options.add_argument("--share", type=float, default=0.05)
    options.add_argument("--database", default="")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(given.database or f"sqlite:///{folder}/churn.sqlite")
        migrate(database)
        measure(database, Path(folder), given)
        database.close()


def measure(database: Database, folder: Path, given: argparse.Namespace) -> None:
    codec, kinds = DocumentCodec(database), KindRegistry()
    rules = Rules((Rule(tuple(map(Allowed, KINDS))),))
    readers = open_readers(ReaderSettings(folder / "data"))
    processor = Processor(kinds, rules, readers, Limits())
    writer = GraphWriter(database, codec, processor.relations_of)
    stitcher = Stitcher(database, codec, kinds.reverse)

    class Configured:
        def snapshot(self) -> Any:
            yield generated("file", str((given.corpus / "all.yaml").resolve()))

    Ingest(writer, processor, stitcher).source("locations", Configured(), new_uid())
    before = bytes_of(database)
    known = load(database, codec)
    print(f"ingested  entities={len(known)}  bytes={before}  {parts_of(database)}", flush=True)

    chance, started, edits = random.Random(1), time.monotonic(), 0  # noqa: S311
    for day in range(given.days):
        if day % max(1, round(0.2 / given.share)) == 0:
            clean(database)
        trigger = Trigger(run=new_uid(), commit=f"{chance.getrandbits(160):040x}")
        by_parent = dict[Parent, list[Emission]]()
        for place in chance.sample(range(len(known)), int(given.share * len(known))):
            ref, parent, location, line, data = known[place]
            edit(data, chance)
            document = orjson.dumps(data)
            edges = processor.relations_of(data)
            made = Emission(ref, location, line, document, document, edges)
            by_parent.setdefault(parent, []).append(made)
            edits += 1
        for parent, batch in by_parent.items():
            with writer.begin(trigger) as claims:
                claims.write(parent, batch, Counts())
        stitcher.stitch_all()
    seconds = time.monotonic() - started
    after = bytes_of(database)
    print(f"a year    edits={edits}  bytes={after}  {parts_of(database)}")
    print(f"          {after / before:.2f} times the bytes, {edits / seconds:.0f} edits/s")
    look_back(database, codec, given.days)
    forget(database, codec)


def look_back(database: Database, codec: DocumentCodec, days: int) -> None:
    """Ask for a page of the past: the first time its index has to be made."""
    snapshots = Snapshots(database)
    page = PageRequest(Listing(order=(Order("metadata.name", "asc"),)), 20)
    timed(CatalogReader(snapshots), page)
    past = Past(snapshots, codec)
    with database.snapshot() as connection:
        newest = ChangeStore(Statements.on(connection), codec).span().newest
    for ago in (1, 30, days - 1):
        reader = CatalogReader(past.at(newest * (days - ago) // days))
        first, again = timed(reader, page), timed(reader, page)
        print(f"a page    {ago} days ago: first {first:.0f} ms, then {again:.1f} ms")
    snapshots.close()


def timed(reader: CatalogReader, page: PageRequest) -> float:
    started = time.perf_counter()
    reader.page(page)
    return 1000 * (time.perf_counter() - started)


def forget(database: Database, codec: DocumentCodec) -> None:
    """Forget the older half of the changes, all of which look new."""
    with database.begin() as connection:
        sql = Statements.on(connection)
        store = ChangeStore(sql, codec)
        moment = store.at(store.span().newest // 2)
    if moment is None:
        return
    started = time.perf_counter()
    retention = Retention(database, codec)
    while not retention.forget(moment):
        pass
    seconds = time.perf_counter() - started
    print(f"forgot    {retention.forgotten} changes in {seconds:.1f} s")


def load(database: Database, codec: DocumentCodec) -> list[tuple[Any, ...]]:
    with database.snapshot() as connection:
        rows = Statements.on(connection).rows(
            "SELECT r.ref, e.parent, e.source, e.location, e.line, e.document FROM emission e "
            "JOIN ref r ON r.id = e.ref_id WHERE e.parent > 0 AND r.ref NOT LIKE 'location:%' "
            "ORDER BY e.id"
        )
    return [
        (row[0], Parent(row[2], row[1]), row[3], row[4], orjson.loads(codec.unpack(row[5])))
        for row in rows
    ]


if __name__ == "__main__":
    main()
