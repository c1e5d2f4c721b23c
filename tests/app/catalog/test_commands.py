"""What callers may do: refresh, delete, and look at what could not be processed."""

from __future__ import annotations

import orjson
import pytest

from app.catalog.commands import CatalogCommands
from app.catalog.locations import generated
from app.db.statements import Statements
from app.errors import NotFoundError
from app.sync.store import SyncStore
from tests.app.catalog.platform import Platform, document
from tests.builders import ListIngestor, component, group

ONE = "component:default/one"
ROOT = """\
    apiVersion: backstage.io/v1alpha1
    kind: Location
    metadata: {name: root}
    spec: {targets: [./a/*.yaml]}
    """


@pytest.fixture
def platform(database, tmp_path):
    return Platform(database, tmp_path)


@pytest.fixture
def tree(platform):
    """A root that leads to a Location that leads to a file of two."""
    platform.write("root.yaml", ROOT)
    platform.write("a/all.yaml", document("one") + "---\n" + document("two"))
    platform.root("root.yaml")
    return platform


def asked(platform):
    """Answer the refs of Locations that wait to be read again."""
    rows = platform.rows("SELECT r.ref FROM refresh f JOIN ref r ON r.id = f.ref_id")
    return sorted(ref for (ref,) in rows)


def answer(platform):
    """Do what the background worker does with what was asked for."""
    with platform.database.begin() as connection:
        waiting = SyncStore(Statements.on(connection)).take_on("tests", 100)
    platform.ingest.locations(waiting)
    with platform.database.begin() as connection:
        SyncStore(Statements.on(connection)).answer("tests", waiting)
        SyncStore(Statements.on(connection)).let_go("tests")


def uid(platform, ref):
    return platform.served()[ref]["metadata"]["uid"]


# -- refresh --------------------------------------------------------------------------------------


def test_a_refresh_asks_for_every_location_up_to_the_root(tree):
    tree.commands.refresh(ONE)

    generated_root = tree.refs("location:default/generated-")
    assert asked(tree) == [*generated_root, "location:default/root"]


def test_a_refresh_of_a_location_asks_for_itself_too(tree):
    tree.commands.refresh("location:default/root")

    assert "location:default/root" in asked(tree)


def test_a_refresh_brings_what_changed(tree):
    tree.write("a/all.yaml", document("one", lifecycle="deprecated"))
    tree.commands.refresh(ONE)

    answer(tree)

    assert tree.served()[ONE]["spec"]["lifecycle"] == "deprecated"
    assert asked(tree) == []


def test_refreshing_what_has_no_location_asks_for_nothing(platform):
    platform.source(component("one"))

    platform.commands.refresh(ONE)

    assert asked(platform) == []


def test_what_was_read_but_never_served_can_be_refreshed(platform):
    platform.write("root.yaml", document("one", type=3))
    platform.root("root.yaml")

    platform.commands.refresh(ONE)

    assert len(asked(platform)) == 1


@pytest.mark.parametrize("ref", ["component:default/none", "group:default/team-a"])
def test_what_nobody_emits_cannot_be_refreshed(tree, ref):
    with pytest.raises(NotFoundError, match=f"Entity {ref} not found"):
        tree.commands.refresh(ref)


def test_an_orphan_cannot_be_refreshed(database, tmp_path):
    platform = Platform(database, tmp_path, keeps_orphans=True)
    path = platform.write("root.yaml", document("one") + "---\n" + document("two"))
    platform.root("root.yaml")
    path.write_text(document("two"))
    platform.root("root.yaml")
    assert ONE in platform.refs()

    with pytest.raises(NotFoundError):
        platform.commands.refresh(ONE)


def test_a_second_refresh_is_another_request_and_keeps_its_place(tree):
    tree.commands.refresh(ONE)
    first = tree.rows("SELECT ref_id, request, asked_at FROM refresh ORDER BY ref_id")
    tree.commands.refresh(ONE)
    second = tree.rows("SELECT ref_id, request, asked_at FROM refresh ORDER BY ref_id")

    assert [(row[0], row[2]) for row in second] == [(row[0], row[2]) for row in first]
    assert {row[1] for row in second}.isdisjoint({row[1] for row in first})


# -- delete ---------------------------------------------------------------------------------------


def test_what_was_deleted_is_gone_at_once(tree):
    tree.commands.delete(uid(tree, ONE))

    assert tree.refs("component") == ["component:default/two"]


def test_nobody_brings_back_what_is_deleted_before_it_is_gone(tree):
    before = uid(tree, ONE)

    class Late:
        """Stitches when a worker has read again what was asked for."""

        stitch_in = staticmethod(tree.stitcher.stitch_in)

        def stitch_all(self):
            answer(tree)

    CatalogCommands(tree.writer, Late()).delete(before)

    assert uid(tree, ONE) != before
    ends = [row[0] for row in tree.rows("SELECT operation FROM change c JOIN ref r "
            "ON r.id = c.entity_id WHERE r.ref = ? ORDER BY seq", ONE)]  # fmt: skip
    assert ends[-2:] == ["delete", "create"]


def test_what_was_deleted_comes_back_when_its_location_is_read_again(tree):
    before = uid(tree, ONE)
    tree.commands.delete(before)

    answer(tree)

    assert tree.refs("component") == [ONE, "component:default/two"]
    assert uid(tree, ONE) != before


def test_a_location_that_was_deleted_takes_its_tree_along_and_comes_back_with_it(tree):
    tree.commands.delete(uid(tree, "location:default/root"))
    assert tree.refs("component") == []
    assert len(tree.refs()) == 1

    answer(tree)

    assert tree.refs("component") == [ONE, "component:default/two"]


def test_what_a_source_emits_itself_comes_back_with_its_next_run(platform):
    platform.source(component("one"), group("g"))
    platform.commands.delete(uid(platform, ONE))
    assert platform.refs() == ["group:default/g"]

    platform.source(component("one"), group("g"))

    assert platform.refs() == [ONE, "group:default/g"]


def test_what_waited_for_the_name_is_deleted_with_it(platform):
    platform.source(component("one"), name="a")
    platform.source(component("one", location="url:https://elsewhere"), name="b")

    platform.commands.delete(uid(platform, ONE))

    assert platform.rows("SELECT * FROM emission") == []
    assert platform.rows("SELECT * FROM problem") == []


def test_two_emissions_of_one_parent_are_deleted_together(platform):
    """The same file by way of one Location that two sources emit."""
    path = platform.write("a.yaml", document("one"))
    root = generated("file", str(path))
    for name in ("a", "b"):
        platform.ingest.source(name, ListIngestor([root]))
    rows = platform.rows("SELECT parent FROM emission e JOIN ref r ON r.id = e.ref_id "
                         "WHERE r.ref = ?", ONE)  # fmt: skip
    assert len(set(rows)) == 1

    platform.commands.delete(uid(platform, ONE))
    answer(platform)

    assert platform.refs("component") == [ONE]


def test_an_orphan_can_be_deleted_for_good(database, tmp_path):
    platform = Platform(database, tmp_path, keeps_orphans=True)
    path = platform.write("root.yaml", document("one") + "---\n" + document("two"))
    platform.root("root.yaml")
    path.write_text(document("two"))
    platform.root("root.yaml")

    platform.commands.delete(uid(platform, ONE))
    platform.root("root.yaml")

    assert platform.refs("component") == ["component:default/two"]


def test_the_history_says_who_deleted_it(tree):
    tree.commands.delete(uid(tree, ONE), actor="user:default/ada")

    (cause,) = tree.rows("SELECT cause FROM change WHERE operation = 'delete'")
    assert orjson.loads(cause[0]) == {"actor": "user:default/ada"}


@pytest.mark.parametrize("uid", ["00000000-0000-7000-8000-000000000000", ""])
def test_deleting_what_does_not_exist_does_nothing(tree, uid):
    before = tree.rows("SELECT * FROM change")

    tree.commands.delete(uid)

    assert tree.rows("SELECT * FROM change") == before


# -- unprocessed entities -------------------------------------------------------------------------


def refs(items):
    return [item["entity_ref"] for item in items]


def test_what_never_was_valid_is_pending_with_its_errors(platform):
    platform.write("root.yaml", document("one", type=3) + "---\n" + document("two"))
    platform.root("root.yaml")

    (item,) = platform.commands.pending()

    assert item["entity_ref"] == ONE
    assert item["unprocessed_entity"]["spec"]["type"] == 3
    assert item["location_key"] == f"file:{platform.folder}/root.yaml"
    assert [error["name"] for error in item["errors"]] == ["InputError"]
    assert item["next_update_at"] is None
    assert item["last_discovery_at"].startswith("20")
    assert item["last_discovery_at"].endswith("Z")
    assert platform.commands.failed() == []


def test_what_is_served_although_its_newest_content_is_broken_has_failed(platform):
    path = platform.write("root.yaml", document("one"))
    platform.root("root.yaml")
    path.write_text(document("one", type=3))
    platform.root("root.yaml")

    (item,) = platform.commands.failed()

    assert item["entity_ref"] == ONE
    assert item["unprocessed_entity"]["spec"]["type"] == 3
    assert item["errors"][0]["name"] == "InputError"
    assert platform.commands.pending() == []

    path.write_text(document("one"))
    platform.root("root.yaml")
    assert platform.commands.failed() == []


def test_a_location_that_could_not_be_read_is_pending(platform):
    platform.root("absent.yaml")

    (item,) = platform.commands.pending()

    assert item["entity_ref"].startswith("location:default/generated-")
    assert item["unprocessed_entity"]["kind"] == "Location"
    assert "does not exist" in item["errors"][0]["message"]


def test_a_file_that_cannot_be_read_any_more_has_failed_with_line_and_column(platform):
    path = platform.write("a.yaml", document("one"))
    platform.root("a.yaml")
    platform.write("a.yaml", document("one") + "---\nkind: [unclosed\n")
    platform.root("a.yaml")

    (failed,) = platform.commands.failed()

    assert failed["entity_ref"].startswith("location:default/generated-")
    (error,) = failed["errors"]
    assert (error["name"], error["location"]) == ("Error", f"file:{path}")
    assert (error["line"], error["column"]) == (11, 1)
    assert ONE in platform.served()
    platform.write("a.yaml", document("one"))
    platform.root("a.yaml")
    assert platform.commands.failed() == []


def test_the_lists_can_be_limited_to_an_owner(platform):
    bad = [document("one", type=3), document("two", type=3, owner="team-b")]
    platform.write("root.yaml", "---\n".join(bad))
    platform.root("root.yaml")

    assert refs(platform.commands.pending("team-b")) == ["component:default/two"]
    assert len(platform.commands.pending()) == 2
    assert platform.commands.pending("nobody") == []


def test_an_owner_may_be_missing_from_what_is_broken(platform):
    platform.write("root.yaml", document("one").partition("spec:")[0] + "spec: none\n")
    platform.root("root.yaml")

    assert refs(platform.commands.pending()) == [ONE]
    assert platform.commands.pending("team-a") == []


def test_what_is_pending_can_be_removed(platform):
    platform.write("root.yaml", document("one", type=3) + "---\n" + document("two"))
    platform.root("root.yaml")
    (item,) = platform.commands.pending()

    platform.commands.forget(item["entity_id"])

    assert platform.commands.pending() == []
    assert platform.refs("component") == ["component:default/two"]


@pytest.mark.parametrize("entity_id", ["", "0", "999", "x", "-1", "\u00b2", "1e3", "9" * 40, "\0"])
def test_removing_what_is_not_there_does_nothing(platform, entity_id):
    platform.source(component("one"))

    platform.commands.forget(entity_id)

    assert platform.refs() == [ONE]
