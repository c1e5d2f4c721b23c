"""What the graph comes to by the rules that are written down, the slow way: lists and loops.

The rules are those of docs/catalog-files.md, docs/locations.md and docs/push.md. Nothing here knows
how the catalog does it: every Location is read whole whenever it is looked at, and whoever is to
hold a name is looked for among all that anybody has said.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import count
from typing import Any, TypeAlias

ROOT, ORPHAN = "", "nobody"
REVERSE = {"ownedBy": "ownerOf", "dependsOn": "dependencyOf"}
Relation: TypeAlias = tuple[str, str]


@dataclass(frozen=True)
class Doc:
    """One document of a catalog file: an entity as its author wrote it."""

    kind: str
    name: str
    text: str = ""
    owner: str = ""
    depends: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()  # names of files, or patterns of them
    is_optional: bool = False
    is_valid: bool = True

    @property
    def ref(self) -> str:
        return f"{self.kind.lower()}:default/{self.name}"

    @property
    def relations(self) -> set[Relation]:
        owned = {("ownedBy", f"group:default/{self.owner}")} if self.owner else set()
        return owned | {("dependsOn", f"component:default/{name}") for name in self.depends}


@dataclass(frozen=True, order=True)
class Trouble:
    """What is wrong, and where; a notice is told, but is no failure."""

    what: str  # missing, broken, invalid; or taken, twice
    place: str
    ref: str = ""

    @property
    def is_notice(self) -> bool:
        return self.what in {"taken", "twice"}


@dataclass(frozen=True)
class Found:
    """A document, the file it stands in, and the place that was registered to lead there."""

    doc: Doc
    place: str
    origin: str


@dataclass(eq=False)
class Said:
    """One describes an entity: a source itself, or a Location that belongs to it."""

    age: int
    parent: str
    source: str
    newest: Found
    valid: Found | None = None
    holds: bool = False
    troubles: list[Trouble] = field(default_factory=list)

    @property
    def ref(self) -> str:
        return self.newest.doc.ref

    @property
    def is_root(self) -> bool:
        return self.parent in {ROOT, ORPHAN}


def generated(place: str) -> Found:
    """Make the Location that stands for a place that somebody named."""
    digest = hashlib.sha1(place.encode(), usedforsecurity=False).hexdigest()
    target = place.rpartition("/")[2]
    return Found(Doc("Location", f"generated-{digest}", targets=(target,)), place, place)


@dataclass
class Reference:
    """The graph, and the files it is read from.

    `files` has their documents, or None for one that is broken; `folders` is what stands before
    their names in a location of type `file` and of type `url`.
    """

    folders: Mapping[str, str]
    keeps_orphans: bool
    files: dict[str, tuple[Doc, ...] | None] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)
    # Locations that were read, and whether ever well; and those that are to be read again.
    read: dict[str, bool] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    ages: Any = field(default_factory=count)

    # -- looking ----------------------------------------------------------------------------------

    def of(self, ref: str) -> list[Said]:
        return [said for said in self.said if said.ref == ref]

    def holder(self, ref: str) -> Said | None:
        return next((said for said in self.of(ref) if said.holds), None)

    def roots_of(self, source: str) -> list[Said]:
        return [s for s in self.said if (s.parent, s.source) == (ROOT, source)]

    @property
    def held(self) -> dict[str, Said]:
        return {said.ref: said for said in self.said if said.holds}

    @property
    def served(self) -> dict[str, Said]:
        """A Location is shown once it could be read, anything else at once."""
        return {
            ref: said
            for ref, said in self.held.items()
            if not ref.startswith("location:") or self.read.get(ref)
        }

    def relations(self, ref: str) -> set[Relation]:
        """Both ends show a relation, whoever wrote it."""
        held = {r: said.valid.doc.relations for r, said in self.held.items() if said.valid}
        incoming = {(REVERSE[kind], r) for r, all_ in held.items() for kind, t in all_ if t == ref}
        return held.get(ref, set()) | incoming

    # -- describing -------------------------------------------------------------------------------

    def say(self, parent: str, source: str, found: Found) -> bool:
        """Describe an entity; tell whether that changes what is served.

        The first to describe it validly holds it. Descriptions from the same place share it, and
        one that says something new counts; one from elsewhere waits. What is not valid takes
        nothing, and loses nothing.
        """
        mine = self._own(parent, source, found.doc.ref)
        if mine is not None and mine.newest == found:
            return False
        if mine is None:
            mine = Said(next(self.ages), parent, source, found)
            self.said.append(mine)
        holder = self.holder(found.doc.ref)
        if (
            found.doc.is_valid
            and holder is not mine
            and (
                holder is None
                or holder.parent == ORPHAN
                or (holder.newest.place == found.place and holder.newest != found)
            )
        ):
            if holder is not None:
                holder.holds = False
            mine.holds = True
        if mine.holds:
            self._remove([s for s in self.of(mine.ref) if s.parent == ORPHAN and s is not mine])
        mine.newest = found
        mine.troubles = [] if found.doc.is_valid else [Trouble("invalid", found.place, mine.ref)]
        if found.doc.is_valid:
            mine.valid = found
        return mine.holds

    def drop(self, going: Iterable[Said], *, eager: bool) -> None:
        """Take descriptions back: another one from there takes over, or the oldest.

        Without one the entity goes, and with it all that only it led to. It stays as an orphan if
        orphans are kept, unless somebody removed it on purpose.
        """
        gone = list(going)
        while gone:
            self._remove(gone)
            for said in gone:
                if said.holds:
                    self._bequeath(said, eager=eager)
            gone = [said for said in self.said if not said.is_root and not self._leads(said.parent)]
        self.read = {ref: good for ref, good in self.read.items() if self.holder(ref)}

    def _bequeath(self, said: Said, *, eager: bool) -> None:
        heirs = [s for s in self.of(said.ref) if s.valid and self._stands_without(s, said.ref)]
        if heirs:
            place = said.newest.place
            min(heirs, key=lambda heir: (heir.newest.place != place, heir.age)).holds = True
        elif self.keeps_orphans and not eager:
            said.parent = ORPHAN
            self.said.append(said)

    def _own(self, parent: str, source: str, ref: str) -> Said | None:
        mine = (s for s in self.of(ref) if (s.parent, s.source) == (parent, source))
        return next(mine, None)

    def _remove(self, gone: Sequence[Said]) -> None:
        self.said = [said for said in self.said if said not in gone]

    def _leads(self, ref: str) -> bool:
        return self.holder(ref) is not None and ref in self._reached()

    def _stands_without(self, said: Said, ref: str) -> bool:
        return said.is_root or said.parent in self._reached(but=ref)

    def _reached(self, but: str = "") -> set[str]:
        """Walk from the roots; what a Location leads to cannot hold up the Location."""
        said = [one for one in self.said if one.ref != but]
        reached = {one.ref for one in said if one.is_root}
        for _ in said:
            reached |= {one.ref for one in said if one.parent in reached}
        return reached

    # -- sources ----------------------------------------------------------------------------------

    def source(self, name: str, all_found: Sequence[Found], spared: Iterable[str] = ()) -> None:
        """Take all that a source holds now; what it lacks goes, but for what is at spared places.

        The Locations among it are read at once.
        """
        latest = {found.doc.ref: found for found in all_found}
        for found in latest.values():
            self.say(ROOT, name, found)
        rows = self.roots_of(name)
        lacking = [s for s in rows if s.ref not in latest and s.newest.place not in set(spared)]
        self.drop(lacking, eager=True)
        self.visit(ref for ref in latest if ref.startswith("location:"))

    def push(self, name: str, all_found: Sequence[Found], deleted: set[str] | None = None) -> None:
        """Take what is pushed: everything, or with `deleted` a difference. Locations wait."""
        refs = {found.doc.ref for found in all_found}
        gone = [
            said
            for said in self.roots_of(name)
            if (said.ref not in refs if deleted is None else said.ref in deleted)
        ]
        for found in all_found:
            if self.say(ROOT, name, found) and found.doc.kind == "Location":
                self.asked.add(found.doc.ref)
        self.drop(gone, eager=True)

    # -- Locations --------------------------------------------------------------------------------

    def visit(self, refs: Iterable[str]) -> None:
        """Read Locations and those that they lead to, each once."""
        waiting, visited = deque(refs), set[str]()
        while waiting:
            ref = waiting.popleft()
            holder = self.holder(ref)
            if ref in visited or holder is None:
                continue
            visited.add(ref)
            if holder.newest.doc.is_valid:
                self._read(holder)
            below = sorted((s for s in self.said if s.parent == ref), key=lambda said: said.age)
            waiting.extend(s.ref for s in below if s.holds and s.ref.startswith("location:"))

    def _read(self, location: Said) -> None:
        """Read every file that a Location names; what they lack now goes.

        What is in a file that is broken stays as it was, and if a target is missing, so does all
        that is not in a file that could be read.
        """
        whole, broken, missing = self._look(location.newest)
        written, taken = self._share_out(location, whole, broken | missing)
        for found in written:
            self.say(location.ref, location.source, found)
        gone = [
            said
            for said in self.said
            if said.parent == location.ref
            and (said.ref not in {f.doc.ref for f in written} or said.source != location.source)
            and said.newest.place not in broken
            and (not missing or said.newest.place in whole)
        ]
        twice = [
            Trouble("twice", place, doc.ref)
            for place, docs in whole.items()
            for number, doc in enumerate(docs)
            if any(doc.ref == later.ref for later in docs[number + 1 :])
        ]
        failures = [Trouble("broken", place) for place in broken]
        failures += [Trouble("missing", place) for place in missing]
        is_good = self.read.get(location.ref, False) or bool(whole) or not failures
        self.read[location.ref] = is_good
        self.drop(gone, eager=False)
        location.troubles = sorted([*failures, *twice, *taken])

    def _look(self, found: Found) -> tuple[dict[str, tuple[Doc, ...]], set[str], set[str]]:
        """Answer the documents of what can be read, in order, what is broken, what is missing."""
        folder = self.folders[found.place.partition(":")[0]]
        whole, broken, missing = dict[str, tuple[Doc, ...]](), set[str](), set[str]()
        for target in found.doc.targets:
            names = sorted(name for name in self.files if fnmatchcase(name, target))
            if not names and not found.doc.is_optional:
                missing.add(folder + target)
            for name in names:
                docs = self.files[name]
                if docs is None:
                    broken.add(folder + name)
                else:
                    whole.setdefault(folder + name, docs)
        return whole, broken, missing

    def _share_out(
        self, location: Said, whole: Mapping[str, tuple[Doc, ...]], unread: set[str]
    ) -> tuple[list[Found], list[Trouble]]:
        """Decide which file of a Location has which name; answer what counts, and who lost.

        In a file the last one counts. The file that had a name keeps it as long as it has the
        entity or cannot be read; otherwise the first one in order gets it.
        """
        origin = location.newest.origin
        wants = {place: {doc.ref: doc for doc in docs} for place, docs in whole.items()}
        had = {
            s.ref: s.newest.place
            for s in self.said
            if (s.parent, s.source) == (location.ref, location.source) and s.valid
        }
        written, taken = list[Found](), list[Trouble]()
        for place, docs in wants.items():
            for ref, doc in docs.items():
                rivals = [other for other in wants if ref in wants[other]]
                if ref in had:
                    keeps = any(fnmatchcase(had[ref], one) for one in {*rivals, *unread})
                    first = had[ref] if keeps else rivals[0]
                else:
                    valid = (other for other in rivals if wants[other][ref].is_valid)
                    first = next(valid, rivals[0])
                if place != first:
                    taken.append(Trouble("taken", place, ref))
                if place == first or (ref not in had and place == rivals[0]):
                    # Until there is one that is valid, the first one is told of.
                    written.append(Found(doc, place, origin))
        return written, taken

    # -- callers ----------------------------------------------------------------------------------

    def register(self, ref: str, place: str) -> None:
        """Register a location, or point it elsewhere; it is read later."""
        doc = replace(generated(place).doc, name=ref.rpartition("/")[2])
        self.say(ROOT, "registered", Found(doc, place, place))
        self.asked.add(ref)

    def unregister(self, ref: str) -> None:
        self.drop(
            [s for s in self.of(ref) if (s.parent, s.source) == (ROOT, "registered")], eager=True
        )
        if self.of(ref):
            self.asked.add(ref)

    def delete(self, ref: str) -> None:
        """Delete an entity; who still leads to it brings it back, but for orphans."""
        rows = self.of(ref)
        self.drop(rows, eager=True)
        self.asked |= {said.parent for said in rows if not said.is_root}

    def refresh(self, ref: str) -> bool:
        """Have all Locations above an entity read again; tell whether it is known."""
        if all(said.parent == ORPHAN for said in self.of(ref)):
            return False
        above, frontier = set[str](), {ref}
        while frontier:
            above |= frontier
            frontier = {s.parent for s in self.said if s.ref in frontier and not s.is_root} - above
        self.asked |= {one for one in above if one.startswith("location:")}
        return True
