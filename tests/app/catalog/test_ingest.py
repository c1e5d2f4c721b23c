"""Ingesting: what is new appears, what is gone goes, what is broken stays as it was."""

from __future__ import annotations

import threading

import orjson
import pytest

from app.catalog.locations import generated
from app.catalog.rules import Rules
from app.catalog.runs import Guard, StoppedError
from app.errors import ConflictError, UpstreamError
from app.model.entity import CatalogFile
from app.model.problem import Problem
from tests.app.catalog.platform import Platform, document
from tests.builders import api, component, group

WEB, SHOP = component("web"), component("shop")


@pytest.fixture
def platform(database, tmp_path):
    return Platform(database, tmp_path)


# -- sources --------------------------------------------------------------------------------------


def test_an_entity_missing_from_the_next_snapshot_is_removed(platform):
    platform.source(WEB, SHOP)

    report = platform.source(WEB)

    assert report.counts.removed == 1
    assert platform.refs() == ["component:default/web"]


def test_a_source_that_fails_half_way_removes_nothing(platform):
    platform.source(WEB, SHOP)

    with pytest.raises(UpstreamError):
        platform.source(WEB, breaks=True)

    assert platform.refs() == ["component:default/shop", "component:default/web"]


def test_what_came_from_a_place_that_is_broken_today_stays(platform):
    platform.source(WEB, component("api", location="url:https://example.org/b.yaml"))

    report = platform.source(WEB, Problem("url:https://example.org/b.yaml", "not YAML"))

    assert report.counts.removed == 0
    assert "component:default/api" in platform.refs()


def test_sources_do_not_touch_each_others_entities(platform):
    platform.source(WEB, name="one")
    platform.source(SHOP, name="two")

    platform.source(name="two")

    assert platform.refs() == ["component:default/web"]


def test_an_implausible_removal_stops_and_removes_nothing(database, tmp_path):
    platform = Platform(database, tmp_path, guard=Guard(share=0.5, minimum=3))
    platform.source(*(component(f"c{i}") for i in range(8)))

    with pytest.raises(ConflictError, match="would remove 8 of its 8"):
        platform.source()

    assert len(platform.refs()) == 8


def test_a_catalog_file_that_a_source_brings_is_processed_like_a_location(platform):
    file = CatalogFile("url:https://git.example.org/a.yaml", document("web").encode(), "v1")

    platform.source(file)
    again = platform.source(file)

    served = platform.served()["component:default/web"]
    assert served["metadata"]["annotations"] == {
        "backstage.io/managed-by-location": "url:https://git.example.org/a.yaml",
        "backstage.io/managed-by-origin-location": "url:https://git.example.org/a.yaml",
        "backstage.io/view-url": "https://git.example.org/a.yaml",
    }
    assert again.counts.written == 0


def test_a_stopped_run_raises_and_keeps_what_was_committed(database, tmp_path):
    stop = threading.Event()
    platform = Platform(database, tmp_path, stop=stop, progress=lambda _: stop.set())

    with pytest.raises(StoppedError):
        platform.source(*(component(f"c{i}") for i in range(501)))

    assert platform.rows("SELECT count(*) FROM emission") == [(500,)]


def test_what_a_source_said_before_it_failed_is_served(platform):
    with pytest.raises(UpstreamError):
        platform.source(*(component(f"c{i}") for i in range(501)), breaks=True)

    assert len(platform.refs()) == 500


def test_what_is_new_or_different_is_served_though_a_removal_was_stopped(database, tmp_path):
    platform = Platform(database, tmp_path, guard=Guard(share=0.5, minimum=3))
    platform.write("a.yaml", document("inside"))
    platform.source(*(component(f"c{i}") for i in range(8)))

    with pytest.raises(ConflictError):
        platform.source(component("new"), generated("file", str(platform.folder / "a.yaml")))

    assert {"component:default/new", "component:default/inside"} <= set(platform.refs())
    assert len(platform.refs("component:default/c")) == 8


def test_a_location_of_two_sources_follows_the_one_that_stays(platform):
    path = platform.write("a.yaml", document("one") + "---\n" + document("two"))
    root = generated("file", str(path))
    for stays, goes in (("a", "b"), ("b", "a")):
        platform.source(root, name=stays)
        platform.source(root, name=goes)
        platform.source(name=goes)
        assert platform.refs("component") == ["component:default/one", "component:default/two"]

        path.write_text(document("one"))
        platform.source(root, name=stays)
        assert platform.refs("component") == ["component:default/one"]

        path.write_text(document("one") + "---\n" + document("two"))
        platform.source(root, name=stays)
        platform.source(name=stays)
        assert platform.refs() == []


def test_one_location_that_cannot_be_visited_keeps_no_other_from_it(platform, monkeypatch):
    for name in ("a", "b", "c"):
        platform.write(f"{name}.yaml", document(name))
    roots = [generated("file", str(platform.folder / f"{name}.yaml")) for name in "abc"]
    read = type(platform.processor).file

    def fails_once(self, content, origin):
        if content.location.endswith("/b.yaml"):
            raise RuntimeError("a bug")
        return read(self, content, origin)

    monkeypatch.setattr(type(platform.processor), "file", fails_once)
    with pytest.raises(RuntimeError, match="a bug"):
        platform.source(*roots)

    assert platform.refs("component") == ["component:default/a", "component:default/c"]


def test_a_run_gives_up_if_nothing_can_be_visited(platform, monkeypatch):
    visited = list[str]()

    def fails(self, content, origin):
        visited.append(content.location)
        raise RuntimeError("out of order")

    path = platform.write("a.yaml", document("a"))
    roots = [generated("file", f"{path.parent}/{'./' * i}a.yaml") for i in range(30)]
    monkeypatch.setattr(type(platform.processor), "file", fails)

    with pytest.raises(RuntimeError):
        platform.source(*roots)

    assert len(visited) == 10


def test_a_run_that_is_stopped_does_not_stay_to_stitch(database, tmp_path):
    stop = threading.Event()
    platform = Platform(database, tmp_path, stop=stop, progress=lambda _: stop.set())
    platform.write("root.yaml", document("one"))

    with pytest.raises(StoppedError):
        platform.root("root.yaml")
    assert platform.refs() == []

    later = Platform(database, tmp_path)
    later.root("root.yaml")
    assert later.refs("component") == ["component:default/one"]


# -- files ----------------------------------------------------------------------------------------


def test_a_file_is_read_with_all_that_it_leads_to(platform):
    platform.write(
        "root.yaml",
        """\
        apiVersion: backstage.io/v1alpha1
        kind: Location
        metadata: {name: root}
        spec: {targets: [./a/*.yaml]}
        """,
    )
    platform.write("a/one.yaml", document("one"))
    platform.write("a/two.yaml", document("two") + "---\n" + document("three"))

    report = platform.root("root.yaml")

    assert platform.refs("component") == [f"component:default/{n}" for n in ("one", "three", "two")]
    assert platform.refs("location")[-1] == "location:default/root"
    assert report.flaws == []


def test_an_unchanged_file_costs_no_write(platform):
    platform.write("root.yaml", document("one"))
    platform.root("root.yaml")
    before = platform.rows("SELECT * FROM emission"), platform.rows("SELECT * FROM reading")

    report = platform.root("root.yaml")

    assert (
        platform.rows("SELECT * FROM emission"),
        platform.rows("SELECT * FROM reading"),
    ) == before
    assert report.counts.written == 0
    assert report.stitched == 0


def test_a_changed_file_changes_only_what_differs(platform):
    path = platform.write("root.yaml", document("one") + "---\n" + document("two"))
    platform.root("root.yaml")
    path.write_text(document("one") + "---\n" + document("two", lifecycle="deprecated"))

    report = platform.root("root.yaml")

    assert (report.counts.written, report.stitched) == (1, 1)
    assert platform.served()["component:default/two"]["spec"]["lifecycle"] == "deprecated"


def test_a_document_that_goes_from_a_file_is_removed(platform):
    path = platform.write("root.yaml", document("one") + "---\n" + document("two"))
    platform.root("root.yaml")
    path.write_text(document("one"))

    platform.root("root.yaml")

    assert platform.refs("component") == ["component:default/one"]


def test_a_file_that_becomes_broken_keeps_yesterdays_entities_and_shows_the_error(platform):
    path = platform.write("root.yaml", document("one"))
    platform.root("root.yaml")
    path.write_text(document("one", lifecycle="deprecated") + "---\nkind: [unclosed\n")

    report = platform.root("root.yaml")

    served = platform.served()
    assert served["component:default/one"]["spec"]["lifecycle"] == "production"
    (location,) = (entity for ref, entity in served.items() if ref.startswith("location"))
    assert "YAML error at file:" in location["status"]["items"][0]["message"]
    (flaw,) = report.flaws
    assert flaw.problem.line >= 9
    assert flaw.problem.column >= 1


def test_a_repaired_file_takes_the_error_away(platform):
    path = platform.write("root.yaml", document("one"))
    platform.root("root.yaml")
    path.write_text("kind: [unclosed\n")
    platform.root("root.yaml")
    path.write_text(document("one", lifecycle="deprecated"))

    platform.root("root.yaml")

    assert all("status" not in entity for entity in platform.served().values())
    assert platform.served()["component:default/one"]["spec"]["lifecycle"] == "deprecated"


def test_a_broken_file_among_others_stops_only_itself(platform):
    platform.write("a/good.yaml", document("good"))
    platform.write("a/bad.yaml", document("bad") + "---\n- a list\n")

    platform.root("a/*.yaml")

    assert platform.refs("component") == ["component:default/good"]


def test_an_invalid_entity_does_not_stop_its_siblings(platform):
    platform.write("root.yaml", document("one") + "---\n" + document("two", type=3))

    report = platform.root("root.yaml")

    assert platform.refs("component") == ["component:default/one"]
    (flaw,) = report.flaws
    assert "/spec/type must be string" in flaw.problem.message
    assert flaw.problem.line == 15


def test_a_missing_file_is_an_error_until_it_appears(platform):
    report = platform.root("absent.yaml")
    assert [flaw.error["name"] for flaw in report.flaws] == ["NotFoundError"]
    assert platform.refs() == []

    platform.write("absent.yaml", document("one"))
    platform.root("absent.yaml")

    assert platform.refs("component") == ["component:default/one"]


def test_a_kind_that_the_rules_refuse_stops_its_file(database, tmp_path):
    platform = Platform(database, tmp_path, rules=Rules())
    platform.write("root.yaml", document("one") + "---\n" + document("team", kind="Group"))

    report = platform.root("root.yaml")

    assert platform.refs() == []
    assert "is not of an allowed kind for that location" in report.flaws[0].problem.message


ROOT = """\
    apiVersion: backstage.io/v1alpha1
    kind: Location
    metadata: {name: root}
    spec: {targets: [%s]}
    """


def test_targets_that_change_are_read_though_no_file_they_led_to_did(platform):
    platform.write("a.yaml", document("a"))
    platform.write("b.yaml", document("b"))
    platform.write("root.yaml", ROOT % "./a.yaml")
    platform.root("root.yaml")

    platform.write("root.yaml", ROOT % "./b.yaml")
    platform.root("root.yaml")
    assert platform.refs("component") == ["component:default/b"]

    platform.write("root.yaml", ROOT % "./a.yaml, ./b.yaml")
    platform.root("root.yaml")
    assert platform.refs("component") == ["component:default/a", "component:default/b"]


def test_a_location_that_becomes_invalid_keeps_what_it_led_to_and_its_error(platform):
    platform.write("a.yaml", document("a"))
    platform.write("root.yaml", ROOT % "./a.yaml")
    platform.root("root.yaml")
    platform.write("root.yaml", ROOT % "3")
    for text in (document("a"), document("a", lifecycle="deprecated")):
        platform.write("a.yaml", text)

        platform.root("root.yaml")

        assert "/spec/targets/0" in _message(platform, "location:default/root")
        served = platform.served()["component:default/a"]
        assert served["spec"]["lifecycle"] == "production"

    platform.write("root.yaml", ROOT % "./a.yaml")
    platform.root("root.yaml")
    assert "status" not in platform.served()["location:default/root"]
    assert platform.served()["component:default/a"]["spec"]["lifecycle"] == "deprecated"


def test_what_is_wrong_with_a_target_is_shown_again_after_the_location_was_invalid(platform):
    platform.write("a.yaml", "- no entity\n")
    for targets in ("./a.yaml", "3", "./a.yaml"):
        platform.write("root.yaml", ROOT % targets)
        platform.write("good.yaml", document("good"))
        platform.source(
            generated("file", str(platform.folder / "root.yaml")),
            generated("file", str(platform.folder / "good.yaml")),
            name="config",
        )

    report = platform.root("root.yaml")

    pending = {row["entity_ref"]: row["errors"] for row in platform.commands.pending()}
    assert "Expected object" in pending["location:default/root"][0]["message"]
    assert report.counts.written == 0


def _message(platform, ref):
    return platform.served()[ref]["status"]["items"][0]["message"]


@pytest.mark.parametrize(
    "name", ['"a\\0b"', "x" * 3000, "12345678901234567890123", ".inf", "1e999", "~"]
)
@pytest.mark.parametrize("field", ["name: odd", 'owner: "team-a"'])
def test_no_value_of_an_entity_keeps_its_siblings_out(platform, name, field):
    text = document("odd").replace(field, f"{field.partition(':')[0]}: {name}")
    platform.write("a/odd.yaml", text)
    platform.write("a/good.yaml", document("good"))

    platform.root("a/*.yaml")

    assert "component:default/good" in platform.refs()


def test_locations_that_name_each_other_end(platform):
    for one, other in (("a", "b"), ("b", "a")):
        platform.write(
            f"{one}.yaml",
            f"""\
            apiVersion: backstage.io/v1alpha1
            kind: Location
            metadata: {{name: {one}}}
            spec: {{target: ./{other}.yaml}}
            """,
        )

    platform.root("a.yaml")

    assert {"location:default/a", "location:default/b"} <= set(platform.refs())


def test_a_location_that_names_its_own_file_is_served_at_once(platform):
    own = "kind: Location\napiVersion: backstage.io/v1alpha1\nmetadata: {name: own}\n"
    platform.write("own.yaml", f"{own}spec: {{target: ./own.yaml}}\n---\n{document('web')}")

    report = platform.root("own.yaml")

    assert report.flaws == []
    assert {"component:default/web", "location:default/own"} <= set(platform.refs())
    assert platform.rows("SELECT * FROM refresh") == []
    changes = platform.rows("SELECT count(*) FROM change")
    platform.root("own.yaml")
    assert platform.rows("SELECT count(*) FROM change") == changes

    platform.write("own.yaml", document("web"))
    platform.root("own.yaml")
    assert "location:default/own" not in platform.refs()


def test_locations_may_not_be_nested_without_end(database, tmp_path):
    platform = Platform(database, tmp_path, max_depth=3)
    for number in range(6):
        platform.write(
            f"{number}.yaml",
            f"""\
            apiVersion: backstage.io/v1alpha1
            kind: Location
            metadata: {{name: l{number}}}
            spec: {{target: ./{number + 1}.yaml}}
            """,
        )

    report = platform.root("0.yaml")

    assert "nested more than 3 deep" in report.flaws[0].problem.message


def test_a_removed_root_takes_its_tree_along(platform):
    platform.write("root.yaml", document("one"))
    platform.root("root.yaml")

    platform.source(name="config")

    assert platform.rows("SELECT id FROM entity") == []
    assert platform.rows("SELECT * FROM emission") == []


def test_owners_are_shown_on_both_ends_whatever_comes_first(platform):
    platform.source(api("a"), name="one")
    platform.source(group("team-a"), name="two")

    assert platform.served()["group:default/team-a"]["relations"] == [
        {"type": "ownerOf", "targetRef": "api:default/a"}
    ]


def test_a_new_release_reads_everything_once_more(database, tmp_path):
    old = Platform(database, tmp_path, revision="1")
    old.write("root.yaml", document("one"))
    old.root("root.yaml")

    new = Platform(database, tmp_path, revision="2")
    first, second = new.root("root.yaml"), new.root("root.yaml")

    assert first.counts.read == 2
    assert second.counts.read == 1


def test_a_source_that_is_not_configured_any_more_goes_with_all_it_led_to(platform):
    platform.write("root.yaml", document("one"))
    platform.root("root.yaml")
    platform.source(WEB, name="other")

    assert sorted(platform.ingest.known_sources()) == ["config", "other"]
    platform.ingest.forget_source("config")

    assert platform.refs() == ["component:default/web"]


def test_a_name_used_twice_in_a_file_is_told_but_is_no_failure(platform):
    platform.write("a.yaml", document("one") + "---\n" + document("one", owner="team-b"))
    report = platform.root("a.yaml")

    assert [flaw.problem.line for flaw in report.flaws] == [1]
    assert all("status" not in entity for entity in platform.served().values())
    assert platform.commands.failed() == []
    platform.write("a.yaml", document("one"))
    platform.root("a.yaml")
    assert platform.rows("SELECT * FROM problem") == []


def test_a_location_that_was_asked_for_in_vain_is_read_if_it_appears_in_the_same_run(platform):
    platform.write("root.yaml", document("one"))
    inner = generated("file", str(platform.write("inner.yaml", document("two"))))
    platform.source(inner, name="other")
    platform.root("root.yaml")
    ids = dict(platform.rows("SELECT ref, id FROM ref WHERE ref LIKE 'location:%'"))
    inner_id = ids.pop(str(inner.ref))
    platform.source(name="other")
    location = {**inner.data, "spec": {"targets": ["./inner.yaml"]}}
    platform.write("root.yaml", orjson.dumps(location).decode())

    platform.ingest.locations([inner_id, *ids.values()])

    assert platform.refs("component") == ["component:default/two"]


# -- files of one Location that describe the same name --------------------------------------------


def owner(platform, ref="component:default/one"):
    return platform.served()[ref]["spec"]["owner"]


@pytest.fixture(params=["*.yaml", "all.yml"])
def shared(request, platform):
    """A Location that names several files, by a pattern or one by one."""
    platform.write(
        "all.yml",
        """\
        apiVersion: backstage.io/v1alpha1
        kind: Location
        metadata: {name: all}
        spec: {type: file, targets: [./a.yaml, ./b.yaml, ./c.yaml], presence: optional}
        """,
    )
    return lambda: platform.root(request.param)


def test_of_two_files_of_a_location_the_first_keeps_the_name(platform, shared):
    platform.write("a.yaml", document("one", owner="a"))
    platform.write("b.yaml", document("one", owner="b") + "---\n" + document("two"))

    report = shared()

    assert owner(platform) == "a"
    (flaw,) = report.flaws
    assert flaw.problem.location.endswith("b.yaml")
    assert "is already described by file:" in flaw.problem.message
    assert all("status" not in entity for entity in platform.served().values())
    (problem,) = platform.rows("SELECT location, notice FROM problem")
    assert (problem[0], bool(problem[1])) == (flaw.problem.location, True)
    count = len(platform.rows("SELECT seq FROM change"))
    platform.write("b.yaml", document("one", owner="b2") + "---\n" + document("two"))
    shared()
    assert len(platform.rows("SELECT seq FROM change")) == count


def test_a_new_file_does_not_take_a_name_from_an_older_one_of_its_location(platform, shared):
    platform.write("b.yaml", document("one", owner="b"))
    shared()
    platform.write("a.yaml", document("one", owner="a"))

    for text in ("b", "b2"):
        platform.write("b.yaml", document("one", owner=text))
        assert len(shared().flaws) == 1
        assert owner(platform) == text


def test_nor_does_one_that_is_read_before_a_pattern_that_finds_the_older_one(platform):
    targets = "[./a.yaml, ./d/*.yaml]"
    all_of_them = "apiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata: {name: all}\n"
    platform.write("all.yml", f"{all_of_them}spec: {{targets: {targets}, presence: optional}}\n")
    platform.write("d/b.yaml", document("one", owner="b"))
    platform.root("all.yml")
    platform.write("a.yaml", document("one", owner="a"))

    for text in ("b", "b2"):
        platform.write("d/b.yaml", document("one", owner=text))
        assert len(platform.root("all.yml").flaws) == 1
        assert owner(platform) == text

    (platform.folder / "d" / "b.yaml").unlink()
    platform.root("all.yml")
    assert owner(platform) == "a"


@pytest.mark.parametrize("other", ["b", 8])
def test_a_file_that_is_not_valid_loses_a_name_at_once_and_for_good(platform, shared, other):
    platform.write("a.yaml", document("one", owner=7))
    platform.write("b.yaml", document("one", owner=other))
    loser = "a.yaml" if other == "b" else "b.yaml"
    seen = []
    for number in range(3):
        # A new file has the others read again.
        platform.write("c.yaml", document(f"c{number}"))
        shared()
        notices = platform.rows("SELECT location FROM problem WHERE notice")
        emission = platform.rows(
            "SELECT e.hash FROM emission e JOIN ref r ON r.id = e.ref_id WHERE r.ref LIKE '%/one'"
        )
        seen.append(([place[-6:] for (place,) in notices], emission))
    assert seen[0][0] == [loser]
    assert seen[0] == seen[1] == seen[2]


def test_a_file_takes_a_name_over_that_another_of_its_location_leaves(platform, shared):
    platform.write("b.yaml", document("one", owner="b") + "---\n" + document("two"))
    shared()
    platform.write("a.yaml", document("one", owner="a"))
    platform.write("c.yaml", document("one", owner="c"))
    shared()
    assert owner(platform) == "b"
    uid = platform.served()["component:default/one"]["metadata"]["uid"]

    platform.write("b.yaml", document("two"))
    report = shared()

    assert owner(platform) == "a"
    assert [flaw.problem.location[-6:] for flaw in report.flaws] == ["c.yaml"]
    assert platform.served()["component:default/one"]["metadata"]["uid"] == uid


def test_a_file_that_is_broken_today_keeps_its_names_from_others_of_its_location(platform, shared):
    platform.write("b.yaml", document("one", owner="b"))
    shared()
    platform.write("a.yaml", document("one", owner="a"))
    platform.write("b.yaml", "kind: [unclosed")

    shared()

    assert owner(platform) == "b"


def test_an_entity_that_moves_to_another_file_of_its_location_stays_the_same(platform, shared):
    platform.write("a.yaml", document("one", owner="a") + "---\n" + document("two"))
    shared()
    uid = platform.served()["component:default/one"]["metadata"]["uid"]
    platform.write("a.yaml", document("two"))
    path = platform.write("b.yaml", document("one", owner="b"))

    report = shared()

    one = platform.served()["component:default/one"]
    assert (one["metadata"]["uid"], one["spec"]["owner"]) == (uid, "b")
    place = one["metadata"]["annotations"]["backstage.io/managed-by-location"]
    assert (place, report.flaws) == (f"file:{path}", [])


def test_a_file_named_by_two_targets_is_read_once_and_told_of_once(platform):
    platform.write("a.yaml", document("one") + "---\n" + document("one", owner="team-b"))
    platform.write(
        "all.yml",
        """\
        apiVersion: backstage.io/v1alpha1
        kind: Location
        metadata: {name: all}
        spec: {type: file, targets: [./a.yaml, ./*.yaml]}
        """,
    )

    report = platform.root("all.yml")

    assert len(report.flaws) == 1
    assert len(platform.rows("SELECT * FROM problem")) == 1


def test_what_is_not_valid_gives_way_to_another_file_of_its_location_and_is_told(platform, shared):
    platform.write("a.yaml", document("one", lifecycle=5))
    platform.write("b.yaml", document("one", owner="b"))

    shared()
    first = platform.rows("SELECT location, error FROM problem")
    platform.write("c.yaml", document("two"))
    shared()

    assert owner(platform) == "b"
    assert [place[-6:] for place, _ in first] == ["a.yaml"]
    assert platform.rows("SELECT location, error FROM problem") == first


@pytest.mark.parametrize("is_there", [True, False])
def test_a_file_that_a_later_pattern_matches_keeps_its_name(platform, is_there):
    platform.write(
        "all.yml",
        """\
        apiVersion: backstage.io/v1alpha1
        kind: Location
        metadata: {name: all}
        spec: {type: file, targets: [./a.yaml, './b*.yaml']}
        """,
    )
    platform.write("a.yaml", document("two"))
    held = platform.write("b1.yaml", document("one", owner="b"))
    platform.root("all.yml")
    platform.write("a.yaml", document("two") + "---\n" + document("one", owner="a"))
    if not is_there:
        held.unlink()

    platform.root("all.yml")

    assert owner(platform) == "b"


def test_of_two_configured_locations_the_first_has_what_both_describe(platform):
    names = [f"{number}.yaml" for number in range(6)]
    for name in names:
        platform.write(name, document("one", owner=name))
    roots = [generated("file", str(platform.folder / name)) for name in names]

    for some in (roots, roots[::-1]):
        platform.source(*some, name="config")
        assert owner(platform) == names[roots.index(some[0])]
        platform.source(name="config")


def test_a_problem_that_is_elsewhere_now_is_told_of_that_place(platform, shared):
    for name, text in (("a", "one"), ("b", "one"), ("c", "two")):
        platform.write(f"{name}.yaml", document(text))
    shared()

    platform.write("b.yaml", document("two"))
    platform.write("c.yaml", document("one"))
    shared()

    taken = "SELECT location FROM problem WHERE error LIKE '%default/one is already%'"
    assert [place[-6:] for (place,) in platform.rows(taken)] == ["c.yaml"]
