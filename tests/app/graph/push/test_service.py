"""Pushed sources: versions, removals, problems and what readers see meanwhile."""

from __future__ import annotations

import threading

import orjson
import pytest

from app.catalog.rules import Allowed, Rule, Rules
from app.catalog.runs import Guard
from app.db.statements import Statements
from app.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from app.graph.push.pushed import Push, PushedSource
from app.graph.push.service import PushOptions, PushService
from app.web.errors import NamedError
from tests.app.graph.preview.repository import RepositoryPlatform

URL = "https://callboard.example.org/api/graph/sources/cmdb"
RULES = Rules((Rule(tuple(map(Allowed, ("Component", "API", "Group", "Location")))),))
PLAIN = PushOptions()
SKIP, FORCE = PushOptions(skips_invalid=True), PushOptions(is_forced=True)


def entity(name, kind="Component", annotations=None, **spec):
    values = {"type": "service", "lifecycle": "production", "owner": "team-a", **spec}
    if kind == "Group":
        values = {"type": "team", "children": [], **spec}
    if kind == "Location":
        values = spec
    metadata = {"name": name, **({"annotations": annotations} if annotations else {})}
    version = "backstage.io/v1alpha1"
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": values}


class Cmdb:
    """A source that is pushed."""

    def __init__(self, platform, **options):
        source = PushedSource(
            "cmdb",
            URL,
            frozenset({"cmdb-sync"}),
            options.get("rules", RULES),
            options.get("guard", Guard(0.5, 3)),
            options.get("max_entities", 30_000),
            1 << 20,
        )
        self.platform, self.source = platform, source
        self.service = PushService(
            platform.writer, platform.stitcher, platform.processor, {"cmdb": source}
        )

    def put(self, version, *entities, options=PLAIN):
        return self._push(Push(version, entities), options)

    def patch(self, base, version, *upsert, delete=(), options=PLAIN):
        return self._push(Push(version, upsert, delete, base), options)

    def _push(self, push, options):
        return self.service.push(self.source, push, "cmdb-sync", options)

    @property
    def names(self):
        return sorted(ref.partition("/")[2] for ref in self.platform.served())

    def count(self, table):
        return self.platform.rows(f"SELECT count(*) FROM {table}")[0][0]


@pytest.fixture
def platform(database, tmp_path):
    platform = RepositoryPlatform(database, tmp_path)
    yield platform
    platform.snapshots.close()


@pytest.fixture
def cmdb(platform):
    return Cmdb(platform)


def refusal(error):
    return [(problem["pointer"], problem["name"]) for problem in error.value.properties["problems"]]


# -- versions -------------------------------------------------------------------------------------


def test_what_is_pushed_is_served_at_once_with_its_relations(cmdb, platform):
    receipt = cmdb.put(1, entity("web", owner="team-a"), entity("team-a", "Group"))

    assert (receipt.is_applied, receipt.counts.written, receipt.changed) == (True, 2, 2)
    assert cmdb.names == ["team-a", "web"]
    web, team = (
        platform.served()[f"{ref}"] for ref in ("component:default/web", "group:default/team-a")
    )
    assert web["relations"] == [{"type": "ownedBy", "targetRef": "group:default/team-a"}]
    assert team["relations"] == [{"type": "ownerOf", "targetRef": "component:default/web"}]
    assert cmdb.count("stitch") == 0


def test_the_same_version_with_the_same_content_writes_nothing(cmdb, platform):
    cmdb.put(1, entity("web"))
    before = platform.everything()

    shuffled = dict(reversed(list(entity("web").items())))
    assert not cmdb.put(1, shuffled).is_applied
    assert platform.everything() == before


def test_the_same_content_in_a_new_version_changes_no_entity(cmdb):
    cmdb.put(1, entity("web"))
    changes = cmdb.count("change")

    receipt = cmdb.put(2, entity("web"))

    assert (receipt.is_applied, receipt.counts.unchanged, receipt.changed) == (True, 1, 0)
    assert cmdb.count("change") == changes
    assert cmdb.platform.rows("SELECT version FROM push") == [(2,)]


@pytest.mark.parametrize("version", [4, 5])
def test_a_version_that_is_not_newer_is_refused_with_the_current_one(cmdb, version):
    cmdb.put(5, entity("web"))
    with pytest.raises(NamedError, match="current version is 5") as error:
        cmdb.put(version, entity("other"))
    assert (error.value.status, error.value.properties) == (409, {"currentVersion": 5})
    assert cmdb.names == ["web"]


def test_a_new_set_removes_what_it_lacks(cmdb):
    cmdb.put(1, entity("web"), entity("api"))
    receipt = cmdb.put(2, entity("web"))
    assert receipt.counts.removed == 1
    assert cmdb.names == ["web"]


def test_a_delta_builds_on_the_version_it_names(cmdb):
    cmdb.put(1, entity("web"), entity("api"))

    receipt = cmdb.patch(1, 2, entity("job"), delete=["component:api", "component:never-there"])

    assert (receipt.counts.written, receipt.counts.removed) == (1, 1)
    assert cmdb.names == ["job", "web"]
    assert not cmdb.patch(
        1, 2, entity("job"), delete=["component:api", "component:never-there"]
    ).is_applied
    with pytest.raises(NamedError, match="builds on 1; the current version is 2") as error:
        cmdb.patch(1, 3, entity("late"))
    assert error.value.properties == {"currentVersion": 2}


def test_a_first_delta_builds_on_nothing(cmdb):
    cmdb.patch(0, 1, entity("web"))
    assert cmdb.names == ["web"]


# -- what is not right ----------------------------------------------------------------------------


def test_a_push_with_problems_is_refused_with_every_one_of_them(cmdb):
    bad_name = entity("not a name")
    no_owner = entity("web")
    del no_owner["spec"]["owner"]
    with pytest.raises(NamedError) as error:
        cmdb.put(1, entity("fine"), bad_name, no_owner, {"kind": "Component"}, entity("fine"))
    assert error.value.status == 400
    assert refusal(error) == [
        ("/entities/1/metadata/name", "InputError"),
        ("/entities/2/spec", "InputError"),
        ("/entities/3", "TypeError"),
        ("/entities/4", "ConflictError"),
    ]
    assert cmdb.names == []
    assert cmdb.count("push") == 0


def test_a_refused_push_is_remembered_as_a_run_that_failed(cmdb):
    with pytest.raises(NamedError):
        cmdb.put(1, {"kind": "Component"})
    ((source, state, error),) = cmdb.platform.rows("SELECT source, state, error FROM run")
    assert (source, state) == ("push:cmdb", "failed")
    assert "/entities/0" in error


def test_what_is_not_valid_can_be_skipped_and_keeps_what_it_was(cmdb, platform):
    cmdb.put(1, entity("web"), entity("api"))
    broken, envelope = entity("web"), {**entity("api"), "apiVersion": 7}
    del broken["spec"]["owner"]

    receipt = cmdb.put(2, broken, envelope, entity("job"), options=SKIP)

    assert [p.pointer for p in receipt.problems] == ["/entities/0/spec", "/entities/1/apiVersion"]
    assert cmdb.names == ["api", "job", "web"]
    web = platform.served()["component:default/web"]
    assert web["spec"]["owner"] == "team-a"
    assert "owner" in web["status"]["items"][0]["message"]


def test_kinds_that_the_rules_leave_out_are_refused(cmdb):
    with pytest.raises(NamedError) as error:
        cmdb.put(1, entity("shop", "Domain"))
    assert refusal(error) == [("/entities/0/kind", "NotAllowedError")]


def test_refs_to_delete_are_checked(cmdb):
    with pytest.raises(NamedError) as error:
        cmdb.patch(0, 1, entity("web"), delete=["web", "component:web"])
    assert refusal(error) == [("/delete/0", "InputError"), ("/delete/1", "ConflictError")]


def test_too_many_entities_and_too_deep_ones_are_refused(platform):
    cmdb = Cmdb(platform, max_entities=1)
    with pytest.raises(InputError, match="at most 1 entities"):
        cmdb.put(1, entity("a"), entity("b"))
    deep = []
    for _ in range(200):
        deep = [deep]
    with pytest.raises(NamedError, match="nested more than"):
        cmdb.put(1, entity("a", more=deep))


def test_a_mass_removal_has_to_be_meant(cmdb):
    cmdb.put(1, *(entity(f"n{number}") for number in range(6)))
    with pytest.raises(ConflictError, match="would lose 5 of its 6 entities"):
        cmdb.put(2, entity("n0"))
    with pytest.raises(ConflictError, match="force=true"):
        cmdb.patch(1, 2, delete=[f"component:n{number}" for number in range(4)])
    assert len(cmdb.names) == 6

    assert cmdb.put(2, entity("n0"), options=FORCE).counts.removed == 5


# -- places and names -----------------------------------------------------------------------------


def test_an_entity_says_where_it_was_found_and_otherwise_it_was_here(cmdb, platform):
    said = {"backstage.io/managed-by-location": "url:https://cmdb.example.org/items/7"}
    wrong = {"backstage.io/managed-by-location": "file:/etc/passwd"}
    cmdb.put(1, entity("a", annotations=said), entity("b", annotations=wrong), entity("c"))
    places = [
        platform.served()[f"component:default/{name}"]["metadata"]["annotations"] for name in "abc"
    ]
    found = [place["backstage.io/managed-by-location"] for place in places]
    assert found == ["url:https://cmdb.example.org/items/7", f"url:{URL}", f"url:{URL}"]
    assert {place["backstage.io/managed-by-origin-location"] for place in places} == {f"url:{URL}"}


def test_a_source_cannot_take_a_name_over_by_naming_the_place_of_another(cmdb, platform):
    from tests.app.graph.preview.repository import BASE, document

    platform.repository.files["a.yaml"] = document("web")
    platform.root("a.yaml")
    said = {"backstage.io/managed-by-location": f"url:{BASE}a.yaml"}

    receipt = cmdb.put(1, entity("web", annotations=said, owner="thief"))

    assert platform.served()["component:default/web"]["spec"]["owner"] == "team-a"
    assert receipt.conflicts == [
        f"component:default/web is already described by url:{BASE}a.yaml, which keeps the name"
    ]


def test_a_pushed_location_is_read_by_the_worker(cmdb, platform):
    from tests.app.graph.preview.repository import BASE, document

    platform.repository.files["a.yaml"] = document("web")
    cmdb.put(1, entity("all", "Location", type="url", target=f"{BASE}a.yaml"))
    assert cmdb.names == []
    platform.work()
    assert cmdb.names == ["all", "web"]


def test_what_others_wait_to_have_stitched_is_left_to_them(cmdb, platform):
    cmdb.put(1, entity("web"), entity("team-a", "Group"))
    with platform.database.begin() as connection:
        sql = Statements.on(connection)
        sql.execute(
            "INSERT INTO stitch (ref_id, cause) SELECT id, '{}' FROM ref WHERE ref LIKE 'g%'"
        )
    cmdb.put(2, entity("web", lifecycle="old"), entity("team-a", "Group"))
    assert cmdb.count("stitch") == 1


# -- who may --------------------------------------------------------------------------------------


def test_only_configured_sources_may_be_pushed_and_only_by_those_named(cmdb):
    assert cmdb.service.find("push:cmdb") is cmdb.service.find("cmdb")
    with pytest.raises(NotFoundError, match=r"callboard\.push\.sources"):
        cmdb.service.find("other")
    cmdb.service.admit(cmdb.source, "cmdb-sync")
    with pytest.raises(NotAllowedError, match="'ci' may not push to push:cmdb"):
        cmdb.service.admit(cmdb.source, "ci")


# -- at the same time -----------------------------------------------------------------------------


def test_of_two_pushes_of_one_version_one_is_stored(cmdb):
    barrier, outcomes = threading.Barrier(2), []

    def push(name):
        barrier.wait()
        try:
            outcomes.append(cmdb.put(1, entity(name)).is_applied)
        except NamedError as error:
            outcomes.append(error.status)

    threads = [threading.Thread(target=push, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes, key=str) == [409, True]
    assert len(cmdb.names) == 1


def test_readers_see_all_of_a_push_or_nothing(cmdb, platform):
    size = 4000
    cmdb.put(1, *(entity(f"n{number}", lifecycle="one") for number in range(size)))
    seen, stop = set(), threading.Event()

    def read():
        sql = "SELECT document FROM entity"
        while not stop.is_set():
            found = [orjson.loads(row[0]) for row in platform.rows(sql)]
            seen.add((len(found), *sorted({one["spec"]["lifecycle"] for one in found})))

    reader = threading.Thread(target=read)
    reader.start()
    changed = [entity(f"n{number}", lifecycle="two") for number in range(1000, size + 500)]
    cmdb.put(2, *changed, options=FORCE)
    stop.set()
    reader.join()
    read_after = platform.rows("SELECT count(*) FROM entity")[0][0]
    assert seen <= {(size, "one"), (size - 500, "two")}
    assert read_after == size - 500
