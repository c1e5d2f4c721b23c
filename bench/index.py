"""The read index, measured: `python bench/index.py CORPUS [--entities N]`.

CORPUS is a directory with `entities/*.yaml`. The entities get what the catalog would add (uid, etag,
annotations, relations on both ends); `--entities` repeats the corpus under other names until there
are as many.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import resource
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import yaml12

sys.path.insert(0, str(Path(__file__).parents[1]))

from app.index.terms import encode_terms

KINDS = {"owner": "group", "system": "system", "domain": "domain", "parent": "group"}
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


def full_ref(text: str, kind: str, namespace: str) -> str:
    found, _, rest = text.rpartition(":")
    space, _, name = rest.rpartition("/")
    return f"{found or kind}:{space or namespace}/{name}".lower()


def served(directory: Path, wanted: int) -> Iterator[dict[str, Any]]:
    """Yield the corpus as the catalog would serve it."""
    found = []
    for path in sorted((directory / "entities").glob("*.yaml")):
        for entity in yaml12.parse_yaml(path.read_text(), multi=True):
            found.append((path, entity))
    chance = random.Random(1)
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
