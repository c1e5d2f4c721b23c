"""Explanations on a real database and real files."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.catalog.locations import generated
from app.catalog.snapshot import Snapshots
from app.errors import NotFoundError
from app.graph.explain.known import Schedule
from app.graph.explain.service import Explainer
from app.model.query import equals
from tests.app.catalog.platform import Platform, document
from tests.builders import component, group

ROOT = """\
    apiVersion: backstage.io/v1alpha1
    kind: Location
    metadata: {name: root}
    spec: {targets: [./a.yaml]}
    """
WEB = "component:default/web"


@pytest.fixture
def platform(database, tmp_path):
    return Platform(database, tmp_path)


def explainer(platform, **schedule):
    processor = platform.processor
    return Explainer(
        Snapshots(platform.database),
        platform.writer.codec,
        processor.kinds,
        processor.readers,
        Schedule(**schedule),
    )


def explain(platform, ref, *visible, **schedule):
    found = explainer(platform, **schedule)
    try:
        return found.explain(ref, *visible)
    finally:
        found.snapshots.close()


def said(explanation):
    return "\n".join(explanation["summary"])


# -- what is served -------------------------------------------------------------------------------


def test_a_served_entity_has_its_place_its_source_and_the_way_between(platform):
    path = platform.write("a.yaml", document("web"))
    platform.root("a.yaml")

    found = explain(
        platform, WEB, sources={"config": timedelta(minutes=5)}, files=timedelta(seconds=5)
    )

    (claim,) = found["claims"]
    (link,) = claim["via"]
    assert (found["state"], claim["role"]) == ("served", "served")
    assert (claim["source"], claim["location"], claim["line"]) == ("config", f"file:{path}", 1)
    assert link["ref"].startswith("location:default/generated-")
    assert link["places"] == [f"file:{path}"]
    assert link["wasEverRead"] is True
    assert link["next"] == {"why": "interval", "since": None, "everySeconds": 5.0}
    assert claim["read"]["isConfigured"] is True
    assert claim["read"]["everySeconds"] == 300.0
    assert f"{WEB} is served as file:{path}:1 describes it" in said(found)
    assert "looked at again every 5 s" in said(found)
    assert found["entity"]["changed"]["operation"] in {"create", "update"}


def test_a_refresh_that_was_asked_for_is_what_is_next(platform):
    platform.write("a.yaml", document("web"))
    platform.root("a.yaml")
    platform.commands.refresh(WEB)

    found = explain(platform, WEB)

    assert found["claims"][0]["via"][0]["next"]["why"] == "asked"
    assert "about to be read again" in said(found)


def test_every_field_says_who_wrote_it_and_where(platform):
    text = document("web", dependsOn=["api:b", "api:a"])
    path = platform.write("a.yaml", f"# nothing\n---\n{text}")
    platform.root("a.yaml")

    fields = {one["pointer"]: one for one in explain(platform, WEB)["fields"]}

    assert fields["/spec/type"] == {
        "pointer": "/spec/type",
        "from": "author",
        "location": f"file:{path}",
        "line": 8,
        "column": 9,
        "isExact": True,
    }
    assert fields["/spec/dependsOn"]["line"] == 11
    for pointer in ("/metadata/uid", "/metadata/etag", "/metadata/namespace"):
        assert fields[pointer]["from"] == "callboard"
    added = "/metadata/annotations/backstage.io~1managed-by-location"
    assert fields[added] == {
        "pointer": added,
        "from": "callboard",
        "why": "the place it was read from",
    }


def test_fields_that_changed_in_the_file_since_are_placed_by_their_document_only(platform):
    platform.write("a.yaml", document("web"))
    platform.root("a.yaml")
    platform.write("a.yaml", document("web", type="website"))

    fields = {one["pointer"]: one for one in explain(platform, WEB)["fields"]}

    assert (fields["/spec/type"]["line"], fields["/spec/type"]["isExact"]) == (1, False)
    assert fields["/spec/owner"]["isExact"] is True


def test_what_an_author_wrote_himself_is_his(platform):
    text = document("web").replace("name: web", "name: web\n  namespace: default\n  etag: mine")
    platform.write("a.yaml", text)
    platform.root("a.yaml")

    fields = {one["pointer"]: one["from"] for one in explain(platform, WEB)["fields"]}

    assert fields["/metadata/namespace"] == fields["/metadata/etag"] == "author"


def test_every_relation_names_whose_field_draws_it_and_which_lead_nowhere(platform):
    platform.write("a.yaml", document("web", dependsOn=["component:gone", "component:db"]))
    db = platform.write("b.yaml", document("db", dependencyOf=["component:web"]))
    platform.root("*.yaml")
    platform.source(group("team-a"))

    found = explain(platform, WEB)

    relations = {(one["type"], one["targetRef"]): one for one in found["relations"]}
    both = relations["dependsOn", "component:default/db"]
    assert [(writer["ref"], writer["pointer"]) for writer in both["writtenBy"]] == [
        (WEB, "/spec/dependsOn/0"),
        ("component:default/db", "/spec/dependencyOf/0"),
    ]
    assert both["writtenBy"][1]["location"] == f"file:{db}"
    assert relations["ownedBy", "group:default/team-a"]["exists"] is True
    (dangling,) = found["dangling"]
    assert (dangling["targetRef"], dangling["why"]) == ("component:default/gone", "unknown")
    assert "component:default/gone (dependsOn, described by no source)" in said(found)


def test_of_very_many_relations_some_are_told(platform, monkeypatch):
    monkeypatch.setattr("app.graph.explain.relations.MOST_RELATIONS", 5)
    platform.source(group("team-a"), *(component(f"c{number}") for number in range(9)))

    found = explain(platform, "group:default/team-a")

    assert len(found["relations"]) == 5
    assert found["relationsComplete"] is False


# -- what is wrong --------------------------------------------------------------------------------


def test_a_broken_file_is_told_by_what_it_said_before(platform):
    platform.write("a.yaml", document("web"))
    other = platform.write("b.yaml", document("other"))
    platform.root("*.yaml")
    path = platform.write("a.yaml", document("web") + "---\nkind: [unclosed\n")
    platform.root("*.yaml")

    found = explain(platform, WEB)

    (problem,) = found["problems"]
    assert (problem["about"], problem["location"]) == ("file", f"file:{path}")
    assert (problem["line"], problem["column"]) == (11, 1)
    assert found["state"] == "served"
    assert "Its file cannot be read today, what it said before stays" in said(found)
    assert explain(platform, "component:default/other")["problems"] == []
    other.unlink()


def test_a_file_that_is_gone_is_told_by_what_its_location_keeps(platform):
    platform.write("a.yaml", document("web"))
    platform.write("root.yaml", ROOT)
    platform.root("root.yaml")
    path = platform.folder / "a.yaml"
    path.unlink()
    platform.root("root.yaml")

    found = explain(platform, WEB)

    (problem,) = found["problems"]
    assert (problem["name"], problem["location"]) == ("NotFoundError", f"file:{path}")
    assert found["claims"][0]["via"][0]["ref"] == "location:default/root"


def test_content_that_is_not_valid_any_more_is_told_with_line_column_and_pointer(platform):
    path = platform.write("a.yaml", document("web"))
    platform.root("a.yaml")
    platform.write("a.yaml", document("web", owner=""))
    platform.root("a.yaml")

    found = explain(platform, WEB)

    (problem,) = found["problems"]
    assert (problem["about"], problem["pointer"]) == ("entity", "/spec/owner")
    assert (problem["location"], problem["line"], problem["column"]) == (f"file:{path}", 8, 10)
    assert found["claims"][0]["role"] == "outdated"
    assert "its last valid content stays" in said(found)
    status = next(one for one in found["fields"] if one["pointer"] == "/status/items/0")
    assert status["from"] == "problem"


def test_a_name_that_two_places_want_is_explained_from_both_sides(platform):
    a, b = (platform.write(f"{name}.yaml", document("web", owner=name)) for name in "ab")
    platform.source(generated("file", str(a)))
    platform.source(generated("file", str(a)), generated("file", str(b)))

    found = explain(platform, WEB)

    assert [claim["role"] for claim in found["claims"]] == ["served", "waiting"]
    assert found["conflict"]["heldBy"]["location"] == f"file:{a}"
    assert [one["location"] for one in found["conflict"]["waiting"]] == [f"file:{b}"]
    assert f"the name is held by file:{a}:1 since" in said(found)


def test_a_name_used_twice_in_one_file_is_told_by_its_entity(platform):
    platform.write("a.yaml", document("web") + "---\n" + document("web", owner="b"))
    platform.root("a.yaml")

    (problem,) = explain(platform, WEB)["problems"]

    assert (problem["about"], problem["line"]) == ("duplicate", 1)


def test_an_orphan_says_since_when_and_why(database, tmp_path):
    platform = Platform(database, tmp_path, keeps_orphans=True)
    platform.write("a.yaml", document("web") + "---\n" + document("api"))
    platform.root("a.yaml")
    platform.write("a.yaml", document("api"))
    platform.root("a.yaml")

    found = explain(platform, WEB)

    assert found["state"] == "orphan"
    assert found["orphan"]["change"]["cause"]["source"] == "config"
    assert "It is an orphan since" in said(found)
    assert explain(platform, "component:default/api")["orphan"] is None


def test_where_an_entity_was_read_from_before_is_remembered(platform):
    a = platform.write("a.yaml", document("web"))
    platform.root("a.yaml")
    a.unlink()
    b = platform.write("b.yaml", document("web", owner="team-b"))
    platform.root("b.yaml")

    found = explain(platform, WEB)

    assert [claim["location"] for claim in found["claims"]] == [f"file:{b}"]
    (former,) = found["formerClaims"]
    assert former["location"] == f"file:{a}"
    assert former["since"]["operation"] == "create"
    assert former["until"]["seq"] > former["since"]["seq"]
    assert f"It was read from file:{a}:1 before." in said(found)


# -- what does not exist --------------------------------------------------------------------------


def test_a_ref_that_nobody_ever_mentioned_is_unknown(platform):
    found = explain(platform, "component:default/nope")

    assert found["state"] == "unknown"
    assert found["summary"] == [
        "component:default/nope does not exist, and no source ever described it."
    ]


def test_a_ref_that_is_only_named_says_by_whom(platform):
    platform.source(component("web"), component("api"))

    found = explain(platform, "group:default/team-a")

    assert found["state"] == "unknown"
    assert [(one["ref"], one["pointer"]) for one in found["mentionedBy"]] == [
        (WEB, "/spec/owner"),
        ("component:default/api", "/spec/owner"),
    ]
    assert f"It is named by {WEB}, component:default/api." in said(found)


def test_what_was_deleted_says_when_and_by_whom(platform):
    platform.source(component("web"))
    uid = platform.served()[WEB]["metadata"]["uid"]
    platform.commands.delete(uid, "user:default/ada")

    found = explain(platform, WEB)

    assert found["state"] == "deleted"
    assert found["deletion"]["cause"]["actor"] == "user:default/ada"
    assert f"{WEB} was deleted at" in said(found)
    assert "by user:default/ada" in said(found)


def test_what_never_was_valid_says_what_is_wrong(platform):
    path = platform.write("a.yaml", document("web", owner=""))
    platform.root("a.yaml")

    found = explain(platform, WEB)

    assert (found["state"], found["entity"]) == ("invalid", None)
    assert found["claims"][0]["role"] == "invalid"
    assert [problem["line"] for problem in found["problems"]] == [8]
    assert f"it is described by file:{path}:1, but never was valid" in said(found)


def test_a_location_that_could_not_be_read_yet_waits(platform):
    platform.root("missing.yaml")
    (ref,) = (row[0] for row in platform.rows("SELECT ref FROM ref"))

    found = explain(platform, ref)

    assert found["state"] == "reading"
    assert [problem["name"] for problem in found["problems"]] == ["NotFoundError"]


def test_what_was_read_a_moment_ago_is_about_to_be_served(platform):
    platform.source(component("web"))
    with platform.database.begin() as connection:
        for table in ("searchable", "entity"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
        connection.exec_driver_sql(
            "INSERT INTO stitch (ref_id, cause) SELECT ref_id, '{}' FROM emission"
        )

    assert explain(platform, WEB)["state"] == "stitching"


def test_what_cannot_be_served_says_so(platform):
    text = document("web").replace("name: web", "name: web\n  labels: {a.b: x}\n  title: x")
    platform.write("a.yaml", text.replace("spec:", "spec:\n  Type: x"))
    platform.root("a.yaml")

    assert explain(platform, WEB)["state"] == "unstitchable"


# -- who asks -------------------------------------------------------------------------------------


def test_a_caller_who_may_not_see_an_entity_learns_nothing_of_it(platform):
    platform.source(component("web"), group("team-a"))

    for ref in (WEB, "component:default/nope"):
        with pytest.raises(NotFoundError, match=f"No such entity {ref}"):
            explain(platform, ref, equals("kind", "group"))


def test_a_caller_who_may_not_see_locations_is_shown_none(platform):
    platform.write("a.yaml", document("web"))
    platform.root("a.yaml")

    found = explain(platform, WEB, equals("kind", "component"))

    assert [claim["via"] for claim in found["claims"]] == [[]]
