"""The read index, measured: `python bench/index.py CORPUS [--entities N]`.

CORPUS is a directory with `entities/*.yaml`. The entities get what the catalog would add (uid,
etag, annotations, relations on both ends); with `--entities` the corpus is repeated under other
names until there are as many.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import yaml12

sys.path.insert(0, str(Path(__file__).parents[1]))

from app.index.build import IndexRow
from app.index.index import EntityIndex
from app.index.memory import release_memory
from app.index.terms import TermEncoder
from app.model.query import AllOf, Contains, Expression, Has, HasPrefix, In, Not, Order, Position

EDGES = {
    "owner": ("ownedBy", "ownerOf", "group"),
    "system": ("partOf", "hasPart", "system"),
    "domain": ("partOf", "hasPart", "domain"),
    "subcomponentOf": ("partOf", "hasPart", "component"),
    "parent": ("childOf", "parentOf", "group"),
    "memberOf": ("memberOf", "hasMember", "group"),
    "members": ("hasMember", "memberOf", "user"),
    "children": ("parentOf", "childOf", "group"),
    "providesApis": ("providesApi", "apiProvidedBy", "api"),
    "consumesApis": ("consumesApi", "apiConsumedBy", "api"),
    "dependsOn": ("dependsOn", "dependencyOf", "component"),
}
COLUMNS = ("metadata.name", "metadata.title", "spec.profile.displayname")
_SECONDS, _LEAST, _MOST = 1, 5, 500
FACETS = ("kind", "spec.type", "metadata.tags", "relations.ownedby")


def full_ref(text: str, kind: str, namespace: str) -> str:
    found, _, rest = text.rpartition(":")
    space, _, name = rest.rpartition("/")
    return f"{found or kind}:{space or namespace}/{name}".lower()


def served(directory: Path, wanted: int) -> Iterator[dict[str, Any]]:
    """Yield the corpus as the catalog would serve it."""
    found = [
        (path, entity)
        for path in sorted((directory / "entities").glob("*.yaml"))
        for entity in yaml12.parse_yaml(path.read_text(), multi=True)
    ]
    chance = random.Random(1)  # noqa: S311
    copies = 0
    total = 0
    while total < wanted:
        batch = orjson.loads(orjson.dumps([entity for _, entity in found]))[: wanted - total]
        edges: dict[str, set[tuple[str, str]]] = defaultdict(set)
        refs = []
        for (path, _), entity in zip(found, batch, strict=False):
            metadata = entity["metadata"]
            if copies:
                metadata["name"] = f"{metadata['name'][:58]}-{copies}"
            metadata.setdefault("namespace", "default")
            metadata["uid"] = str(uuid.UUID(int=chance.getrandbits(128), version=4))
            metadata["etag"] = f"{chance.getrandbits(160):040x}"
            place = f"file:/srv/catalog/{path.name}"
            metadata.setdefault("annotations", {}).update(
                {
                    "backstage.io/managed-by-location": place,
                    "backstage.io/managed-by-origin-location": "file:/srv/catalog/all.yaml",
                }
            )
            space = metadata["namespace"]
            ref = full_ref(metadata["name"], entity["kind"], space)
            refs.append(ref)
            for field, (forth, back, kind) in EDGES.items():
                targets = entity.get("spec", {}).get(field) or []
                for target in [targets] if isinstance(targets, str) else targets:
                    other = full_ref(target, kind, space)
                    edges[ref].add((forth, other))
                    edges[other].add((back, ref))
        for ref, entity in zip(refs, batch, strict=True):
            entity["relations"] = [
                {"type": kind, "targetRef": other} for kind, other in sorted(edges[ref])
            ]
            yield entity
        total += len(batch)
        copies += 1


def resident() -> float:
    """Megabytes of memory that the process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Table:
    """Prints measurements as they come."""

    def say(self, what: str, value: float, unit: str) -> None:
        print(f"{what:58} {value:10.3f} {unit}", flush=True)

    def once(self, what: str, action: Callable[[], Any]) -> Any:
        start = time.thread_time()
        result = action()
        self.say(what, time.thread_time() - start, "s")
        return result

    # CPU time of the thread: other work on the machine shall not count.
    def often(
        self, what: str, action: Callable[[], Any], before: Callable[[], Any] | None = None
    ) -> None:
        """Print the median of many runs; `before` each, something that is not measured is done."""
        times = []
        until = time.perf_counter() + _SECONDS
        while len(times) < _LEAST or (time.perf_counter() < until and len(times) < _MOST):
            if before:
                before()
            start = time.thread_time()
            action()
            times.append(time.thread_time() - start)
        self.say(what, sorted(times)[len(times) // 2] * 1e3, "ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--entities", type=int, default=100_000)
    arguments = parser.parse_args()
    table = Table()
    print(f"load average {os.getloadavg()[0]:.2f}")
    encoder = TermEncoder()
    documents: list[bytes] = []
    rows: list[IndexRow] = []
    spent = 0.0
    for number, entity in enumerate(served(arguments.corpus, arguments.entities), 1):
        start = time.thread_time()
        terms = encoder.encode(entity)
        spent += time.thread_time() - start
        metadata = entity["metadata"]
        ref = f"{entity['kind']}:{metadata['namespace']}/{metadata['name']}".lower()
        rows.append(IndexRow(number, ref, metadata["uid"], terms))
        documents.append(orjson.dumps(entity))
    count = len(rows)
    table.say("encode_terms, each", spent / count * 1e6, "us")
    table.say("blob, mean", sum(len(row.terms) for row in rows) / count, "bytes")

    def load_documents(ids: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        return ((owner, orjson.loads(documents[owner - 1])) for owner in ids)

    gc.collect()
    release_memory()
    index = EntityIndex(load_documents)
    before = resident()
    table.once("load", lambda: index.load(rows, 1))
    table.say("memory of the base, arrays", index.nbytes / 1e6, "MB")
    table.say("memory of the base, resident", resident() - before, "MB")
    table.once(
        f"warm {len(COLUMNS)} columns and {len(FACETS)} facets", lambda: index.warm(COLUMNS, FACETS)
    )
    gc.collect()
    release_memory()
    table.say("memory with columns, arrays", index.nbytes / 1e6, "MB")
    table.say("memory with columns, resident", resident() - before, "MB")
    measure_reads(table, index, rows)
    measure_changes(table, index, rows)


def measure_reads(table: Table, index: EntityIndex, rows: list[IndexRow]) -> None:
    component: Expression = In("kind", ("component",))
    owner = index.facets(["relations.ownedby"], index.match(component))["relations.ownedby"][
        0
    ].value
    narrow = AllOf((component, In("spec.type", ("service",)), In("relations.ownedby", (owner,))))
    name, title = "metadata.name", "metadata.title"
    by_name = Order(name)

    def forget() -> None:
        index.apply((), 1)

    def first_page(expression: Expression) -> None:
        found = index.match(expression)
        index.page(found, by_name, 20)
        index.total(found, by_name)

    table.often("kind+type+owner by name, 20 and total", lambda: first_page(narrow), forget)
    table.often("kind=component by name, 20 and total", lambda: first_page(component), forget)
    table.often("kind=component by name, 20 and total, remembered", lambda: first_page(component))
    found = index.match(component)
    table.often(
        "kind=component by name, offset 40000",
        lambda: index.page(found, by_name, 20, 40000),
        forget,
    )
    middle = index.page(found, by_name, 1, len(found) // 2).entries[0]
    position = Position(middle.value, middle.uid)
    table.often(
        "kind=component by name, page in the middle",
        lambda: index.page(found, by_name, 20, 0, position),
        forget,
    )
    backwards = Position(middle.value, middle.uid, backwards=True)
    table.often("the page before it", lambda: index.page(found, by_name, 20, 0, backwards), forget)
    table.often("kind=component by uid, 20", lambda: index.page(found, None, 20), forget)
    table.often("everything by uid, 20", lambda: index.page(index.match(AllOf()), None, 20), forget)
    table.often("count kind=component", lambda: index.count(component), forget)
    table.often(
        "not, has, in",
        lambda: index.count(
            AllOf((Not(component), Has("metadata.tags"), In("kind", ("api", "user"))))
        ),
        forget,
    )
    for term in ("web", "ledger", "zzzq", "e"):
        # another key order each time would be another search: the found are dropped by hand
        search = AllOf((component, Contains(term, (name, title))))
        answers = index._answers  # noqa: SLF001
        table.often(
            f"full text {term!r} in name and title, kind=component",
            lambda search=search: index.match(search),
            lambda: (forget(), answers._evaluator._found.clear()),  # noqa: SLF001, B023
        )
        table.say("  hits", index.count(search), "")
    table.often("has prefix", lambda: index.count(HasPrefix(name, "ledger")), forget)
    table.often("facet kind", lambda: index.facets(["kind"]), forget)
    three = ["spec.type", "metadata.tags", "relations.ownedBy"]
    table.often("three facets under kind=component", lambda: index.facets(three, found), forget)
    table.say("  values", sum(map(len, index.facets(three, found).values())), "")
    refs = [row.ref for row in rows[:: max(1, len(rows) // 1000)]][:1000]
    table.often("id of a ref", lambda: index.id_of(refs[7]))
    table.often("ids of 1000 refs", lambda: index.ids_of(refs))
    table.often("id of a uid", lambda: index.id_of_uid(rows[7].uid))
    table.often(
        "all ids of kind=component by name", lambda: index.ids_in_order(found, by_name), forget
    )
    table.often("kind=component by ref", lambda: index.by_ref(found), forget)
    orders = [Order("spec.type"), Order(name, "desc")]
    table.often(
        "kind=component by type, name (old listing)",
        lambda: index.sorted_ids(found, orders),
        forget,
    )


def measure_changes(table: Table, index: EntityIndex, rows: list[IndexRow]) -> None:
    component: Expression = In("kind", ("component",))
    by_name = Order("metadata.name")
    count = max(1000, len(rows) // 100)
    changed = rows[:: len(rows) // count][:count]
    start = time.thread_time()
    for seq, row in enumerate(changed, 2):
        index.apply([(row.id, row)], seq)
    table.say("apply, each", (time.thread_time() - start) / count * 1e6, "us")
    three = ["spec.type", "metadata.tags", "relations.ownedBy"]

    def page() -> None:
        found = index.match(component)
        index.page(found, by_name, 20)
        index.total(found, by_name)

    table.once(f"first page after {count} changes", page)

    def change() -> None:
        row = changed[7]
        index.apply([(row.id, row)], 1)

    table.often("kind=component by name, one more change before each", page, change)
    table.often(
        "three facets, likewise", lambda: index.facets(three, index.match(component)), change
    )
    search = AllOf((component, Contains("web", ("metadata.name", "metadata.title"))))
    table.often("full text, likewise", lambda: index.match(search), change)
    table.once("merge", index.merge)
    table.often("kind=component by name, after the merge", page, change)
    gc.collect()
    table.say("memory, arrays", index.nbytes / 1e6, "MB")


if __name__ == "__main__":
    main()
