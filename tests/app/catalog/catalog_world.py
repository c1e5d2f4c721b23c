"""A catalog on a real database with real files below it, driven as its services drive it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson

from app.catalog.change_store import ChangeStore
from app.catalog.locations import generated
from app.catalog.registered import RegisteredLocations
from app.catalog.runs import Guard
from app.db.statements import Statements
from app.errors import NotFoundError
from app.graph.changes.log import ChangeLog
from app.graph.push.pushed import Push, PushedSource
from app.graph.push.service import PushOptions, PushService
from app.model.entity import CatalogFile, Entity
from app.ports import Content, Reading
from app.scm.addresses import resolve_url
from app.scm.files import FileReader
from app.sync.store import SyncStore
from tests.app.catalog.platform import ALL_KINDS, Platform
from tests.app.catalog.reference_graph import Doc, Trouble

SITE, PUSHED = "https://files.example/", "https://callboard.example/api/graph/sources/cmdb"
BROKEN = {"no yaml": "kind: [unclosed", "no object": "- a\n- b\n", "refused": "User"}


@dataclass(frozen=True)
class FolderUrls:
    """A host whose files are those of a folder."""

    folder: Path

    def serves(self, url):
        return url.hostname == "files.example"

    def search(self, url, fingerprint=""):
        name = url.removeprefix(SITE)
        found = FileReader(self.folder).read(name, fingerprint)
        if found is None:
            return None
        contents = tuple(
            Content(f"url:{SITE}{c.location.removeprefix('file:')}", c.data) for c in found.contents
        )
        return Reading(contents, found.fingerprint)

    fetch = search

    def resolve(self, target, base):
        return resolve_url(target, base)

    def repository(self, url):
        return None


class World:
    """The catalog, the files, and what tests ask of both."""

    def __init__(self, database, folder, *, keeps_orphans):
        self.site = folder / "site"
        self.site.mkdir()
        self.folders = {"file": f"file:{self.site}/", "url": f"url:{SITE}"}
        self.platform = Platform(
            database, folder, keeps_orphans=keeps_orphans, urls=[FolderUrls(self.site)]
        )
        writer, stitcher = self.platform.writer, self.platform.stitcher
        processor = self.platform.processor
        self.ingest, self.commands = self.platform.ingest, self.platform.commands
        self.registered = RegisteredLocations(writer, stitcher, processor)
        self.pushed = PushedSource(
            "cmdb", PUSHED, frozenset({"cmdb"}), ALL_KINDS, Guard(), 1000, 1 << 20
        )
        self.pushes = PushService(writer, stitcher, processor, {"cmdb": self.pushed})
        self.version = 0

    # -- files ------------------------------------------------------------------------------------

    def write(self, name, docs):
        texts = [orjson.dumps(content(doc)).decode() for doc in docs]
        (self.site / name).write_text("\n---\n".join(texts))

    def spoil(self, name, how):
        text = BROKEN[how]
        if how == "refused":
            text = orjson.dumps(content(Doc("User", "u"))).decode()
        (self.site / name).write_text(text)

    def remove(self, name):
        (self.site / name).unlink()

    # -- what is done to it -----------------------------------------------------------------------

    def run_config(self, names):
        roots = [generated("file", f"{self.site}/{name}") for name in names]
        self.platform.source(*roots, name="config")

    def run_git(self, names):
        files = [CatalogFile(f"url:{SITE}{n}", (self.site / n).read_bytes()) for n in names]
        self.platform.source(*files, name="git")

    def run_list(self, all_found, *problems, breaks=False):
        items = [Entity(content(f.doc, absolute=True), f.place, 1) for f in all_found]
        self.platform.source(*items, *problems, name="list", breaks=breaks)

    def push(self, docs, deleted=None):
        entities = [content(doc, absolute=True) for doc in docs]
        base = None if deleted is None else self.version
        self.version += 1
        push = Push(self.version, entities, sorted(deleted or ()), base)
        return self.pushes.push(self.pushed, push, "cmdb", PushOptions(skips_invalid=True))

    def register(self, target):
        made = self.registered.register("url", target, "refresh")
        self.platform.stitcher.stitch_all()
        return made

    def move(self, location_id, target):
        self.registered.move(location_id, "url", target)
        self.platform.stitcher.stitch_all()

    def restore(self):
        self.registered.restore()
        self.platform.stitcher.stitch_all()

    def refresh(self, ref):
        try:
            self.commands.refresh(ref)
        except NotFoundError:
            return False
        return True

    def delete(self, ref):
        self.commands.delete(self.platform.served()[ref]["metadata"]["uid"])

    def read(self, refs):
        """Read Locations, as the worker does from time to time."""
        ids = dict(self.platform.rows("SELECT ref, id FROM ref"))
        self.ingest.locations([ids[ref] for ref in refs])

    def answer(self):
        """Read what was asked for, as the worker does; answer what that was, in order."""
        with self.platform.database.begin() as connection:
            asked = SyncStore(Statements.on(connection)).take_on("tests", 100)
        if asked:
            self.ingest.locations(asked)
        with self.platform.database.begin() as connection:
            SyncStore(Statements.on(connection)).answer("tests", asked)
        refs = dict(self.platform.rows("SELECT id, ref FROM ref"))
        return [refs[ref_id] for ref_id in asked]

    # -- what it is -------------------------------------------------------------------------------

    def asked(self):
        sql = "SELECT r.ref FROM refresh f JOIN ref r ON r.id = f.ref_id"
        return {ref for (ref,) in self.platform.rows(sql)}

    def readings(self):
        sql = "SELECT r.ref, l.good FROM reading l JOIN ref r ON r.id = l.ref_id ORDER BY r.id"
        return {ref: bool(good) for ref, good in self.platform.rows(sql)}

    def emissions(self):
        """Answer who describes what: (ref, parent, source, place, does it hold, was it valid)."""
        sql = (
            "SELECT r.ref, e.parent, coalesce(p.ref, ''), e.source, e.location, e.claimed, "
            "e.document IS NOT NULL, e.id FROM emission e JOIN ref r ON r.id = e.ref_id "
            "LEFT JOIN ref p ON p.id = e.parent"
        )
        return {
            (ref, "nobody" if parent < 0 else above, source, place, bool(holds), bool(valid)): row
            for ref, parent, above, source, place, holds, valid, row in self.platform.rows(sql)
        }

    def troubles(self):
        """Answer what is wrong, by the emission that has it."""
        sql = "SELECT emission_id, location, error, notice FROM problem ORDER BY id"
        found = {}
        for row, place, error, notice in self.platform.rows(sql):
            trouble = _trouble(place, orjson.loads(error))
            assert trouble.is_notice == bool(notice)
            found.setdefault(row, []).append(trouble)
        return {row: sorted(some) for row, some in found.items()}

    def waiting(self):
        return self.platform.rows("SELECT ref_id FROM stitch")

    def changes(self, since):
        """Answer what the feed tells since a change: (number, ref, operation, document)."""
        with self.platform.database.snapshot() as connection:
            log = ChangeLog(Statements.on(connection), self.platform.writer.codec)
            rows = log.after(since, 10_000)
            documents = ChangeStore(log.sql, log.codec).documents([row.seq for row in rows])
        return [(row.seq, row.ref, row.operation, documents.get(row.seq)) for row in rows]


def content(doc, *, absolute=False):
    """Write an entity; one that is not valid lacks what its kind must have."""
    spec = {
        "Component": {"type": "service", "owner": doc.owner, "dependsOn": [
            f"component:{name}" for name in doc.depends
        ]},
        "Group": {"children": []},
        "User": {"memberOf": []},
        "Location": {"targets": [(SITE if absolute else "./") + name for name in doc.targets]},
    }[doc.kind]  # fmt: skip
    if doc.kind == "Location":
        spec |= {"presence": "optional"} if doc.is_optional else {}
        spec |= {"type": "url"} if absolute else {}
        spec |= {} if doc.is_valid else {"type": 5}
    elif doc.is_valid:
        spec |= {"lifecycle": "production"} if doc.kind == "Component" else {"type": "team"}
    metadata = {"name": doc.name, "description": doc.text}
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": doc.kind,
        "metadata": metadata,
        "spec": spec,
    }


def _trouble(place, error):
    message, ref = error["message"], error.get("ref", "")
    if "is already described by" in message:
        return Trouble("taken", place, ref)
    if "is described again" in message:
        return Trouble("twice", place, ref)
    if "does not exist" in message or "no matching files" in message:
        return Trouble("missing", place)
    if "threw an error while validating the entity" in message:
        return Trouble("invalid", place, message.partition("entity ")[2].partition(";")[0])
    return Trouble("broken", place)
