"""Claims: who may say what an entity is, and what happens when they stop saying it."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest

from app.catalog.emission import Counts, Flaw, Parent
from app.catalog.store import GraphStore
from app.db.statements import Statements
from app.model.problem import Problem
from tests.app.catalog.write_side import HERE, THERE, Graph, emission

ONE, TWO = Parent("one"), Parent("two")
BROKEN = Flaw({"name": "InputError", "message": "no owner"}, Problem(HERE, "no owner"))


@pytest.fixture
def graph(database):
    return Graph(database)


WEB, API, TEAM = "component:default/web", "api:default/web", "group:default/team"


def test_what_is_written_is_served_with_relations_on_both_ends(graph):
    graph.write(ONE, emission(WEB, ("ownedBy", TEAM), ("dependsOn", API)), emission(TEAM))

    assert graph.relations(WEB) == [("dependsOn", API), ("ownedBy", TEAM)]
    assert graph.relations(TEAM) == [("ownerOf", WEB)]


def test_a_relation_to_nothing_appears_on_its_target_once_that_exists(graph):
    graph.write(ONE, emission(WEB, ("dependsOn", API)))
    graph.write(TWO, emission(API, location=THERE))

    assert graph.relations(API) == [("dependencyOf", WEB)]


def test_writing_the_same_again_writes_nothing(graph):
    graph.write(ONE, emission(WEB, ("ownedBy", TEAM)), emission(TEAM))
    before = graph.rows("SELECT * FROM change ORDER BY seq")

    counts, _ = graph.write(ONE, emission(WEB, ("ownedBy", TEAM)), emission(TEAM))

    assert (counts.unchanged, counts.written) == (2, 0)
    assert graph.rows("SELECT * FROM change ORDER BY seq") == before
    assert graph.rows("SELECT * FROM stitch") == []


def test_a_change_keeps_the_uid_and_changes_the_etag(graph):
    graph.write(ONE, emission(WEB))
    before = graph.served(WEB)["metadata"]

    graph.write(ONE, emission(WEB, text="v2"))

    after = graph.served(WEB)["metadata"]
    assert after["description"] == "v2"
    assert after["uid"] == before["uid"]
    assert after["etag"] != before["etag"]


def test_sequence_numbers_have_no_gaps_and_every_change_has_a_cause(graph):
    graph.write(ONE, emission(WEB, ("ownedBy", TEAM)), emission(TEAM))
    graph.write(ONE, emission(WEB, text="v2"))
    graph.drop(ONE, WEB)

    changes = graph.rows("SELECT seq, operation, cause FROM change ORDER BY seq")
    assert [seq for seq, _, _ in changes] == list(range(1, len(changes) + 1))
    assert changes[-1][1] in {"update", "delete"}
    assert all(orjson.loads(cause) or operation for _, operation, cause in changes)


def test_the_first_place_keeps_a_name_and_the_second_waits(graph):
    graph.write(ONE, emission(WEB, text="first"))

    counts, _ = graph.write(TWO, emission(WEB, text="second", location=THERE))

    assert counts.conflicts == 1
    assert graph.text(WEB) == "first"


def test_the_one_that_waits_takes_over_when_the_first_goes(graph):
    graph.write(ONE, emission(WEB, ("ownedBy", TEAM), text="first"))
    graph.write(TWO, emission(WEB, ("dependsOn", API), text="second", location=THERE))

    graph.drop(ONE, WEB)

    assert graph.text(WEB) == "second"
    assert graph.relations(WEB) == [("dependsOn", API)]


def test_an_invalid_entity_does_not_hold_its_name(graph):
    graph.write(ONE, emission(WEB, flaws=(BROKEN,)))
    assert graph.served(WEB) is None

    graph.write(TWO, emission(WEB, text="good", location=THERE))

    assert graph.text(WEB) == "good"


def test_what_is_removed_leaves_no_edge_though_something_invalid_waits_for_its_name(graph):
    graph.write(ONE, emission(WEB, ("ownedBy", TEAM)), emission(TEAM))
    graph.write(TWO, emission(WEB, ("ownedBy", TEAM), location=THERE, flaws=(BROKEN,)))

    graph.drop(ONE, WEB)
    assert graph.served(WEB) is None
    assert graph.relations(TEAM) == []

    graph.write(TWO, emission(WEB, ("ownedBy", TEAM), location=THERE))
    assert graph.relations(TEAM) == [("ownerOf", WEB)]


def test_an_entity_that_becomes_invalid_keeps_its_content_and_shows_the_error(graph):
    graph.write(ONE, emission(WEB, ("ownedBy", TEAM)))

    graph.write(ONE, emission(WEB, text="v2", flaws=(BROKEN,)))

    served = graph.served(WEB)
    assert served["metadata"]["description"] == "v1"
    assert served["status"]["items"][0]["message"] == "InputError: no owner"
    assert graph.relations(WEB) == [("ownedBy", TEAM)]


def test_an_entity_that_is_mended_loses_the_error(graph):
    graph.write(ONE, emission(WEB))
    graph.write(ONE, emission(WEB, flaws=(BROKEN,)))

    graph.write(ONE, emission(WEB))

    assert "status" not in graph.served(WEB)


def test_two_parents_that_emit_from_the_same_place_share_the_claim(graph):
    graph.write(ONE, emission(WEB))

    counts, _ = graph.write(TWO, emission(WEB))
    graph.drop(ONE, WEB)

    assert counts.conflicts == 0
    assert graph.text(WEB) == "v1"


def test_who_says_the_same_in_the_same_place_leaves_the_claim_where_it_is(graph):
    graph.write(ONE, emission(WEB))
    graph.write(TWO, emission(WEB))
    assert graph.rows("SELECT source FROM emission WHERE claimed") == [("one",)]

    counts, _ = graph.write(TWO, emission(WEB, text="newer"))
    assert counts.conflicts == 0
    assert graph.rows("SELECT source FROM emission WHERE claimed") == [("two",)]


def test_a_place_keeps_a_name_while_anybody_still_finds_it_there(graph):
    graph.write(ONE, emission(WEB, text="here"))
    graph.write(Parent("three"), emission(WEB, text="there", location=THERE))
    graph.write(TWO, emission(WEB, text="here"))

    graph.drop(ONE, WEB)

    assert graph.text(WEB) == "here"


def test_of_two_documents_with_one_name_the_last_counts(graph):
    graph.write(ONE, emission(WEB, text="first"), emission(WEB, text="last"))

    assert graph.text(WEB) == "last"


def test_removing_a_location_removes_all_that_only_it_led_to(graph):
    root = graph.location("one", "location:default/root")
    nested = graph.location("one", "location:default/nested", parent=root)
    graph.write(Parent("one", nested), emission(WEB))

    counts = graph.drop(ONE, "location:default/root")

    assert counts.removed == 3
    assert graph.rows("SELECT id FROM entity") == []
    assert graph.rows("SELECT id FROM emission") == []
    assert graph.rows("SELECT ref_id FROM reading") == []


def test_locations_that_only_name_each_other_go_with_their_root(graph):
    root = graph.location("one", "location:default/root")
    left = graph.location("one", "location:default/left", parent=root)
    right = graph.location("one", "location:default/right", parent=left)
    graph.write(
        Parent("one", right),
        emission("location:default/left", location=f"{HERE}#location:default/left"),
    )

    graph.drop(ONE, "location:default/root")

    assert graph.rows("SELECT id FROM entity") == []


def test_an_orphan_is_kept_and_marked_if_orphans_are_kept(database):
    graph = Graph(database, keeps_orphans=True)
    root = graph.location("one", "location:default/root")
    graph.write(Parent("one", root), emission(WEB))

    graph.drop(Parent("one", root), WEB)

    assert graph.served(WEB)["metadata"]["annotations"] == {"backstage.io/orphan": "true"}


def test_an_orphan_that_is_emitted_again_is_adopted(database):
    graph = Graph(database, keeps_orphans=True)
    root = graph.location("one", "location:default/root")
    graph.write(Parent("one", root), emission(WEB))
    uid = graph.served(WEB)["metadata"]["uid"]
    graph.drop(Parent("one", root), WEB)

    graph.write(TWO, emission(WEB, location=THERE))

    found = graph.served(WEB)["metadata"]
    assert "annotations" not in found
    assert found["uid"] == uid
    assert len(graph.rows("SELECT id FROM emission WHERE ref_id > 0")) == 2


def test_an_orphan_keeps_its_edges_and_what_it_leads_to(database):
    graph = Graph(database, keeps_orphans=True)
    root = graph.location("one", "location:default/root")
    nested = graph.location("one", "location:default/nested", parent=root)
    graph.write(Parent("one", nested), emission(WEB, ("ownedBy", TEAM)), emission(TEAM))

    graph.drop(Parent("one", root), "location:default/nested")

    assert "annotations" in graph.served("location:default/nested")["metadata"]
    assert "annotations" not in graph.served(WEB)["metadata"]
    assert graph.relations(TEAM) == [("ownerOf", WEB)]


def test_of_two_emissions_that_go_together_the_served_one_becomes_the_orphan(database):
    graph = Graph(database, keeps_orphans=True)
    one = graph.location("one", "location:default/one")
    two = graph.location("one", "location:default/two")
    graph.write(Parent("one", one), emission(WEB, ("ownedBy", TEAM), text="first"))
    graph.write(Parent("one", two), emission(WEB, text="second", location=THERE))

    with graph.writer.begin() as claims:
        ids = claims.store.known_refs([WEB])
        claims.release(claims.store.emissions_of(ids.values())[ids[WEB]], Counts(), why="{}")
    graph.stitcher.stitch_all()

    assert graph.text(WEB) == "first"
    assert graph.relations(WEB) == [("ownedBy", TEAM)]
    assert graph.rows("SELECT parent FROM emission WHERE ref_id = ?", ids[WEB]) == [(-1,)]


def test_an_orphan_stays_while_what_waits_for_its_name_is_not_valid(database):
    graph = Graph(database, keeps_orphans=True)
    graph.write(ONE, emission(WEB, text="kept"))
    graph.write(TWO, emission(WEB, location=THERE, flaws=(BROKEN,)))

    graph.drop(ONE, WEB)
    assert graph.text(WEB) == "kept"

    graph.write(TWO, emission(WEB, text="mended", location=THERE))
    assert graph.text(WEB) == "mended"
    assert len(graph.rows("SELECT id FROM emission")) == 1


def test_an_eager_removal_leaves_no_orphan(database):
    graph = Graph(database, keeps_orphans=True)
    graph.write(ONE, emission(WEB))

    graph.drop(ONE, WEB, eager=True)

    assert graph.served(WEB) is None


def test_one_new_member_of_a_large_group_adds_one_edge(graph):
    members = [(f"user:default/u{i}") for i in range(300)]
    graph.write(ONE, emission(TEAM, *(("hasMember", ref) for ref in members)))
    before = set(graph.rows("SELECT origin, type, target FROM relation"))

    more = [*members, "user:default/new"]
    graph.write(ONE, emission(TEAM, *(("hasMember", ref) for ref in more)))

    after = set(graph.rows("SELECT origin, type, target FROM relation"))
    assert len(after - before) == 1
    assert before - after == set()


def test_a_location_is_not_served_before_it_was_read(graph):
    graph.write(ONE, emission("location:default/root"))

    assert graph.served("location:default/root") is None


def test_a_location_that_says_something_else_is_read_whatever_it_holds(graph):
    root = graph.location("one", "location:default/root")
    place = f"{HERE}#location:default/root"

    graph.write(ONE, emission("location:default/root", location=place))
    assert graph.rows("SELECT fingerprint FROM reading") == [("{}",)]

    graph.write(ONE, emission("location:default/root", location=place, text="v2"))
    assert graph.rows("SELECT ref_id, fingerprint, good FROM reading") == [(root, "", True)]


def test_an_heir_that_is_a_location_is_read_whatever_the_other_one_held(graph):
    root = graph.location("one", "location:default/root")
    graph.write(TWO, emission("location:default/root", location=THERE))

    graph.drop(ONE, "location:default/root")

    assert graph.rows("SELECT ref_id, fingerprint FROM reading") == [(root, "")]


def test_places_may_have_any_characters(graph):
    odd = Flaw({"name": "Error", "message": "a\0b"}, Problem("url:a\0b", "a\0b", pointer="/\0"))

    graph.write(ONE, emission(WEB, location="url:a\0b"))
    graph.write(ONE, emission(WEB, location="url:a\0b", flaws=(odd,)))

    assert graph.served(WEB)["status"]["items"][0]["message"] == "Error: a\0b"


def test_two_emissions_cannot_both_hold_a_claim(database):
    with database.begin() as connection:
        store = GraphStore(Statements.on(connection))
        ids = store.ref_ids([WEB])
        row = (ids[WEB], emission(WEB), True)
        pack = lambda document: document  # noqa: E731
        store.insert_emissions(ONE, [row], pack, datetime.now(UTC))
        with pytest.raises(Exception, match=r"(?i)unique"):
            store.insert_emissions(TWO, [row], pack, datetime.now(UTC))
