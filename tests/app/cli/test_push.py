"""`push` against a running server."""

from __future__ import annotations

import pytest

from tests.app.cli.command import component, run, run_json
from tests.app.cli.write_server import write_server


@pytest.fixture
def running(migrated_sqlite, tmp_path):
    with write_server(migrated_sqlite(tmp_path / "callboard.sqlite"), tmp_path) as running:
        yield running


@pytest.fixture
def called(running):
    return ["--server", running[1], "--token", "ci"]


def names(running):
    return sorted(ref.partition("/")[2] for ref in running[0].platform.served())


def test_files_and_folders_are_all_there_is(running, called, own_folder):
    (own_folder / "more").mkdir()
    (own_folder / "more" / "catalog-info.yaml").write_text(component("api"))
    (own_folder / "web.yaml").write_text(component("web") + "---\n" + component("job"))

    result = run("push", "cmdb", "web.yaml", "more", "--version", 1, *called)

    assert (result.exit_code, result.stdout) == (
        0, "push:cmdb is at version 1: 3 written, 0 unchanged, 0 removed\n"
    )  # fmt: skip
    assert names(running) == ["api", "job", "web"]
    assert run("push", "cmdb", "web.yaml", "more", "--version", 1, *called).stdout == (
        "push:cmdb has version 1 already\n"
    )
    assert run_json("push", "cmdb", "web.yaml", "--version", 2, *called)["removed"] == 1
    assert names(running) == ["job", "web"]


def test_a_difference_builds_on_a_version(running, called, own_folder):
    (own_folder / "web.yaml").write_text(component("web"))
    (own_folder / "new.yaml").write_text(component("new"))
    run("push", "cmdb", "web.yaml", "--version", 1, *called)

    more = ["new.yaml", "--version", 2, "--base", 1, "--delete", "component:web"]
    assert run("push", "cmdb", *more, *called).stdout == (
        "push:cmdb is at version 2: 1 written, 0 unchanged, 1 removed\n"
    )
    assert names(running) == ["new"]
    late = run("push", "cmdb", "new.yaml", "--version", 3, "--base", 1, *called)
    assert late.exit_code == 1
    assert "builds on 1; the current version is 2" in late.stderr


def test_what_is_not_valid_is_told_and_changes_nothing_unless_it_is_skipped(
    running, called, own_folder
):
    (own_folder / "web.yaml").write_text(component("web") + "---\n" + component("a b"))
    refused = run("push", "cmdb", "web.yaml", "--version", 1, *called)
    assert refused.exit_code == 1
    assert "/entities/1/metadata/name" in refused.stderr
    assert names(running) == []

    taken = run("push", "cmdb", "web.yaml", "--version", 1, "--skip-invalid", *called)
    assert taken.exit_code == 0
    assert "/entities/1/metadata/name: " in taken.stderr
    assert names(running) == ["web"]


def test_a_mass_removal_has_to_be_forced(running, called, own_folder):
    (own_folder / "many.yaml").write_text("---\n".join(component(f"n{n}") for n in range(6)))
    (own_folder / "one.yaml").write_text(component("n0"))
    run("push", "cmdb", "many.yaml", "--version", 1, *called)
    refused = run("push", "cmdb", "one.yaml", "--version", 2, *called)
    assert (refused.exit_code, "would lose 5 of its 6" in refused.stderr) == (1, True)
    assert run("push", "cmdb", "one.yaml", "--version", 2, "--force", *called).exit_code == 0
    assert names(running) == ["n0"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["web.yaml"], 2, "Missing option '--version'"),
        (["--version", 1], 2, "Give the files that hold all entities"),
        (["web.yaml", "--version", 1, "--delete", "component:a"], 2, "--delete wants a --base"),
        (["missing.yaml", "--version", 1], 1, "missing.yaml: there is no such file or folder"),
        (["broken.yaml", "--version", 1], 1, "broken.yaml:"),
    ],
)
def test_calls_that_cannot_be_meant_are_refused(called, own_folder, arguments, code, message):
    (own_folder / "web.yaml").write_text(component("web"))
    (own_folder / "broken.yaml").write_text("a: [b\n")
    result = run("push", "cmdb", *arguments, *called)
    assert (result.exit_code, message in result.stderr) == (code, True)


def test_sources_and_callers_that_the_server_does_not_know_are_refused(running, called, own_folder):
    (own_folder / "web.yaml").write_text(component("web"))
    other = run("push", "other one", "web.yaml", "--version", 1, *called)
    assert (other.exit_code, "callboard.push.sources" in other.stderr) == (1, True)
    user = ["--server", running[1], "--token", "ada"]
    assert "'user' credentials" in run("push", "cmdb", "web.yaml", "--version", 1, *user).stderr
