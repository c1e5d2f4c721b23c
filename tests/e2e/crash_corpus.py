"""Writing a catalog on disk that has everything an ingest can meet, of any size.

Departments are nested Locations, teams are folders of files below them. Entities refer to others in
files that are read much earlier or later. Some names are claimed twice, some are described twice in
one file, some entities and some files are not valid, some targets are missing. The same `seed` and
size always make the same catalog.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILES_PER_TEAM = 4
PER_FILE = 50
TEAMS_PER_DEPARTMENT = 5
KINDS = ["Component", "API", "Resource", "System", "Group", "User", "Location"]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Where the catalog is, and how many documents it has."""

    root: Path
    documents: int

    def configuration(self, *, database: dict[str, Any] | None = None, port: int = 0) -> str:
        """Answer an `app-config.yaml` that reads it; JSON is YAML."""
        backend: dict[str, Any] = {
            "listen": {"host": "127.0.0.1", "port": port},
            "auth": {"dangerouslyDisableDefaultAuthPolicy": True},
        }
        if database is not None:
            backend["database"] = database
        return json.dumps(
            {
                "backend": backend,
                "catalog": {
                    "rules": [{"allow": KINDS}],
                    "locations": [{"type": "file", "target": str(self.root / "all.yaml")}],
                    "processingInterval": "10 minutes",
                },
            }
        )


def write_corpus(root: Path, size: int, seed: int = 1) -> Corpus:
    """Write about `size` documents below `root`."""
    chance = random.Random(seed)
    teams = max(1, size // (FILES_PER_TEAM * PER_FILE))
    writer = _Writer(root, chance, teams)
    writer.write()
    return Corpus(root, writer.written)


class _Writer:
    def __init__(self, root: Path, chance: random.Random, teams: int) -> None:
        self.root, self.chance, self.teams = root, chance, teams
        self.written = 0

    def write(self) -> None:
        departments = range((self.teams + TEAMS_PER_DEPARTMENT - 1) // TEAMS_PER_DEPARTMENT)
        self._file(
            "all.yaml",
            [
                _location("all", "./org.yaml", "./gone.yaml"),
                _location("departments", *(f"./department-{n}/all.yaml" for n in departments)),
            ],
        )
        self._file("org.yaml", self._organisation())
        for number in departments:
            first = number * TEAMS_PER_DEPARTMENT
            teams = range(first, min(first + TEAMS_PER_DEPARTMENT, self.teams))
            folder = f"department-{number}"
            targets = [f"./team-{team}/*.yaml" for team in teams]
            self._file(f"{folder}/all.yaml", [_location(folder, *targets)])
            for team in teams:
                self._team(f"{folder}/team-{team}", team)

    def _organisation(self) -> Iterator[dict[str, Any]]:
        for team in range(self.teams):
            yield _entity("Group", f"team-{team}", type="team", children=[])
            yield _entity("User", f"lead-{team}", memberOf=[f"team-{team}"])
            yield _entity("System", f"system-{team}", owner=f"team-{team}")

    def _team(self, folder: str, team: int) -> None:
        for number in range(FILES_PER_TEAM):
            documents = [self._document(team, number * PER_FILE + n) for n in range(PER_FILE)]
            if number == 1:
                # Described once more in the same file: the later one counts.
                documents.append(self._component(team, PER_FILE, lifecycle="later"))
            self._file(f"{folder}/part-{number}.yaml", documents)
        if team % 7 == 3:
            path = self.root / folder / "broken.yaml"
            path.write_text("apiVersion: backstage.io/v1alpha1\nkind: [Component\n")

    def _document(self, team: int, number: int) -> dict[str, Any]:
        name = f"c-{team}-{number}"
        match number % 10:
            case 0:
                return _entity("API", f"api-{team}-{number}", type="openapi", definition="x" * 300,
                               lifecycle="live", owner=f"team-{team}")  # fmt: skip
            case 1:
                return _entity("Resource", name, type="database", owner=self._group())
            case 2 if number % 50 == 2:
                # The same name in every team of three: the first one read keeps it.
                return self._component(team, number, name=f"shared-{team // 3}-{number}")
            case 3 if number % 50 == 3:
                return _entity("Component", name, type="service", lifecycle=7)  # not valid
            case 4 if number % 50 == 4:
                return _entity("Component", f"{name}-{'x' * 70}", type="service")  # too long
        return self._component(team, number)

    def _component(
        self, team: int, number: int, name: str = "", lifecycle: str = "live"
    ) -> dict[str, Any]:
        peer = self.chance.randrange(self.teams)
        return _entity(
            "Component",
            name or f"c-{team}-{number}",
            type=self.chance.choice(["service", "website", "library"]),
            lifecycle=lifecycle,
            owner=self._group(),
            system=f"system-{team}",
            dependsOn=[
                f"component:c-{peer}-{self.chance.randrange(FILES_PER_TEAM * PER_FILE)}",
                f"resource:c-{peer}-{self.chance.randrange(FILES_PER_TEAM * 5) * 10 + 1}",
            ],
            consumesApis=[f"api-{peer}-{self.chance.randrange(FILES_PER_TEAM * 5) * 10}"],
        )

    def _group(self) -> str:
        return f"team-{self.chance.randrange(self.teams)}"

    def _file(self, name: str, documents: Iterator[dict[str, Any]] | list[dict[str, Any]]) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        texts = [json.dumps(document, indent=1) for document in documents]
        self.written += len(texts)
        path.write_text("\n---\n".join(texts) + "\n")


def _location(name: str, *targets: str) -> dict[str, Any]:
    return _entity("Location", name, targets=list(targets))


def _entity(kind: str, name: str, /, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "description": f"What is known of {name}", "tags": ["made", "up"]}
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
    }


def change_corpus(old: Path, new: Path) -> None:
    """Write below `new` what became of `old` some time later.

    Files that stay are the same files. Names change hands, entities move, come and go, what was
    broken is mended and something else breaks.
    """
    shutil.copytree(old, new, copy_function=os.link)
    for folder in sorted(new.glob("department-*/team-*")):
        team = int(folder.name.rpartition("-")[2])
        (folder / "broken.yaml").unlink(missing_ok=True)
        match team % 6:
            case 0:  # who has the shared names lets go of them
                _edit(folder / "part-0.yaml", lambda e: "shared" not in e["metadata"]["name"])
            case 1:
                (folder / "part-2.yaml").unlink()
            case 2:
                _edit(folder / "part-3.yaml", _is_kept)
            case 3:
                path = folder / "part-1.yaml"
                _rewrite(path, path.read_text().replace('"kind": "Component"', '"kind": [', 1))
            case 4:  # to another file, and to another Location
                target = new / f"department-{0 if team > TEAMS_PER_DEPARTMENT else 1}" / folder.name
                if target.parent.exists():
                    target.mkdir()
                    (folder / "part-3.yaml").rename(target / "part-3.yaml")
                    targets = _read(target.parent / "all.yaml")
                    targets[0]["spec"]["targets"].append(f"./{folder.name}/*.yaml")
                    _rewrite(target.parent / "all.yaml", json.dumps(targets[0]))


def _is_kept(entity: dict[str, Any]) -> bool:
    """Change an entity a little, now and then so that it is valid no more, or drop it."""
    number = sum(entity["metadata"]["name"].encode())
    if number % 5 == 0:
        entity["spec"]["owner"] = "team-0"
    elif number % 5 == 1:
        entity["metadata"]["tags"] = ["Not A Tag"]
    elif entity["spec"].get("lifecycle") == 7:
        entity["spec"].update(lifecycle="live", owner="team-1")
    return number % 5 != 2


def _edit(path: Path, keep: Callable[[dict[str, Any]], bool]) -> None:
    kept = [entity for entity in _read(path) if keep(entity)]
    _rewrite(path, "\n---\n".join(json.dumps(entity, indent=1) for entity in kept) + "\n")


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_text().split("\n---\n")]


def _rewrite(path: Path, text: str) -> None:
    """Write a new file: the old one is also part of the old catalog."""
    path.unlink()
    path.write_text(text)
