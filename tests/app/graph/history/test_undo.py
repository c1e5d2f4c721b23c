"""Undoing: what an author had written is served again, until something else is said."""

from __future__ import annotations

import orjson
import pytest

from app.catalog import restoring
from app.catalog.change_store import ChangeStore
from app.catalog.emission import Counts, Parent
from app.catalog.restoring import authored
from app.db.leases import Leases
from app.db.statements import Statements
from app.errors import ConflictError, InputError, NotFoundError, UpstreamError
from app.graph.history.undo import Undo
from app.model.query import EVERYTHING, equals
from app.sync.service import Source, SyncService
from tests.app.catalog.platform import Platform, document
from tests.builders import ListIngestor, api, component, group

WEB, API, TEAM = "component:default/web", "api:default/rest", "group:default/team-a"


@pytest.fixture
def platform(database, tmp_path):
    return Platform(database, tmp_path)


@pytest.fixture
def undo(platform):
    return Undo(platform.writer, platform.stitcher)


def changes(platform, ref=WEB):
    rows = platform.rows(
        "SELECT c.seq, c.operation, c.cause FROM change c JOIN ref r ON r.id = c.entity_id "
        "WHERE r.ref = ? ORDER BY c.seq", ref,
    )  # fmt: skip
    return [(seq, operation, orjson.loads(cause)) for seq, operation, cause in rows]


def last(platform, ref=WEB):
    return changes(platform, ref)[-1][0]


def lifecycle(platform):
    return platform.served()[WEB]["spec"]["lifecycle"]


def version(lifecycle):
    entity = component("web")
    return type(entity)(
        {**entity.data, "spec": {**entity.data["spec"], "lifecycle": lifecycle}}, entity.location
    )


# -- one change -----------------------------------------------------------------------------------


def test_an_update_is_taken_back_and_survives_the_same_content(platform, undo):
    platform.source(version("production"))
    before = platform.served()[WEB]
    platform.source(version("deprecated"))

    undone = undo.change(last(platform), actor="user:default/ada")

    assert platform.served()[WEB] == before
    assert undone["undone"] == [
        {
            "entityRef": WEB,
            "operation": "update",
            "seq": 2,
            "changes": [
                {
                    "op": "changed",
                    "pointer": "/spec/lifecycle",
                    "from": "deprecated",
                    "to": "production",
                }
            ],
        }
    ]
    assert undone["dryRun"] is False
    assert changes(platform)[-1] == (3, "update", {"actor": "user:default/ada", "undo": "2"})

    platform.source(version("deprecated"))
    assert lifecycle(platform) == "production"
    platform.source(version("experimental"))
    assert lifecycle(platform) == "experimental"


def test_undoing_what_was_undone_does_it_again(platform, undo):
    platform.source(version("production"))
    platform.source(version("deprecated"))
    after = platform.served()[WEB]

    undo.change(last(platform))
    undo.change(last(platform))

    assert platform.served()[WEB] == after
    platform.source(version("deprecated"))
    assert platform.served()[WEB] == after


def test_what_was_created_goes_and_comes_back_with_other_content(platform, undo):
    platform.source(version("production"))

    undo.change(1)

    assert platform.refs() == []
    assert [operation for _, operation, _ in changes(platform)] == ["create", "delete"]
    platform.source(version("production"))
    assert platform.refs() == []
    (pending,) = platform.commands.pending()
    assert pending["entity_ref"] == WEB
    assert pending["unprocessed_entity"]["spec"]["lifecycle"] == "production"

    platform.source(version("deprecated"))
    assert lifecycle(platform) == "deprecated"
    assert platform.commands.pending() == []


def test_what_was_created_and_taken_back_is_made_again_as_it_was(platform, undo):
    platform.source(version("production"), group("team-a"))
    served = platform.served()
    undo.change(last(platform))
    assert platform.refs() == [TEAM]
    assert platform.served()[TEAM]["relations"] == []

    undo.change(last(platform))

    assert lifecycle(platform) == "production"
    assert without_identity(platform.served()) == without_identity(served)
    parents = platform.rows("SELECT DISTINCT parent FROM emission")
    assert parents == [(0,)]


def test_what_was_removed_comes_back_as_an_orphan_until_somebody_emits_it(platform, undo):
    platform.source(version("production"), group("team-a"))
    served = without_identity(platform.served())
    platform.source(group("team-a"))
    assert platform.refs() == [TEAM]

    undone = undo.change(last(platform))

    assert undone["undone"][0]["operation"] == "create"
    back = platform.served()[WEB]
    assert back["metadata"]["annotations"].pop("backstage.io/orphan") == "true"
    assert without_identity({**platform.served(), WEB: back}) == served

    platform.source(group("team-a"))
    assert WEB in platform.refs()
    platform.source(version("production"), group("team-a"))
    assert without_identity(platform.served()) == served
    assert platform.rows("SELECT DISTINCT parent FROM emission") == [(0,)]


def test_a_removal_that_was_taken_back_is_done_again(platform, undo):
    platform.source(version("production"))
    platform.source()
    undo.change(last(platform))
    undo.change(last(platform))
    assert platform.refs() == []
    assert platform.rows("SELECT * FROM emission") == []

    undo.change(last(platform))
    assert platform.refs() == [WEB]


def without_identity(served):
    return {
        ref: {
            **data,
            "metadata": {k: v for k, v in data["metadata"].items() if k not in {"uid", "etag"}},
        }
        for ref, data in served.items()
    }


def test_nothing_is_written_by_looking(platform, undo):
    platform.source(version("production"))
    platform.source(version("deprecated"))
    before = platform.rows("SELECT count(*), max(seq) FROM change")

    looked = undo.change(2, is_dry_run=True)

    assert looked["dryRun"] is True
    assert platform.rows("SELECT count(*), max(seq) FROM change") == before
    assert lifecycle(platform) == "deprecated"
    assert {**undo.change(2), "dryRun": True} == looked


def test_what_has_changed_since_is_left_alone(platform, undo):
    for value in ("production", "deprecated", "experimental"):
        platform.source(version(value))

    with pytest.raises(ConflictError, match="changed since, last with change 3"):
        undo.change(2)
    assert lifecycle(platform) == "experimental"


def test_a_change_of_relations_alone_keeps_nothing_from_being_undone(platform, undo):
    platform.source(group("team-a"))
    platform.source(group("team-a", type="tribe"))
    platform.source(group("team-a", type="tribe"), version("production"))
    (_, by_peer), *_ = [
        (seq, cause) for seq, _, cause in changes(platform, TEAM) if cause.get("by")
    ]
    assert by_peer["by"] == WEB

    undo.change(2)

    team = platform.served()[TEAM]
    assert team["spec"]["type"] == "team"
    assert [r["targetRef"] for r in team["relations"]] == [WEB]
    with pytest.raises(ConflictError, match="followed from another entity"):
        undo.change(next(s for s, _, c in changes(platform, TEAM) if c.get("by")))


class Asleep:
    """A stitcher that leaves the work to others, who do not get to it."""

    def stitch_all(self):
        return 0


def test_what_was_emitted_a_moment_ago_is_not_overwritten(platform):
    platform.source(version("production"))
    platform.source(version("deprecated"))
    newest = platform.processor.entity(version("experimental"), "url:https://git.example.org/x")
    with platform.writer.begin() as claims:
        claims.write(Parent("git"), [newest], Counts())

    with pytest.raises(ConflictError, match="changed at this moment"):
        Undo(platform.writer, Asleep()).change(2)
    with pytest.raises(ConflictError, match="changed since"):
        Undo(platform.writer, platform.stitcher).change(2)
    assert lifecycle(platform) == "experimental"


@pytest.mark.parametrize("seq", [0, 99, 1 << 62])
def test_changes_that_are_not_known_are_not_found(platform, undo, seq):
    with pytest.raises(NotFoundError, match=f"no change {seq}"):
        undo.change(seq)


def test_what_a_caller_may_not_see_is_not_there_for_them(platform, undo):
    platform.source(version("production"))
    platform.source(version("deprecated"))

    for visible in (equals("spec.lifecycle", "deprecated"), equals("kind", "api")):
        with pytest.raises(NotFoundError):
            undo.change(2, visible=visible)
    undo.change(2, visible=equals("kind", "component"))
    assert lifecycle(platform) == "production"


def test_an_authors_own_tag_and_status_are_kept():
    own = {"type": "mine", "level": "info", "message": "m"}
    data = {
        "kind": "Component",
        "metadata": {"name": "a", "etag": "by-hand", "uid": "u"},
        "status": {"items": [own, {"type": restoring.PROCESSING_STATUS}]},
        "relations": [],
    }
    assert authored(orjson.dumps(data)) == {
        "kind": "Component",
        "metadata": {"name": "a", "etag": "by-hand"},
        "status": {"items": [own]},
    }
    status = {"items": [], "more": 1}
    kept = {"metadata": {"name": "a"}, "status": status}
    assert authored(orjson.dumps(kept)) == kept


# -- Locations ------------------------------------------------------------------------------------


def test_a_location_comes_back_with_what_it_leads_to(platform, undo, tmp_path):
    platform.write("all.yaml", document("web") + "---\n" + document("shop"))
    platform.root("all.yaml")
    served = platform.refs()
    source = SyncService(
        Leases(platform.database), platform.ingest, {"config": Source("config", ListIngestor([]))}
    )
    source.run("config")
    assert platform.refs() == []

    undone = undo.source("config")

    assert sorted(step["entityRef"] for step in undone["undone"]) == served
    assert platform.refs() == served
    asked = [row[0] for row in platform.rows("SELECT ref_id FROM refresh")]
    assert len(asked) == 1
    platform.ingest.locations(asked)
    assert platform.refs() == served
    orphans = platform.rows("SELECT count(*) FROM emission WHERE parent = -1")
    assert orphans == [(1,)]  # the Location itself, which nobody names


def test_a_location_that_goes_takes_with_it_what_it_led_to(platform, undo):
    platform.write("all.yaml", document("web"))
    platform.root("all.yaml")
    location = next(ref for ref in platform.refs() if ref.startswith("location:"))

    undo.change(changes(platform, location)[0][0])

    assert platform.refs() == []
    assert platform.rows("SELECT * FROM reading") == []
    undo.change(last(platform, location))
    (asked,) = platform.rows("SELECT ref_id FROM refresh")
    platform.ingest.locations(asked)
    assert platform.refs() == [WEB, location]


# -- runs -----------------------------------------------------------------------------------------


class Sync:
    """A source whose items can be changed between its runs."""

    def __init__(self, platform):
        self.ingestor = ListIngestor([])
        self.service = SyncService(
            Leases(platform.database), platform.ingest, {"git": Source("git", self.ingestor)}
        )

    def run(self, *items):
        self.ingestor.items = items
        self.service.run("git")


@pytest.fixture
def sync(platform):
    return Sync(platform)


def test_the_last_run_of_a_source_is_taken_back_whole(platform, undo, sync):
    sync.run(version("production"), group("team-a"))
    before = without_identity(platform.served())
    sync.run(version("deprecated"), api("rest"))
    after = without_identity(platform.served())
    sync.run(version("deprecated"), api("rest"))  # changes nothing, and is no run to undo

    undone = undo.source("git", actor="user:default/ada")

    assert {step["entityRef"]: step["operation"] for step in undone["undone"]} == {
        WEB: "update", API: "delete", TEAM: "create",
    }  # fmt: skip
    assert undone["skipped"] == []
    back = without_identity(platform.served())
    back[TEAM]["metadata"]["annotations"].pop("backstage.io/orphan")
    assert back == before
    cause = changes(platform)[-1][2]
    assert cause == {
        "source": "git",
        "run": cause["run"],
        "actor": "user:default/ada",
        "undo": undone["run"],
    }

    again = undo.source("git")
    assert again["run"] == cause["run"]
    assert without_identity(platform.served()) == after


def test_every_change_of_a_run_says_so(platform, sync):
    sync.run(version("production"), group("team-a"))
    (run,) = platform.rows("SELECT id FROM run")
    causes = [cause for ref in (WEB, TEAM) for _, _, cause in changes(platform, ref)]
    assert {cause["run"] for cause in causes} == set(run)


def test_what_something_else_changed_since_is_skipped(platform, undo, sync):
    sync.run(version("production"), api("rest"))
    sync.run(version("deprecated"), api("rest", system="shop"))
    undo.change(last(platform))

    undone = undo.source("git")

    assert [step["entityRef"] for step in undone["undone"]] == [API]
    assert [item["entityRef"] for item in undone["skipped"]] == [WEB]
    assert lifecycle(platform) == "production"


def test_a_run_that_failed_half_way_is_taken_back_as_far_as_it_came(platform, undo, sync):
    sync.run(version("production"))
    sync.ingestor.breaks = True
    with pytest.raises(UpstreamError):
        # A batch was written when it broke.
        sync.run(version("deprecated"), *(component(f"c{n}") for n in range(500)))
    assert len(platform.refs()) == 500

    undone = undo.source("git")

    assert len(undone["undone"]) == 500
    assert platform.refs() == [WEB]
    assert lifecycle(platform) == "production"


def test_looking_at_a_run_writes_nothing(platform, undo, sync):
    sync.run(version("production"))
    sync.run()
    before = platform.rows("SELECT count(*) FROM run")

    looked = undo.source("git", is_dry_run=True)

    assert [step["operation"] for step in looked["undone"]] == ["create"]
    assert platform.rows("SELECT count(*) FROM run") == before
    assert platform.refs() == []


@pytest.mark.parametrize("name", ["nobody", "", "git\0", "%"])
def test_sources_without_a_run_are_not_found(platform, undo, sync, name):
    sync.run(version("production"))
    with pytest.raises(NotFoundError, match="No run of"):
        undo.source(name)


def test_a_run_that_changed_too_much_is_not_undone(platform, sync):
    sync.run(version("production"), api("rest"), group("team-a"))
    with pytest.raises(InputError, match="more than 2 entities"):
        Undo(platform.writer, platform.stitcher, most_changes=2).source("git")


def test_a_run_with_something_a_caller_may_not_see_is_not_undone(platform, undo, sync):
    sync.run(version("production"), api("rest"))
    with pytest.raises(NotFoundError):
        undo.source("git", visible=equals("kind", "api"))
    assert undo.source("git", visible=EVERYTHING)["undone"]


def test_the_history_stays_whole(platform, undo, sync):
    sync.run(version("production"))
    sync.run(version("deprecated"))
    undo.source("git")
    undo.source("git")

    with platform.database.snapshot() as connection:
        store = ChangeStore(Statements.on(connection), platform.writer.codec)
        span = store.span()
        documents = store.documents(range(1, span.newest + 1))
    assert span.newest == 4
    lifecycles = [orjson.loads(d)["spec"]["lifecycle"] for _, d in sorted(documents.items())]
    assert lifecycles == ["production", "deprecated", "production", "deprecated"]
