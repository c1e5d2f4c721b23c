"""What is applied later equals what was previewed, in pull requests made by chance.

More of them:

    PREVIEW_EXAMPLES=500 python -m pytest tests/app/graph/test_preview_equals_effect.py
"""

from __future__ import annotations

import os
import random
import re

import orjson
import pytest

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
        self.chance = random.Random(seed)

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
        targets = ["./f0.yaml", "./f1.yaml", "./d/*.yaml", *self.some(TARGETS, 4)]
        return document("all", kind="Location", targets=list(dict.fromkeys(targets)))

    def entity(self, path):
        choice, what = self.chance.choice, self.chance.random()
        if what < 0.2:
            return document(choice(GROUPS), kind="Group")
        if what < 0.35:
            targets = [choice(TARGETS) for _ in range(self.chance.randint(1, 3))]
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


def same(document):
    """Leave out what is new in every writing."""
    metadata = {k: v for k, v in document["metadata"].items() if k not in {"uid", "etag"}}
    return {**document, "metadata": metadata}


def difference(before, after):
    return {
        ref: [same(side[ref]) if ref in side else None for side in (before, after)]
        for ref in before.keys() | after.keys()
        if before.get(ref) != after.get(ref)
    }


def previewed(found):
    before = {ref: orjson.loads(document) for ref, document in found.before.items()}
    after = {ref: orjson.loads(document) for ref, document in found.after.items()}
    return difference(before, after)


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
    for number in range(EXAMPLES // 2):
        changed = author.change(files)
        state = platform.everything()
        found = platform.rehearse(changed)
        assert platform.everything() == state, f"preview {number} left something behind"

        before = platform.served()
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
        applied = difference(before, platform.served())
        expected = previewed(found)
        wrong = {
            ref: [*differences(expected.get(ref), applied.get(ref))]
            for ref in expected.keys() | applied.keys()
            if expected.get(ref) != applied.get(ref)
        }
        assert not wrong, f"pull request {number}: {changed}"
    platform.snapshots.close()
