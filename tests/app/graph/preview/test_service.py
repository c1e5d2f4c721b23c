"""Previews: what they tell of entities, relations, owners, names and problems, and their limits."""

from __future__ import annotations

import threading
import time

import orjson
import pytest

from app.catalog.dry_run import DryRunLimits
from app.catalog.runs import Guard
from app.errors import InputError, ServiceUnavailableError
from app.graph.preview.json_form import effect_json
from app.graph.preview.rehearsal import GivenFile, PreviewLimits
from app.graph.preview.service import PreviewService
from app.model.query import NOTHING, In
from tests.app.graph.preview.repository import BASE, RepositoryPlatform, document, documents, given


@pytest.fixture
def make(database, tmp_path):
    made = []

    def platform(**options):
        made.append(RepositoryPlatform(database, tmp_path, **options))
        return made[-1]

    yield platform
    for one in made:
        one.snapshots.close()


@pytest.fixture
def platform(make):
    platform = make()
    platform.repository.files |= {
        "team.yaml": document("team-a", kind="Group"),
        "web.yaml": document("web", dependsOn=["component:api"]),
        "api.yaml": document("api"),
    }
    platform.root("team.yaml", "web.yaml", "api.yaml")
    return platform


def preview(platform, changed, **options):
    service = PreviewService(platform.rehearsals, platform.snapshots)
    return effect_json(service.preview(list(given(changed)), **options))


def operations(effect):
    return {entity["ref"]: entity["operation"] for entity in effect["entities"]}


def pairs(relations):
    return [(r["source"], r["type"], r["target"]) for r in relations]


WEB, API = "component:default/web", "component:default/api"
TEAM, OTHER = "group:default/team-a", "group:default/team-b"


# -- what changes ---------------------------------------------------------------------------------


def test_changed_fields_are_named_by_their_pointers(platform):
    text = document("web", lifecycle="old", dependsOn=["component:api"])
    effect = preview(platform, {"web.yaml": text})
    assert operations(effect) == {WEB: "update"}
    (entity,) = effect["entities"]
    assert entity["changes"] == [
        {
            "pointer": "/spec/lifecycle",
            "operation": "replace",
            "before": "production",
            "after": "old",
        }
    ]
    assert entity["location"] == f"url:{BASE}web.yaml"


def test_entities_and_relations_come_and_go(platform):
    effect = preview(platform, {"web.yaml": documents(document("job"), document("web"))})
    assert operations(effect) == {
        "component:default/job": "create", WEB: "update", API: "update", TEAM: "update"
    }  # fmt: skip
    assert pairs(effect["relations"]["added"]) == [("component:default/job", "ownedBy", TEAM)]
    assert pairs(effect["relations"]["removed"]) == [(WEB, "dependsOn", API)]


def test_files_as_they_are_change_nothing(platform):
    effect = preview(platform, dict(platform.repository.files))
    assert effect["entities"] == []
    assert effect["problems"] == []
    assert effect["files"]["unknown"] == ()


def test_references_that_lead_to_nothing_are_told_if_they_are_new(platform):
    web = document("web", system="shop", dependsOn=["component:api"])
    changed = {"api.yaml": document("api-two"), "web.yaml": web}
    effect = preview(platform, changed)
    assert pairs(effect["dangling"]) == [
        (WEB, "dependsOn", API),
        (WEB, "partOf", "system:default/shop"),
    ]


def test_owners_that_vanish_or_change_are_told(platform):
    gone = preview(platform, {"team.yaml": document("team-b", kind="Group")})
    lost = {"before": (TEAM,), "after": (), "isLost": True}
    assert gone["ownership"] == [{"ref": API, **lost}, {"ref": WEB, **lost}]
    assert gone["summary"]["ownership"] == 2

    both = documents(document("team-a", kind="Group"), document("team-b", kind="Group"))
    moved = preview(platform, {"team.yaml": both, "api.yaml": document("api", owner="team-b")})
    assert moved["ownership"] == [
        {"ref": API, "before": (TEAM,), "after": (OTHER,), "isLost": False}
    ]


def test_long_values_are_left_out(platform):
    effect = preview(platform, {"api.yaml": document("api", note="x" * 2000)})
    (change,) = next(e for e in effect["entities"] if e["ref"] == API)["changes"]
    assert (change["pointer"], change["after"], change["isLong"]) == ("/spec/note", None, True)


# -- what is wrong --------------------------------------------------------------------------------


def test_problems_have_their_line_and_column(platform):
    broken = "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: not a name\n"
    text = f"{document('api')}---\n{broken}"
    (problem,) = preview(platform, {"api.yaml": text})["problems"]
    assert (problem["kind"], problem["line"], problem["column"]) == ("invalid", 6, 9)
    assert problem["pointer"] == "/metadata/name"


def test_a_file_that_is_no_yaml_keeps_what_it_held(platform):
    effect = preview(platform, {"api.yaml": "a: [b\n"})
    (problem,) = effect["problems"]
    assert (problem["kind"], problem["isNew"]) == ("invalid", True)
    assert problem["line"] is not None
    assert "delete" not in operations(effect).values()


def test_names_that_are_taken_and_kinds_that_are_not_allowed_are_told(platform):
    effect = preview(platform, {"api.yaml": documents(document("api"), document("web"))})
    assert [p["kind"] for p in effect["problems"]] == ["conflict"]
    effect = preview(platform, {"api.yaml": document("shop", kind="Domain")})
    assert [p["kind"] for p in effect["problems"]] == ["rule"]
    assert effect["summary"]["errors"] == 1


def test_a_name_that_moves_to_a_file_of_another_source_is_in_no_conflict(platform):
    changed = {"api.yaml": document("api-two"), "git/a.yaml": document("api")}
    effect = preview(platform, changed)
    assert effect["problems"] == []
    assert operations(effect)[API] == "update"


def test_a_conflict_that_was_there_before_is_not_held_against_the_change(platform):
    platform.repository.files["git/a.yaml"] = document("web")
    platform.provide()
    effect = preview(platform, {"git/a.yaml": document("web", lifecycle="old")})
    assert [(p["kind"], p["isNew"]) for p in effect["problems"]] == [("conflict", False)]
    assert effect["summary"]["conflicts"] == 0
    effect = preview(platform, {"git/b.yaml": document("web"), "git/a.yaml": document("w")})
    assert [(p["location"][-6:], p["isNew"]) for p in effect["problems"]] == [("b.yaml", True)]


def test_what_is_wrong_on_the_way_only_is_not_told(platform):
    files = platform.repository.files
    files["all.yaml"] = document("all", kind="Location", targets=["./l.yaml"])
    files["l.yaml"] = document("l", kind="Location", targets=["./web.yaml"])
    platform.root("team.yaml", "web.yaml", "api.yaml", "all.yaml")
    changed = {"l.yaml": document("other"), "all.yaml": document("all", kind="Location")}
    assert preview(platform, changed)["problems"] == []


def test_a_file_that_a_location_names_and_that_is_gone_is_unreadable(platform):
    effect = preview(platform, {"api.yaml": None})
    assert [p["kind"] for p in effect["problems"]] == ["unreadable"]
    assert set(operations(effect).values()) == {"update"}


def test_what_was_wrong_before_is_not_held_against_the_change(platform):
    platform.repository.files["all.yaml"] = document(
        "all", kind="Location", targets=["./missing.yaml", "./web.yaml"]
    )
    platform.root("team.yaml", "web.yaml", "api.yaml", "all.yaml")
    effect = preview(platform, {"web.yaml": document("web")})
    assert [p["isNew"] for p in effect["problems"]] == [False]
    assert effect["summary"]["errors"] == 0


def test_a_mass_removal_is_told_and_nothing_is_removed(make):
    platform = make(guard=Guard(0.5, 3))
    many = documents(*(document(f"n{number}") for number in range(8)))
    platform.repository.files |= {"all.yaml": many, "git/a.yaml": many}
    platform.root("all.yaml")
    effect = preview(platform, {"all.yaml": document("n0")})
    assert "would remove 7 of its 8" in effect["problems"][0]["message"]
    assert "delete" not in operations(effect).values()


# -- which files ----------------------------------------------------------------------------------


def test_a_file_that_nothing_reads_counts_as_registered_and_is_named(platform):
    effect = preview(platform, {"new.yaml": document("new")})
    assert operations(effect)["component:default/new"] == "create"
    assert effect["files"] == {"unknown": (f"url:{BASE}new.yaml",), "skipped": ()}


def test_it_can_be_left_out_instead(platform):
    files = [GivenFile(f"url:{BASE}README.md", b"# Hello", is_optional=True)]
    found = platform.rehearsals.rehearse(files)
    assert (found.changes, found.skipped) == ([], [f"url:{BASE}README.md"])


def test_only_a_file_that_is_shown_has_to_be_one_that_the_server_may_read(platform):
    place = "url:https://elsewhere.example.org/README.md"
    left_out = platform.rehearsals.rehearse([GivenFile(place, b"# Hello", is_optional=True)])
    assert (left_out.skipped, left_out.flaws) == ([place], [])
    shown = platform.rehearsals.rehearse([GivenFile(place, b"")])
    assert [flaw.problem.name for flaw in shown.flaws] == ["NotAllowedError"]


def test_a_file_that_a_given_location_names_is_known(platform):
    changed = {
        "api.yaml": documents(document("more", kind="Location", targets=["./new.yaml"])),
        "new.yaml": document("new"),
    }
    effect = preview(platform, changed)
    assert operations(effect)["component:default/new"] == "create"
    assert effect["files"]["unknown"] == ()


def test_placeholders_see_given_files(platform):
    files = platform.repository.files
    files["text.txt"] = "before"
    files["doc.yaml"] = document("doc", kind="API", definition={"$text": "./text.txt"})
    platform.root("team.yaml", "web.yaml", "api.yaml", "doc.yaml")
    effect = preview(platform, {"text.txt": "after"})
    (entity,) = effect["entities"]
    assert entity["changes"][0]["after"] == "after"


def test_patterns_find_given_files(platform):
    platform.repository.files |= {
        "all.yaml": document("all", kind="Location", targets=["./d/*.yaml"]),
        "d/1.yaml": document("one"),
        "d/2.yaml": document("two"),
    }
    platform.root("team.yaml", "web.yaml", "api.yaml", "all.yaml")
    effect = preview(platform, {"d/1.yaml": None, "d/3.yaml": document("three")})
    assert operations(effect) == {
        "component:default/one": "delete", "component:default/three": "create", TEAM: "update"
    }  # fmt: skip
    assert effect["files"]["unknown"] == ()


def test_a_provider_loses_files_that_are_gone_and_finds_new_ones(platform):
    platform.repository.files["git/a.yaml"] = document("a")
    platform.provide()
    effect = preview(platform, {"git/a.yaml": None, "git/b.yaml": document("b")})
    found = operations(effect)
    assert (found["component:default/a"], found["component:default/b"]) == ("delete", "create")
    assert effect["files"]["unknown"] == ()


def test_entities_that_a_source_found_itself_belong_to_it(platform):
    from tests.builders import ListIngestor, component

    place = f"url:{BASE}flat.yaml"
    found = [component("flat", location=place), component("kept", location=f"{place}2")]
    platform.ingest.source("list:all", ListIngestor(found))
    effect = preview(platform, {"flat.yaml": document("other")})
    found = operations(effect)
    assert found["component:default/flat"] == "delete"
    assert found["component:default/other"] == "create"
    assert "component:default/kept" not in found


def test_files_that_nobody_gave_are_read_only_if_they_have_to_be(platform):
    platform.repository.reads = 0
    preview(platform, {"web.yaml": document("web")})
    assert platform.repository.reads == 0
    preview(platform, {"web.yaml": document("l", kind="Location", targets=["./api.yaml"])})
    assert platform.repository.reads == 1


def test_no_file_of_the_server_is_read_that_the_catalog_does_not_read(platform, tmp_path):
    secret = tmp_path / "secret.yaml"
    secret.write_text("secret: [\n")
    inner = document("l", kind="Location", type="file", target=str(secret))
    place = f"file:{tmp_path}/outer.yaml"
    (tmp_path / "outer.yaml").write_text(document("outer"))
    from app.catalog.locations import generated
    from tests.builders import ListIngestor

    outer = [generated("file", str(tmp_path / "outer.yaml"))]
    platform.ingest.source("locations", ListIngestor(outer))
    found = platform.rehearsals.rehearse([GivenFile(place, inner.encode())])
    (flaw,) = found.flaws
    assert "reads no file of the server" in flaw.problem.message


def test_what_the_caller_may_not_see_is_left_out_and_counted(platform):
    changed = {"web.yaml": documents(document("job"), document("web", lifecycle="old"))}
    effect = preview(platform, changed, visible=NOTHING)
    assert operations(effect) == {"component:default/job": "create"}
    assert effect["summary"]["hidden"] == 3
    assert effect["relations"]["added"] == []
    effect = preview(platform, changed, visible=In("metadata.name", ("web",)))
    assert set(operations(effect)) == {"component:default/job", WEB}


# -- nothing is left behind, and nobody is held up -------------------------------------------------


def test_nothing_is_left_behind(platform):
    before = platform.everything()
    preview(platform, {"web.yaml": documents(*(document(f"n{n}") for n in range(600)))})
    preview(platform, {"web.yaml": None, "api.yaml": "x: [", "new.yaml": document("new")})
    assert platform.everything() == before
    platform.repository.files["api.yaml"] = document("next")
    platform.work()
    (last,) = platform.rows("SELECT max(id) FROM ref")[0]
    assert last == platform.rows("SELECT count(*) FROM ref")[0][0]


def test_what_others_wait_to_have_stitched_is_no_part_of_it(platform):
    with platform.writer.begin() as claims:
        ids = claims.store.known_refs([API])
        claims.store.sql.execute("DELETE FROM relation")
        claims.store.mark_dirty({ids[API]: "{}"})
    effect = preview(platform, {"team.yaml": document("team-b", kind="Group")})
    assert operations(effect) == {OTHER: "create", TEAM: "delete"}


def test_limits_are_told(make):
    reading = DryRunLimits(reads=1)
    limits = PreviewLimits(files=2, bytes=2000, entities=3, reading=reading)
    platform = make(limits=limits)
    platform.repository.files |= {"a.yaml": document("a"), "b.yaml": document("b")}
    platform.root("a.yaml")
    three = {f"{n}.yaml": "" for n in range(3)}
    both = document("l", kind="Location", targets=["./b.yaml", "./c.yaml"])
    for changed, message in [
        (three, "at most 2 files"),
        ({"a.yaml": "x" * 2001}, "at most 2000 bytes"),
        ({"a.yaml": documents(*(document(f"n{n}") for n in range(4)))}, "at most 3 entities"),
        ({"a.yaml": both}, "a preview reads at most 1 times"),
    ]:
        with pytest.raises(InputError, match=message):
            platform.rehearse(changed)
    with pytest.raises(InputError, match="each file once"):
        platform.rehearsals.rehearse([*given({"a.yaml": ""}), *given({"a.yaml": ""})])


def test_one_that_takes_too_long_is_ended_and_leaves_nothing(make):
    platform = make(limits=PreviewLimits(seconds=0.05))
    platform.repository.files["a.yaml"] = document("a")
    platform.root("a.yaml")
    before = platform.everything()
    many = documents(*(document(f"n{n}", owner=f"o{n}") for n in range(4000)))
    with pytest.raises(ServiceUnavailableError, match="longer than"):
        platform.rehearse({"a.yaml": many})
    assert platform.everything() == before
    assert platform.rehearsals.rehearse([]).changes == []


def test_it_waits_for_other_writers_only_so_long(make):
    platform = make(limits=PreviewLimits(patience=0.1))
    platform.repository.files["a.yaml"] = document("a")
    platform.root("a.yaml")
    written, done = threading.Event(), threading.Event()

    def write():
        with platform.writer.begin():
            written.set()
            done.wait(10)

    writer = threading.Thread(target=write)
    writer.start()
    written.wait(10)
    started = time.monotonic()
    try:
        with pytest.raises(ServiceUnavailableError, match="written to"):
            platform.rehearse({"a.yaml": document("b")})
    finally:
        done.set()
        writer.join()
    assert time.monotonic() - started < 5
    assert orjson.loads(platform.rehearse({"a.yaml": document("b")}).after["component:default/b"])
