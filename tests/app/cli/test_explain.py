"""`explain`, `impact` and `path` against a running server."""

from __future__ import annotations

import pytest

from app.db.engine import open_database
from tests.app.catalog.platform import Platform, document
from tests.app.cli.command import at_terminal, run, run_json
from tests.app.graph.web_graph import graph_server

WEB, API, DB = (f"component:default/{name}" for name in ("web", "api", "db"))


@pytest.fixture
def platform(migrated_sqlite, tmp_path):
    database = open_database(migrated_sqlite(tmp_path / "callboard.sqlite"))
    platform = Platform(database, tmp_path)
    texts = [
        document("web", dependsOn=["component:api"], owner="nobody"),
        document("api", dependsOn=["component:db"]),
        document("db"),
        document("team-a", kind="Group", type="team", children=[]),
    ]
    platform.write("a.yaml", "---\n".join(texts))
    platform.root("a.yaml")
    yield platform
    database.close()


@pytest.fixture
def url(platform):
    with graph_server(platform) as url:
        yield url


# -- explain --------------------------------------------------------------------------------------


def test_an_entity_is_explained_a_fact_a_line(platform, url):
    path = platform.write("a.yaml", "kind: [unclosed\n")
    platform.root("a.yaml")

    result = run("explain", "component:web", "--server", url)

    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert lines[0] == ["state", "served"]
    assert ["claim", "served", f"file:{path}:1", "config"] in [line[:4] for line in lines]
    (problem,) = (line for line in lines if line[0] == "problem")
    assert problem[1:3] == ["file", f"file:{path}:2:1"]
    assert ["dangling", "ownedBy", "group:default/nobody", "unknown"] in lines


def test_an_explanation_as_json_has_everything(url):
    found = run_json("explain", WEB, "--server", url)

    assert found["ref"] == WEB
    assert {field["from"] for field in found["fields"]} == {"author", "callboard"}


def test_what_is_not_served_is_explained_with_exit_code_1(url):
    result = run("explain", "component:nope", "--server", url)

    assert result.exit_code == 1
    assert "component:default/nope does not exist, and no source ever described it." in (
        result.stdout
    )


def test_what_is_no_ref_is_a_usage_error(url):
    for command in (["explain", "web"], ["impact", ":"], ["path", WEB, "web"]):
        assert run(*command, "--server", url).exit_code == 2


def test_a_terminal_gets_sections(platform, url, own_folder):
    shown = at_terminal("explain", WEB, "--server", url, cwd=own_folder)

    assert "Described by" in shown
    assert "Relations to nothing" in shown
    assert "is served as" in shown


# -- impact ---------------------------------------------------------------------------------------


def test_the_impact_is_listed_the_nearest_first(url):
    result = run("impact", "component:db", "--server", url)

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"1\t{API}\t{DB} dependencyOf",
        f"2\t{WEB}\t{API} dependencyOf",
    ]


def test_the_impact_is_gone_through_page_by_page(url, monkeypatch):
    monkeypatch.setattr("app.cli.walks.PAGE", 1)

    found = run_json("impact", "component:db", "--server", url)

    assert [node["ref"] for node in found["nodes"]] == [API, WEB]


def test_the_impact_can_be_limited(url):
    assert run("impact", DB, "--depth", "1", "--server", url).stdout.count("\n") == 1
    result = run("impact", DB, "--types", "ownedBy", "--server", url)
    assert result.stdout.split("\t")[1] == "group:default/team-a"


def test_the_impact_of_what_does_not_exist_fails_in_the_servers_words(url):
    result = run("impact", "component:nope", "--server", url)

    assert (result.exit_code, result.stderr) == (
        1,
        "Error: No such entity component:default/nope\n",
    )


def test_a_terminal_gets_a_table_and_who_owns_it(url, own_folder):
    shown = at_terminal("impact", DB, "--server", url, cwd=own_folder)

    assert "BECAUSE" in shown
    assert "2 entities, owned by group:default/team-a (1)" in shown


# -- path -----------------------------------------------------------------------------------------


def test_a_path_is_written_step_by_step(url):
    result = run("path", "component:web", "component:db", "--server", url)

    assert result.exit_code == 0
    assert result.stdout == f"{WEB} -dependsOn-> {API} -dependsOn-> {DB}\n"


def test_a_path_as_json_is_what_the_server_answers(url):
    found = run_json("path", WEB, DB, "--types", "dependsOn", "--limit", "1", "--server", url)

    assert found["length"] == 2


def test_no_path_is_exit_code_1(url):
    result = run("path", DB, WEB, "--types", "dependsOn", "--server", url)

    assert (result.exit_code, result.stdout) == (1, "")
    assert f"No way leads from {DB} to {WEB}." in result.stderr
    result = run("path", DB, WEB, "--types", "dependsOn", "--direction", "both", "--server", url)
    assert result.exit_code == 0
