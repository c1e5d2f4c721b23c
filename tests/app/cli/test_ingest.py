"""`ingest`: files, folders, URLs and repositories into the database, and the summary of it."""

from __future__ import annotations

import signal
import sqlite3
import time
from pathlib import Path

import pytest

from app.cli.catalog_files import FoundFile
from app.cli.ingest_roots import roots
from app.cli.ingest_sources import is_git
from app.cli.main import INTERRUPTED
from tests.app.cli.command import RULES, at_terminal, component, document, run, run_json, start
from tests.app.scm.git_server import Origin
from tests.app.scm.web_server import web_server


@pytest.fixture(autouse=True)
def configuration():
    Path("app-config.yaml").write_text(RULES)


def location(name: str, *targets: str) -> str:
    return document("Location", name, targets=list(targets))


def refs() -> list[str]:
    """The entities that are served, but for the Locations that stand for arguments."""
    with sqlite3.connect(".callboard/callboard.sqlite") as database:
        rows = database.execute(
            "SELECT r.ref FROM entity e JOIN ref r ON r.id = e.id ORDER BY r.ref"
        ).fetchall()
    return [ref for (ref,) in rows if "generated-" not in ref]


# What is read


def test_a_file_is_read():
    Path("any.txt").write_text(component("web") + "---\n" + component("api"))

    report = run_json("ingest", "any.txt")

    assert report["ok"] is True
    assert report["kinds"] == {"Component": 2, "Location": 1}
    assert refs() == ["component:default/api", "component:default/web"]


def test_the_catalog_files_of_a_folder_are_read_each_once():
    folder = Path("repo")
    (folder / "a").mkdir(parents=True)
    (folder / "all.yaml").write_text(location("all", "./a/*.yaml"))
    (folder / "a" / "web.yaml").write_text(component("web"))
    (folder / "a" / "api.yaml").write_text(component("api"))
    (folder / "catalog-info.yaml").write_text(component("top"))
    (folder / "values.yaml").write_text("replicas: 3\n")

    report = run_json("ingest", "repo")

    assert refs() == [f"component:default/{n}" for n in ("api", "top", "web")] + [
        "location:default/all"
    ]
    assert report["counts"]["written"] == 5


def test_templates_of_catalog_files_are_left_out_and_said():
    skeleton = Path("repo/skeleton/catalog-info.yaml")
    skeleton.parent.mkdir(parents=True)
    skeleton.write_text(component("${{ values.name }}"))
    Path("repo/catalog-info.yaml").write_text(component("web"))

    report = run_json("ingest", "repo")

    assert report["ok"] is True
    assert report["sources"][0]["leftOut"] == ["repo/skeleton/catalog-info.yaml:4:9"]
    assert refs() == ["component:default/web"]


def test_a_pattern_says_which_files_of_a_folder_are_read():
    Path("repo/x").mkdir(parents=True)
    Path("repo/a.yaml").write_text(component("a"))
    Path("repo/x/b.yaml").write_text(component("b"))

    run("ingest", "repo", "--pattern", "*/*.yaml")
    assert refs() == ["component:default/b"]
    run("ingest", "repo", "--pattern", "**/*.yaml", "--exclude", "x")
    assert refs() == ["component:default/a"]


def test_a_url_is_read_if_its_host_may_be():
    with web_server() as web:
        web.answer("/catalog.yaml", component("web").encode())
        refused = run_json("ingest", f"{web.url}/catalog.yaml")
        Path("more.yaml").write_text(
            f"backend: {{reading: {{allow: [{{host: '127.0.0.1:{web.port}'}}]}}}}\n"
        )
        report = run_json(
            "ingest",
            f"{web.url}/catalog.yaml",
            "--config",
            "app-config.yaml",
            "--config",
            "more.yaml",
        )

    (problem,) = refused["sources"][0]["problems"]
    assert "is not allowed" in problem["message"]
    assert report["ok"] is True
    assert refs() == ["component:default/web"]


def test_a_git_repository_is_read_at_a_branch(tmp_path):
    origin = Origin.create(tmp_path / "app.git")
    origin.commit({"x/catalog-info.yaml": component("web").encode(), "other.yaml": b"- 1\n"})
    origin.commit({"catalog-info.yaml": component("next").encode()}, branch="next")

    assert run_json("ingest", origin.path)["ok"] is True
    assert refs() == ["component:default/web"]
    assert run_json("ingest", origin.path, "--branch", "next")["ok"] is True
    assert refs() == ["component:default/next"]


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("git@example.com:team/app.git", True),
        ("ssh://git@example.com/app", True),
        ("https://example.com/app.git", True),
        ("git+https://example.com/app", True),
        ("file:///srv/app.git", True),
        ("https://example.com/catalog-info.yaml", False),
        ("./catalog-info.yaml", False),
        ("/srv/catalog", False),
        ("odd@name/file.yaml", False),
    ],
)
def test_repositories_are_told_from_files(argument, expected):
    assert is_git(argument) is expected


def test_without_arguments_the_configured_sources_are_read():
    Path("app-config.yaml").write_text("catalog: {locations: [{type: file, target: a.yaml}]}\n")
    Path("a.yaml").write_text(component("web"))

    report = run_json("ingest")

    assert [source["source"] for source in report["sources"]] == ["locations"]
    assert refs() == ["component:default/web"]


@pytest.mark.parametrize("argument", ["nowhere", "ftp://example.com/x", "https://host:port/x.git"])
def test_what_cannot_be_a_source_is_a_failure_before_anything_is_read(argument):
    Path("a.yaml").write_text(component("web"))

    result = run("ingest", "a.yaml", argument)

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert refs() == []


# Again


def test_an_unchanged_file_is_not_written_again():
    Path("a.yaml").write_text(component("web"))
    run("ingest", "a.yaml")

    report = run_json("ingest", "a.yaml")

    assert report["counts"] == {
        "read": 1, "unchanged": 2, "written": 0, "invalid": 0, "conflicts": 0, "removed": 0,
    }  # fmt: skip
    assert report["kinds"] == {"Component": 1, "Location": 1}


def test_what_an_argument_holds_no_longer_is_removed_and_the_others_keep_theirs():
    Path("a.yaml").write_text(component("web") + "---\n" + component("old"))
    Path("b.yaml").write_text(component("other"))
    run("ingest", "a.yaml", "b.yaml")
    Path("a.yaml").write_text(component("web"))

    report = run_json("ingest", "a.yaml")

    assert report["counts"]["removed"] == 1
    assert refs() == ["component:default/other", "component:default/web"]


# Problems


def test_problems_have_their_place_and_exit_code_1():
    Path("a.yaml").write_text(component("web"))
    Path("b.yaml").write_text(component("api", owner=""))
    Path("c.yaml").write_text("a: [\n")

    result = run("ingest", "a.yaml", "b.yaml", "c.yaml")

    assert result.exit_code == 1
    problems = [x.split("\t")[1:3] for x in result.stdout.splitlines() if x.startswith("problem")]
    assert problems[0] == [f"file:{Path('b.yaml').absolute()}:8:10", "component:default/api"]
    assert problems[1][0].startswith(f"file:{Path('c.yaml').absolute()}:")
    assert refs() == ["component:default/web"]


def test_problems_are_told_as_long_as_they_stand():
    Path("b.yaml").write_text(component("api", owner=""))
    run("ingest", "b.yaml")

    report = run_json("ingest", "b.yaml")

    assert report["counts"]["written"] == 0
    (problem,) = report["sources"][0]["problems"]
    assert (problem["line"], problem["column"], problem["ref"]) == (8, 10, "component:default/api")
    Path("b.yaml").write_text(component("api"))
    assert run_json("ingest", "b.yaml")["ok"] is True


def test_an_entity_that_another_place_defines_is_a_problem_that_names_both():
    Path("a.yaml").write_text(component("web"))
    Path("b.yaml").write_text(component("web", owner="team-b"))
    run("ingest", "a.yaml")

    result = run("ingest", "b.yaml")

    assert result.exit_code == 1
    assert f"file:{Path('a.yaml').absolute()} has it already" in result.stdout
    assert f"file:{Path('b.yaml').absolute()}:1" in result.stdout


def test_names_that_are_used_twice_are_told_by_every_run_until_that_is_mended():
    twice = component("web") + "---\n" + component("web", owner="team-b")
    Path("a.yaml").write_text(twice)
    Path("b.yaml").write_text(component("web"))

    first = run_json("ingest", "a.yaml", "b.yaml")
    second = run_json("ingest", "a.yaml", "b.yaml")

    assert second["counts"]["written"] == 0
    problems = [p for source in second["sources"] for p in source["problems"]]
    assert problems == [p for source in first["sources"] for p in source["problems"]]
    assert [(p["ref"], p["line"]) for p in problems] == [("component:default/web", 1)] * 2
    assert "is described again on line 10, which counts" in problems[0]["message"]
    assert f"file:{Path('a.yaml').absolute()} has it already" in problems[1]["message"]
    Path("a.yaml").write_text(component("web"))
    Path("b.yaml").write_text(component("api"))
    assert run_json("ingest", "a.yaml", "b.yaml")["ok"] is True


def test_a_source_that_fails_does_not_keep_the_others_from_being_read(tmp_path):
    Path("a.yaml").write_text(component("web"))
    (tmp_path / "empty.git").mkdir()

    report = run_json("ingest", f"file://{tmp_path}/empty.git", "a.yaml")

    assert [source["state"] for source in report["sources"]] == ["failed", "done"]
    assert "there is no git repository" in report["sources"][0]["error"]
    assert refs() == ["component:default/web"]


def test_a_database_that_cannot_be_opened_is_one_clear_line():
    Path("data").mkdir()
    Path("data/callboard.sqlite").write_text("not a database, but long enough to look like one")

    result = run("ingest", "app-config.yaml", "--data-dir", "data")

    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "file is not a database" in result.stderr


# Stopping


def test_an_interrupt_stops_between_batches_and_another_run_goes_on(own_folder):
    many = "---\n".join(component(f"c{number}") for number in range(8_000))
    Path("many.yaml").write_text(many)
    process = start("ingest", "many.yaml", cwd=own_folder)
    database = own_folder / ".callboard" / "callboard.sqlite"
    deadline = time.monotonic() + 150
    while _count(database) < 500 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=150)

    assert process.returncode == INTERRUPTED, err
    assert "run it again to go on" in err
    assert "stopped\tread=" in out
    assert 0 < _count(database) < 8_001
    assert "Traceback" not in err
    assert run_json("ingest", "many.yaml")["kinds"]["Component"] == 8_000


def test_a_terminal_gets_tables_and_a_progress_line(own_folder):
    Path("a.yaml").write_text(component("web"))
    Path("b.yaml").write_text(component("\x1b]0;title\x07", owner=""))

    text = at_terminal("ingest", "a.yaml", "b.yaml", cwd=own_folder)

    assert "unchanged" in text
    assert "1 problem" in text
    assert "\x1b]0;" not in text


def _count(database: Path) -> int:
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            return int(connection.execute("SELECT count(*) FROM emission").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


# Which files have to be named


def named(**files: str) -> list[str]:
    found = [FoundFile(n, Path(f"/r/{n}.yaml"), text.encode()) for n, text in files.items()]
    return [file.name for file in roots(found)]


def test_files_that_a_location_names_are_not_named_again():
    assert named(a=component("a"), b=location("b", "./a.yaml", "./c.yaml"), c=component("c")) == [
        "b"
    ]
    assert named(a=component("a"), b=location("b", "./*.yaml")) == ["b"]
    assert named(a=component("a"), b=component("b")) == ["a", "b"]


def test_locations_that_name_each_other_are_still_reached():
    circle = {"a": location("a", "./b.yaml"), "b": location("b", "./a.yaml")}

    assert named(**circle, c=component("c")) == ["a", "c"]
    assert named(a=location("a", "./a.yaml")) == ["a"]


def test_a_location_of_another_type_reads_no_files():
    other = document("Location", "b", type="url", targets=["./a.yaml"])

    assert named(a=component("a"), b=other) == ["a", "b"]


def test_a_location_with_a_pattern_that_makes_no_sense_keeps_no_other_file_from_being_read():
    wild = location("b", "./" + "{a,b}" * 9)
    odd = document("Location", "c", type=["file"], targets=["./a.yaml"])

    assert named(a=component("a"), b=wild, c=odd) == ["a", "b", "c"]
