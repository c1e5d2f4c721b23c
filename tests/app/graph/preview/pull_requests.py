"""Pull requests made by chance: what people do to the catalog files of a repository.

`root.yaml` is a configured location, a provider finds what is below `git/`, nothing reads what is
below `loose/` before a pull request gives it; all of them share names.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.app.graph.preview.repository import BASE, document, documents

NAMES = [f"n{number}" for number in range(8)]
GROUPS = [f"g{number}" for number in range(4)]
LOCATIONS = [f"l{number}" for number in range(5)]
TREE = [
    *(f"f{number}.yaml" for number in range(6)),
    *(f"d/{number}.yaml" for number in range(4)),
]
FILES = [
    *TREE,
    *(f"git/{number}/catalog-info.yaml" for number in range(4)),
    *(f"loose/{number}.yaml" for number in range(3)),
]
TEXTS = ["text0.txt", "text1.txt"]
TARGETS = [
    *("./f0.yaml", "./f1.yaml", "./f2.yaml", "/f3.yaml", "./d/*.yaml", "./missing.yaml"),
    *("/loose/0.yaml", "/d/0.yaml", "/git/0/catalog-info.yaml", f"{BASE}f4.yaml"),
]
Change = dict[str, str | None]


@dataclass(frozen=True)
class PullRequest:
    """What it is about, and the files as they will be; None where one is gone."""

    what: str
    changed: Change


class Author:
    """Writes files and changes them; most of them are fine."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - nothing secret about it
        self.habits: tuple[tuple[int, Callable[[Mapping[str, str]], Change]], ...] = (
            (6, self.write_anew),
            (3, self.add),
            (2, self.move_file),
            (3, self.move_entity),
            (2, self.copy_entity),
            (2, self.describe_twice),
            (2, self.drop_entity),
            (2, self.delete),
            (1, self.break_file),
            (1, self.retarget),
            (1, self.name_itself),
            (1, self.name_each_other),
        )

    def repository(self) -> dict[str, str]:
        """Write the files to begin with."""
        return {"root.yaml": self.root(), TEXTS[0]: "one", **{p: self.file(p) for p in FILES[:12]}}

    def pull_request(self, files: Mapping[str, str]) -> PullRequest:
        """Do one thing, or two."""
        weights = [weight for weight, _ in self.habits]
        chosen = self.chance.choices(self.habits, weights, k=self.chance.choice([1, 1, 2]))
        changed = Change()
        for _, habit in chosen:
            now = {p: text for p, text in {**files, **changed}.items() if text is not None}
            changed |= habit(now)
        what = " and ".join(habit.__name__ for _, habit in chosen)
        return PullRequest(what, dict(sorted(changed.items())))

    # -- what is done -----------------------------------------------------------------------------

    def write_anew(self, _: Mapping[str, str]) -> Change:
        paths = self.chance.sample([*FILES, *TEXTS], self.chance.randint(1, 4))
        return {path: self.file(path) for path in paths}

    def add(self, files: Mapping[str, str]) -> Change:
        path = self.chance.choice(FILES)
        return {path: documents(*_parts(files, path), self.entity(path))}

    def move_file(self, files: Mapping[str, str]) -> Change:
        path = self.there(files)
        return {path: None, self.chance.choice(FILES): files[path]} if path else {}

    def move_entity(self, files: Mapping[str, str]) -> Change:
        path, other = self.there(files), self.chance.choice(FILES)
        if not path or path == other:
            return {}
        *kept, moved = self.shuffled(_parts(files, path))
        return {path: documents(*kept), other: documents(*_parts(files, other), moved)}

    def copy_entity(self, files: Mapping[str, str]) -> Change:
        path, other = self.there(files), self.chance.choice(FILES)
        if not path:
            return {}
        copied = self.chance.choice(_parts(files, path))
        return {other: documents(*_parts(files, other), copied)}

    def describe_twice(self, files: Mapping[str, str]) -> Change:
        path = self.chance.choice(FILES)
        name = self.chance.choice(NAMES)
        twice = [document(name, owner=self.chance.choice(GROUPS)) for _ in range(2)]
        return {path: documents(*self.shuffled([*_parts(files, path), *twice]))}

    def drop_entity(self, files: Mapping[str, str]) -> Change:
        path = self.there(files)
        return {path: documents(*self.shuffled(_parts(files, path))[1:])} if path else {}

    def delete(self, files: Mapping[str, str]) -> Change:
        there = [path for path in files if path in FILES or path in TEXTS]
        count = min(len(there), self.chance.randint(1, 3))
        return dict.fromkeys(self.chance.sample(there, count))

    def break_file(self, files: Mapping[str, str]) -> Change:
        path = self.there(files)
        broken = ["apiVersion: [broken\n", document("domain", kind="Domain"), "- a list\n"]
        return {path: documents(*_parts(files, path), self.chance.choice(broken))} if path else {}

    def retarget(self, _: Mapping[str, str]) -> Change:
        return {"root.yaml": self.root()}

    def name_itself(self, files: Mapping[str, str]) -> Change:
        path = self.chance.choice(FILES)
        own = document(self.chance.choice(LOCATIONS), kind="Location", targets=[f"/{path}"])
        return {path: documents(*_parts(files, path), own)}

    def name_each_other(self, files: Mapping[str, str]) -> Change:
        one, other = self.chance.sample(FILES, 2)
        first, second = self.chance.sample(LOCATIONS, 2)
        return {
            one: documents(*_parts(files, one), _location(first, other)),
            other: documents(*_parts(files, other), _location(second, one)),
        }

    # -- what is written --------------------------------------------------------------------------

    def root(self) -> str:
        more = self.some(["./f2.yaml", "/f3.yaml", f"{BASE}f4.yaml", "./missing.yaml"], 3)
        targets = self.some(["./f0.yaml", "./f1.yaml", "./d/*.yaml"], 3, least=2)
        return document("all", kind="Location", targets=[*targets, *more])

    def file(self, path: str) -> str:
        if path in TEXTS:
            return self.chance.choice(["one", "two", "three"])
        if self.chance.random() < 0.05:
            return self.chance.choice(["apiVersion: [broken\n", document("domain", kind="Domain")])
        return documents(*(self.entity(path) for _ in range(self.chance.randint(1, 3))))

    def entity(self, path: str) -> str:
        choice, what = self.chance.choice, self.chance.random()
        if what < 0.2:
            return document(choice(GROUPS), kind="Group")
        if what < 0.35:
            targets = self.some([*TARGETS, f"/{path}"], 2, least=1)
            presence = choice(["required", "optional"])
            return document(choice(LOCATIONS), kind="Location", targets=targets, presence=presence)
        if what < 0.45:
            definition = {"$text": f"/{choice([*TEXTS, 'missing.txt'])}"}
            return document(choice(NAMES), kind="API", definition=definition)
        if what < 0.5:
            return document(choice(NAMES), owner=7)
        depends = [f"component:{name}" for name in self.some(NAMES, 2)]
        lifecycle = choice(["production", "experimental"])
        return document(choice(NAMES), owner=choice(GROUPS), lifecycle=lifecycle, dependsOn=depends)

    # -- chance -----------------------------------------------------------------------------------

    def there(self, files: Mapping[str, str]) -> str:
        return self.chance.choice([path for path in files if path in FILES and files[path]] or [""])

    def some(self, values: list[str], most: int, least: int = 0) -> list[str]:
        return self.chance.sample(values, self.chance.randint(least, most))

    def shuffled(self, values: list[str]) -> list[str]:
        return self.chance.sample(values, len(values))


def _parts(files: Mapping[str, str], path: str) -> list[str]:
    return [part for part in files.get(path, "").split("---\n") if part]


def _location(name: str, path: str) -> str:
    return document(name, kind="Location", targets=[f"/{path}"])
