"""`lint`: which files, in which form, against what, and with which exit code."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from app.catalog.lint_rules import RULES
from tests.app.cli.command import ROOT, component, document, run, run_json

BROKEN = component("my web")
TEAM = document("Group", "team-a", type="team", children=[])


def write(files: dict[str, str]) -> None:
    """Write files in the working folder."""
    for name, text in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


# Exit codes


def test_good_files_are_exit_code_0():
    write({"a.yaml": component("web")})

    result = run("lint", "a.yaml")

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "0 errors, 0 warnings in 1 file, 1 entity\n"


def test_errors_are_exit_code_1_with_a_line_for_each():
    write({"a.yaml": BROKEN})

    result = run("lint", "a.yaml")

    assert result.exit_code == 1
    (line,) = result.stdout.splitlines()
    assert line.startswith('a.yaml:4:9: error: "metadata.name" is not valid; expected ')
    assert line.endswith('but found "my web" [field-format]')
    assert result.stderr == "1 error, 0 warnings in 1 file, 1 entity\n"


def test_warnings_are_exit_code_0_unless_strict():
    write({"a.yaml": component("web", owner="component:x")})

    assert run("lint", "a.yaml").exit_code == 0
    assert run("lint", "a.yaml", "--strict").exit_code == 1


def test_a_path_that_does_not_exist_is_exit_code_1():
    result = run("lint", "nowhere")

    assert (result.exit_code, result.stderr) == (
        1,
        "Error: nowhere: there is no such file or folder\n",
    )


# Which files


def test_a_folder_stands_for_the_catalog_files_in_it():
    write(
        {
            "x/catalog-info.yaml": BROKEN,
            "x/y/org.yml": TEAM,
            "x/deployment.yaml": "apiVersion: apps/v1\nkind: Deployment\n",
            "x/notes.txt": component("a"),
            "node_modules/catalog-info.yaml": BROKEN,
        }
    )

    found = run_json("lint", ".")

    assert found["files"] == 2
    assert [finding["file"] for finding in found["findings"]] == ["x/catalog-info.yaml"]


def test_a_file_that_is_named_is_checked_whatever_it_is_called():
    write({"a.txt": "a: ["})

    assert [f["rule"] for f in run_json("lint", "a.txt")["findings"]] == ["yaml-syntax"]


def test_a_file_that_is_given_twice_is_checked_once():
    write({"x/a.yaml": component("web")})

    assert run_json("lint", "x", "x/a.yaml", Path("x").absolute())["findings"] == []


def test_patterns_choose_and_leave_out_files():
    write({"a/x.yaml": BROKEN, "a/skeleton/y.yaml": BROKEN, "b/z.txt": BROKEN})

    def files(*options: str) -> list[str]:
        return [f["file"] for f in run_json("lint", ".", *options)["findings"]]

    assert files("--pattern", "*/z.txt") == ["b/z.txt"]
    assert files("--exclude", "**/skeleton") == ["a/x.yaml"]
    assert files("--pattern", "**/*.yaml", "--exclude", "a/x.yaml") == ["a/skeleton/y.yaml"]


def test_a_folder_without_catalog_files_is_fine_but_said():
    result = run("lint", ".")

    assert result.exit_code == 0
    assert result.stderr.startswith("There are no catalog files")


def test_what_cannot_be_read_is_a_finding():
    Path("a.yaml").symlink_to("nowhere.yaml")
    os.mkfifo("catalog-info.yaml")
    write({"b.yaml": component("web")})

    findings = run_json("lint", ".")["findings"]

    assert [(f["rule"], f["file"]) for f in findings] == [
        ("unreadable-file", "a.yaml"),
        ("unreadable-file", "catalog-info.yaml"),
    ]


# References


def test_references_are_checked_against_a_running_server(server):
    write({"a.yaml": component("web", system="x").replace("team-a", "team-b")})
    server.add("Group", "team-a")

    findings = run_json("lint", "a.yaml", "--server", server.url)["findings"]

    assert [(f["rule"], f["severity"], f["line"], f["column"]) for f in findings] == [
        ("dangling-reference", "warning", 9, 10)
    ]
    assert findings[0]["message"] == "spec.owner: there is no group:default/team-b"
    assert findings[0]["ref"] == "component:default/web"
    server.add("Group", "team-b")
    assert run_json("lint", "a.yaml", "--server", server.url)["findings"] == []


def test_a_server_is_asked_for_a_thousand_at_a_time(server):
    refs = [f"resource:r{number}" for number in range(2500)]
    write({"a.yaml": document("Resource", "db", type="db", owner="user:u", dependsOn=refs)})

    found = run_json("lint", "a.yaml", "--server", server.url)

    asked = [len(body["entityRefs"]) for _, path, body in server.requests if "by-refs" in path]
    assert asked == [1000, 1000, 501]
    assert found["warnings"] == 2501


def test_a_server_that_cannot_be_asked_is_a_failure_not_a_clean_bill(server):
    write({"a.yaml": component("web")})
    server.lets_guests_in = False

    result = run("lint", "a.yaml", "--server", server.url)

    assert result.exit_code == 1
    assert "CALLBOARD_TOKEN" in result.stderr


def test_references_are_checked_against_a_folder_that_is_not_checked_itself():
    write({"a.yaml": component("web"), "other/org.yaml": TEAM + "---\n" + BROKEN})

    assert run_json("lint", "a.yaml", "--catalog", "other")["findings"] == []
    write({"other/org.yaml": BROKEN})
    findings = run_json("lint", "a.yaml", "--catalog", "other")["findings"]
    assert [f["rule"] for f in findings] == ["dangling-reference"]


def test_without_a_catalog_nothing_is_said_about_what_is_elsewhere():
    write({"a.yaml": component("web", owner="nobody")})

    assert run_json("lint", "a.yaml")["findings"] == []


# Kinds of one's own


def test_kinds_of_the_configuration_are_known_and_found():
    write(
        {
            "app.yaml": (
                "catalog:\n  kinds:\n    - kind: Dataset\n      apiVersions: data.example.com/v1\n"
                "      schema: {properties: {spec: {required: [source]}}}\n"
            ),
            "x/d.yaml": component("a")
            .replace("backstage.io/v1alpha1", "data.example.com/v1")
            .replace("Component", "Dataset"),
        }
    )

    assert run_json("lint", "x")["files"] == 0
    findings = run_json("lint", "x", "--config", "app.yaml")["findings"]
    assert [f["message"] for f in findings] == ["spec.source is required"]


# Forms


@pytest.fixture
def awkward():
    """A finding whose file and message need escaping."""
    Path("a,b: c%.yaml").write_text("- 1\n")
    Path("b.yaml").write_text(component("web", owner="component:x"))


def test_github_gets_commands_that_are_escaped(awkward):
    result = run("lint", "a,b: c%.yaml", "b.yaml", "--format", "github")

    assert result.stdout.splitlines() == [
        (
            "::error file=a%2Cb%3A c%25.yaml,line=1,col=1,title=callboard not-an-entity"
            "::a document of a catalog file has to be an object, and this is none"
        ),
        (
            "::warning file=b.yaml,line=8,col=10,title=callboard wrong-kind"
            '::spec.owner should name a Group or a User, but "component:x" is component:default/x'
        ),
    ]
    assert result.exit_code == 1


def test_sarif_has_what_its_readers_need(awkward):
    result = run("lint", "a,b: c%.yaml", "b.yaml", "--format", "sarif")

    log = json.loads(result.stdout)
    assert log["version"] == "2.1.0"
    (sarif_run,) = log["runs"]
    rules = sarif_run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(RULES)
    base = sarif_run["originalUriBaseIds"]["SRCROOT"]["uri"]
    assert base == Path.cwd().as_uri() + "/"
    first, second = sarif_run["results"]
    assert first["level"] == "error"
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "a%2Cb%3A%20c%25.yaml", "uriBaseId": "SRCROOT"}
    assert place["region"] == {"startLine": 1, "startColumn": 1}
    for result in (first, second):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"]


def test_sarif_names_files_elsewhere_by_their_whole_address(tmp_path):
    (tmp_path / "elsewhere.yaml").write_text("- 1\n")

    log = json.loads(run("lint", tmp_path / "elsewhere.yaml", "--format", "sarif").stdout)

    place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": (tmp_path / "elsewhere.yaml").as_uri()}


def test_json_has_counts_and_findings():
    write({"a.yaml": component("web") + "---\n- 1\n"})

    found = run_json("lint", "a.yaml")

    counts = {key: found[key] for key in ("files", "entities", "errors", "warnings")}
    assert counts == {"files": 1, "entities": 1, "errors": 1, "warnings": 0}
    assert found["findings"] == [
        {
            "rule": "not-an-entity",
            "severity": "error",
            "message": "a document of a catalog file has to be an object, and this is none",
            "file": "a.yaml",
            "line": 10,
            "column": 1,
            "ref": None,
        }
    ]


def test_every_rule_is_documented():
    text = (ROOT / "docs" / "command-line.md").read_text()

    for rule in RULES.values():
        assert f"| `{rule.id}` | {rule.severity} |" in text


def test_the_demo_is_clean_but_for_its_skeletons():
    found = run_json("lint", ROOT / "catalog-info", "--catalog", ROOT / "catalog-info")

    assert {finding["rule"] for finding in found["findings"]} == {"yaml-template"}
    assert all("skeleton" in finding["file"] for finding in found["findings"])
