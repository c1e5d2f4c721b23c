"""What is applied later equals what was previewed, in pull requests made by chance.

Two things are decided by what is read first, and told apart here: which of several files that take
a free name at once gets it, and the origin of what several trees of Locations read in one place.

More of them:

    PREVIEW_EXAMPLES=500 python -m pytest tests/app/graph/test_preview_equals_effect.py
"""

from __future__ import annotations

import os
import random
import re
from collections import Counter, defaultdict

import orjson
import pytest

from app.catalog.processing import ORIGIN
from app.graph.differences import differences
from tests.app.graph.repository import BASE, RepositoryPlatform, document, documents

EXAMPLES = int(os.environ.get("PREVIEW_EXAMPLES", "16"))
SEED = int(os.environ.get("PREVIEW_SEED", "1"))
NAMES = [f"n{number}" for number in range(8)]
GROUPS = [f"g{number}" for number in range(4)]
PATHS = [
    "root.yaml",
    *(f"f{number}.yaml" for number in range(6)),
    *(f"d/{number}.yaml" for number in range(4)),
    *(f"git/{number}/catalog-info.yaml" for number in range(4)),
    *(f"loose/{number}.yaml" for number in range(3)),
    *(f"text{number}.txt" for number in range(2)),
]
TARGETS = [
    *("./f0.yaml", "./f1.yaml", "./f2.yaml", "/f3.yaml", "./d/*.yaml", "./missing.yaml"),
    *("./loose/0.yaml", "./d/0.yaml", "./git/0/catalog-info.yaml", f"{BASE}f4.yaml"),
]


class Author:
    """Writes files by chance; most of them are fine."""

    def __init__(self, seed):
        self.chance = random.Random(seed)  # noqa: S311 - nothing secret about it

    def file(self, path):
        if path.endswith(".txt"):
            return self.chance.choice(["one", "two", "three"])
        what = self.chance.random()
        if what < 0.04:
            return "apiVersion: [broken\n"
        if what < 0.08:
            return document("domain", kind="Domain")
        return documents(*(self.entity(path) for _ in range(self.chance.randint(1, 3))))

    def root(self):
        more = self.some(["./f2.yaml", "/f3.yaml", f"{BASE}f4.yaml", "./missing.yaml"], 3)
        targets = ["./f0.yaml", "./f1.yaml", "./d/*.yaml", *more]
        return document("all", kind="Location", targets=targets)

    def entity(self, path):
        choice, what = self.chance.choice, self.chance.random()
        if what < 0.2:
            return document(choice(GROUPS), kind="Group")
        if what < 0.35:
            # Of two files that it describes something in, the last would count.
            targets = [choice(TARGETS), *self.some(["./missing.yaml"], 1)]
            presence = choice(["required", "optional"])
            # A Location that several files of one parent describe is read again and again.
            is_shared = path.startswith(("git/", "loose/"))
            name = choice(["l0", "l1", "l2"]) if is_shared else f"l-{path.replace('/', '-')}"
            return document(name, kind="Location", targets=targets, presence=presence)
        if what < 0.45:
            definition = {"$text": choice(["./text0.txt", "./text1.txt", "./text2.txt"])}
            return document(choice(NAMES), kind="API", definition=definition)
        if what < 0.5:
            return document(choice(NAMES), owner=7)
        depends = [f"component:{name}" for name in self.some(NAMES, 2)]
        lifecycle = choice(["production", "experimental"])
        owner = choice(GROUPS)
        return document(choice(NAMES), owner=owner, lifecycle=lifecycle, dependsOn=depends)

    def some(self, values, most):
        return self.chance.sample(values, self.chance.randint(0, most))

    def change(self, files):
        changed = {}
        for path in self.chance.sample(PATHS, self.chance.randint(1, 4)):
            is_gone = path in files and path != "root.yaml" and self.chance.random() < 0.25
            changed[path] = None if is_gone else self.text(path, {**files, **changed})
        return changed

    def text(self, path, files):
        """Write a file in which nothing is described that another file of its parent describes."""
        if path == "root.yaml":
            return self.root()
        others = {p: text for p, text in files.items() if p != path and text and of_root(p)}
        while True:
            text = self.file(path)
            taken = {name for other in others.values() for name in named(other)}
            if not of_root(path) or not taken & set(named(text)):
                return text


def of_root(path):
    return path.startswith(("f", "d/"))


def named(text):
    return re.findall(r'"kind":"(\w+)","metadata":{"name":"([^"]+)"}', text)


class State:
    """What is served, and who says what."""

    def __init__(self, platform):
        self.served = platform.served()
        self.emissions = platform.rows(
            "SELECT r.ref, e.parent, e.source, e.location, e.claimed, e.document IS NOT NULL "
            "FROM emission e JOIN ref r ON r.id = e.ref_id"
        )

    @property
    def holders(self):
        return {
            ref: (parent, source)
            for ref, parent, source, _, is_claimed, _ in self.emissions
            if is_claimed
        }

    def shared(self):
        """Answer the refs that several trees find in one place."""
        counts = Counter((ref, location) for ref, _, _, location, _, _ in self.emissions)
        return {ref for (ref, _), count in counts.items() if count > 1}

    def is_raced_for(self, before):
        """Tell whether several places took a name that was free, or became so."""
        there = {(ref, parent, source) for ref, parent, source, *_ in self.emissions}
        places = defaultdict(set)
        for ref, _, _, location, _, is_valid in self.emissions:
            if is_valid:
                places[ref].add(location)
        held = {ref for ref, holder in before.holders.items() if (ref, *holder) in there}
        return any(len(found) > 1 and ref not in held for ref, found in places.items())


def same(document, ref, shared):
    """Leave out what is new in every writing, and what is a matter of order."""
    if document is None:
        return None
    metadata = {k: v for k, v in document["metadata"].items() if k not in {"uid", "etag"}}
    if ref in shared:
        metadata["annotations"] = {**metadata["annotations"], ORIGIN: ""}
    return {**document, "metadata": metadata}


def difference(before, after, shared):
    pairs = {
        ref: [same(side.get(ref), ref, shared) for side in (before, after)]
        for ref in before.keys() | after.keys()
    }
    return {ref: pair for ref, pair in pairs.items() if pair[0] != pair[1]}


def parsed(documents):
    return {ref: orjson.loads(document) for ref, document in documents.items()}


@pytest.mark.parametrize("keeps_orphans", [False, True])
def test_preview_equals_effect(database, tmp_path, keeps_orphans):
    platform = RepositoryPlatform(database, tmp_path, keeps_orphans=keeps_orphans)
    author = Author(SEED)
    files = platform.repository.files
    files |= {"root.yaml": author.root()}
    for path in PATHS[1:14]:
        files[path] = author.text(path, files)
    platform.provide()
    platform.root("root.yaml")
    platform.work()
    raced = 0
    for number in range(EXAMPLES // 2):
        changed = author.change(files)
        everything, before = platform.everything(), State(platform)
        found = platform.rehearse(changed)
        assert platform.everything() == everything, f"preview {number} left something behind"

        apply(platform, changed, found)
        after = State(platform)
        if after.is_raced_for(before):
            raced += 1
            continue
        shared = before.shared() | after.shared()
        expected = difference(parsed(found.before), parsed(found.after), shared)
        applied = difference(before.served, after.served, shared)
        wrong = {
            ref: [*differences(expected.get(ref), applied.get(ref))]
            for ref in expected.keys() | applied.keys()
            if expected.get(ref) != applied.get(ref)
        }
        assert not wrong, f"pull request {number}: {changed}"
    assert raced <= EXAMPLES // 4
    platform.snapshots.close()


def apply(platform, changed, found):
    """Merge a pull request, and have it read as sources, worker and callers do."""
    files = platform.repository.files
    for path, text in changed.items():
        files.pop(path, None)
        if text is not None:
            files[path] = text
    platform.provide()
    platform.work()
    for place in found.unknown:
        if place not in found.skipped:
            platform.registered.register("url", place.removeprefix("url:"), "refresh")
    platform.work()
