"""`preview` against a running server, in working trees of real git repositories."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.app.cli.command import component, document, run, run_json
from tests.app.cli.write_server import write_server
from tests.app.graph.preview.repository import BASE

WEB = "component:default/web"
ADDRESS = "a@example.org"
AUTHOR = {
    f"GIT_{who}_{what}": ADDRESS for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}


@pytest.fixture
def tree(own_folder):
    git("init", "--quiet", "--initial-branch=main")
    write(own_folder, "web.yaml", component("web"))
    write(own_folder, "team.yaml", team("team-a"))
    commit()
    git("checkout", "--quiet", "-b", "change")
    return own_folder


@pytest.fixture
def running(migrated_sqlite, tmp_path, tree):
    with write_server(migrated_sqlite(tmp_path / "callboard.sqlite"), tmp_path) as (api, url):
        files = api.platform.repository.files
        files |= {name: (tree / name).read_text() for name in ("web.yaml", "team.yaml")}
        api.platform.root("web.yaml", "team.yaml")
        yield api, url


@pytest.fixture
def called(running):
    return ["--server", running[1], "--token", "ada", "--url-prefix", BASE.rstrip("/")]


def git(*arguments):
    subprocess.run(("git", *arguments), check=True, env={**os.environ, **AUTHOR})


def commit():
    git("add", ".")
    git("commit", "--quiet", "-m", "A change")


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def team(name):
    return document("Group", name, type="team", children=[])


def test_a_change_is_told_line_by_line(called, tree):
    write(tree, "web.yaml", component("web").replace("live", "old"))
    result = run("preview", "--base", "main", *called)
    assert (result.exit_code, result.stdout) == (0, f"~ {WEB} /spec/lifecycle\n")
    assert result.stderr == "0 created, 1 updated, 0 deleted, 0 errors, 0 conflicts\n"


def test_committed_staged_changed_new_and_removed_files_all_count(called, tree, running):
    write(tree, "committed/catalog-info.yaml", component("one"))
    commit()
    write(tree, "staged.yaml", component("two"))
    git("add", "staged.yaml")
    write(tree, "new.yaml", component("three"))
    (tree / "team.yaml").unlink()
    effect = run_json("preview", "--base", "main", *called, "--fail-on", "never")
    created = {e["ref"] for e in effect["entities"] if e["operation"] == "create"}
    components = {ref for ref in created if ref.startswith("component:")}
    assert components == {f"component:default/{name}" for name in ("one", "two", "three")}
    assert [p["kind"] for p in effect["problems"]] == ["unreadable"]
    assert effect["files"]["skipped"] == []


def test_other_files_count_only_if_something_reads_them(called, tree):
    write(tree, "README.md", "# Hello")
    write(tree, "deploy.yaml", "apiVersion: apps/v1\nkind: Deployment\n")
    result = run("preview", "--base", "main", *called)
    assert (result.exit_code, result.stdout) == (0, "")


def test_what_main_went_on_to_is_not_part_of_the_change(called, tree):
    write(tree, "web.yaml", component("web").replace("live", "old"))
    commit()
    git("checkout", "--quiet", "main")
    write(tree, "later.yaml", component("later"))
    commit()
    git("checkout", "--quiet", "change")
    assert run("preview", "--base", "main", *called).stdout == f"~ {WEB} /spec/lifecycle\n"


def test_files_and_folders_may_be_named(called, tree):
    write(tree, "svc/catalog-info.yaml", component("one"))
    write(tree, "svc/values.yaml", "a: b\n")
    (tree / "web.yaml").unlink()
    effect = run_json("preview", "svc", "web.yaml", *called, "--fail-on", "never")
    assert effect["files"]["unknown"] == [f"url:{BASE}svc/catalog-info.yaml"]
    assert [p["location"] for p in effect["problems"]] == [f"url:{BASE}web.yaml"]
    same = run_json("preview", "svc", "svc/../web.yaml", "web.yaml", *called, "--fail-on", "never")
    assert same == effect


@pytest.mark.parametrize(
    ("fail_on", "code"),
    [("errors", 1), ("conflicts", 0), ("conflicts,errors", 1), ("never", 0), ("removed", 0)],
)
def test_what_to_fail_on_can_be_chosen(called, tree, fail_on, code):
    write(tree, "web.yaml", "a: [b\n")
    assert run("preview", "--base", "main", *called, "--fail-on", fail_on).exit_code == code


def test_problems_are_shown_where_they_are_in_the_tree(called, tree):
    write(tree, "my web/catalog-info.yaml", component("web"))
    result = run("preview", "--base", "main", *called)
    assert result.exit_code == 1
    assert f"my web/catalog-info.yaml:1:1: error: {WEB} is already described by" in result.stdout
    assert "my web/catalog-info.yaml: note: no source reads it" in result.stdout


def test_every_form_can_be_asked_for(called, tree):
    write(tree, "web.yaml", component("a b"))

    def shown(form):
        return run("preview", "--base", "main", *called, "--format", form).stdout

    assert shown("markdown").startswith("### Catalog preview\n")
    log = json.loads(shown("sarif"))
    (result,) = log["runs"][0]["results"][:1]
    physical = result["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"]["uri"] == "web.yaml"
    assert physical["region"]["startLine"] > 1
    assert shown("github").startswith("::error file=web.yaml,line=")
    assert json.loads(shown("json"))["summary"]["errors"] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "Give either files or --base."),
        (["web.yaml", "--base", "main"], 2, "Give either files or --base."),
        (["--base", "nowhere"], 1, "git merge-base"),
        (["../outside.yaml"], 2, "is not in"),
        (["--base", "main", "--fail-on", "rain"], 2, "none of: errors, conflicts"),
        (["binary.yaml"], 2, "is no text of up to 1 MiB"),
    ],
)
def test_calls_that_cannot_be_meant_are_refused(called, tree, arguments, code, message):
    (tree / "binary.yaml").write_bytes(b"\xff\xfe")
    result = run("preview", *arguments, *called)
    assert (result.exit_code, message in result.stderr) == (code, True), result.stderr


def test_outside_of_a_working_tree_it_says_so(running, called, tmp_path, monkeypatch):
    outside = tmp_path / "outside"
    outside.mkdir()
    monkeypatch.chdir(outside)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    result = run("preview", "--base", "main", *called)
    assert (result.exit_code, "not a git repository" in result.stderr) == (1, True)


def test_a_link_that_leads_out_of_the_tree_shows_nobody_what_is_there(called, tree, tmp_path):
    secret = write(tmp_path, "secret.yaml", component("secret"))
    (tree / "link.yaml").symlink_to(secret)
    assert run("preview", "--base", "main", *called).stdout == ""
