"""Microseconds per entity from bytes to a validated entity with its relations.

    python bench/documents.py [FOLDER]

reads every YAML file of a folder, or a made-up one of a thousand entities.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from app.model.documents import Limits, parse
from app.model.entity import Entity
from app.model.kinds import KindRegistry
from app.model.policies import (
    check_envelope,
    check_fields,
    fill_namespace,
    presort,
    sanitize_annotations,
)
from app.model.yaml_events import read_documents
from app.model.yaml_lines import read_lines

ROUNDS = 3
MADE_UP = """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: service-{n}
  title: "Service {n}"
  description: "Handles orders. Everything is written to the audit log, and nothing is lost."
  annotations:
    github.com/project-slug: example/service-{n}
    example.com/revision: "r{n}"
  labels:
    example.com/tier: tier-{n}
  tags:
    - java
    - data
  links:
    - url: https://dashboards.example.com/service-{n}
      title: Dashboard
spec:
  type: service
  lifecycle: production
  owner: group:default/team-{n}
  system: orders
  providesApis:
    - orders-{n}
  dependsOn:
    - resource:default/db-{n}
    - component:service-1
"""


def main(folder: str = "") -> None:
    """Measure each step on its own and print the best of some rounds."""
    paths = (
        [path for path in sorted(Path(folder).rglob("*.y*ml")) if path.is_file()] if folder else []
    )
    files = [path.read_bytes() for path in paths]
    if not folder:
        files = ["---\n".join(MADE_UP.format(n=n) for n in range(1000)).encode()]
    texts = [
        text + "\n"
        for data in files
        for text in data.decode(errors="replace").split("\n---\n")
        if text.strip()
    ]
    items = [item for data in files for item in parse(data, "file:/bench")]
    found = [dict(item.data) for item in items if isinstance(item, Entity)]
    entities = [data for data in found if check_envelope(data) is None]
    size = sum(map(len, files)) / max(1, len(entities))
    print(f"{len(files)} files, {len(entities)} entities of {size:.0f} bytes")
    refused = sum(read_lines(text, 1, 100) is None for text in texts)
    print(f"{refused / len(texts):.1%} of the documents are not plain")
    registry, limits = KindRegistry(), Limits()
    count = len(entities)
    report("parse a file", files, lambda data: parse(data, "file:/bench"), count)
    report("  read_lines", texts, lambda text: read_lines(text, 1, 100), count)
    report("  read_documents", texts, lambda text: careful(text, limits), count)
    report("  (yaml.CSafeLoader)", texts, loaded, count)
    for step in (check_envelope, presort, check_fields, fill_namespace, sanitize_annotations):
        report(step.__name__, entities, step, count)
    report("registry.validate", entities, registry.validate, count)
    report("registry.relations_of", entities, registry.relations_of, count)


def careful(text: str, limits: Limits) -> Any:
    try:
        return list(read_documents(text, 1, limits))
    except Exception:  # noqa: BLE001 (broken files are part of real folders)
        return None


def loaded(text: str) -> Any:
    try:
        return yaml.load(text, yaml.CSafeLoader)
    except yaml.YAMLError:
        return None


def report(name: str, things: Iterable[Any], step: Callable[[Any], Any], count: int) -> None:
    """Print how long `step` takes per entity."""
    best = min(timed(things, step) for _ in range(ROUNDS))
    print(f"{name:24} {best / count * 1e6:8.1f} µs")


def timed(things: Iterable[Any], step: Callable[[Any], Any]) -> float:
    start = time.perf_counter()
    for thing in things:
        step(thing)
    return time.perf_counter() - start


if __name__ == "__main__":
    main(*sys.argv[1:])
