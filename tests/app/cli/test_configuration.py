"""`check-config`: every mistake with its place, and the merged configuration with its origins."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from app.cli.config_text import config_lines, origins
from app.config import Config
from app.config.documents import as_nodes
from app.config.place import Place
from app.config.secrecy import MASK
from tests.app.cli.command import RULES, run, run_json


def check(text: str, *options: str):
    Path("app-config.yaml").write_text(text)
    return run("check-config", *options)


def errors(text: str) -> list[str]:
    result = check(text)
    lines = result.stderr.splitlines()
    assert result.exit_code == bool(any(line.startswith("error: ") for line in lines))
    return [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]


def test_a_good_configuration_is_good():
    result = check(RULES)

    assert result.exit_code == 0
    assert result.stderr == "ok: the configuration is good (app-config.yaml)\n"


def test_defaults_alone_are_good():
    assert run("check-config").exit_code == 0


def test_mistakes_have_path_file_and_line():
    found = errors("backend:\n  listen:\n    port: far\n  baseUrl: nothing\n")

    assert len(found) == 2
    assert any(m.startswith("backend.listen.port: ") and "app-config.yaml:3" in m for m in found)
    assert any(m.startswith("backend.baseUrl: ") and "app-config.yaml:4" in m for m in found)


def test_warnings_are_errors_here():
    (found,) = errors("callboard:\n  wrokers: 3\n")

    assert found == "callboard.wrokers: unknown key (app-config.yaml:2)"


def test_notices_are_not():
    result = check("backend: {database: {client: better-sqlite3, connection: ':memory:'}}\n")

    assert result.exit_code == 0
    assert result.stderr.startswith("note: backend.database: kept in ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "not valid YAML"),
        ("catalog: {rules: [{allow: [API], locations: [{type: file, pattern: '+(a)'}]}]}", "+(a)"),
        ("catalog: {kinds: [{kind: X, apiVersions: [x/v1], schema: {type: 3}}]}", "kind X"),
        ("catalog: {providers: {git: {a: {branch: main}}}}", "catalog.providers.git.a"),
    ],
)
def test_mistakes_that_show_only_when_things_are_joined_are_found(text, words):
    assert any(words in mistake for mistake in errors(text))


def test_a_mistake_in_a_provider_is_found_with_its_file_and_line():
    wrong = "catalog:\n  providers:\n    git:\n      a: {url: 3}\n"
    unknown = "catalog:\n  providers:\n    git:\n      a: {url: 'file:///x', brunch: main}\n"

    (mistake,) = errors(wrong)
    assert mistake.startswith("catalog.providers.git.a.url: ")
    assert mistake.endswith("app-config.yaml:4)")
    assert errors(unknown) == [
        "catalog.providers.git.a.brunch: unknown key (app-config.yaml:4)",
    ]


def test_a_provider_that_is_not_there_is_worth_a_note():
    result = check("catalog:\n  providers:\n    githubOrg: {id: x}\n")

    assert result.exit_code == 0
    assert "catalog.providers.githubOrg: ignored" in result.stderr
    assert "app-config.yaml:3" in result.stderr


def test_print_shows_the_merged_configuration_with_origins_and_without_secrets(monkeypatch):
    monkeypatch.setenv("PORT", "7999")
    Path("more.yaml").write_text("callboard: {workers: 3}\n")
    text = "backend:\n  listen: {port: '${PORT}'}\n  auth:\n    keys: [{secret: c2VjcmV0}]\n"
    Path("app-config.yaml").write_text(text)

    result = run("check-config", "--config", "app-config.yaml", "--config", "more.yaml", "--print")

    shown = yaml.safe_load(result.stdout)
    assert shown["backend"]["listen"]["port"] == MASK
    assert shown["backend"]["auth"]["keys"] == [{"secret": MASK}]
    assert shown["callboard"]["workers"] == 3
    assert "workers: 3" in result.stdout
    assert "# more.yaml:1" in next(x for x in result.stdout.splitlines() if "workers" in x)
    assert "# defaults.yaml:" in next(x for x in result.stdout.splitlines() if "threads" in x)
    assert "c2VjcmV0" not in result.stdout


def test_json_has_everything():
    Path("app-config.yaml").write_text("callboard: {wrokers: 1}\n")

    report = run_json("check-config", "--print")

    assert report["ok"] is False
    assert report["files"] == ["app-config.yaml"]
    assert report["warnings"] == ["callboard.wrokers: unknown key (app-config.yaml:1)"]
    assert report["origins"]["callboard.wrokers"] == "app-config.yaml:1"
    assert report["config"]["callboard"]["wrokers"] == 1


KEYS = st.text("abc-$ 1:#'", min_size=1, max_size=6)


@given(
    st.dictionaries(
        KEYS,
        st.recursive(
            st.booleans() | st.integers() | st.text("ab: #\n'\"-", max_size=6),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
            max_leaves=8,
        ),
        max_size=3,
    )
)
def test_what_is_printed_is_yaml_of_the_same(value):
    config = Config.of(as_nodes(value, Place("a.yaml", 3)))

    text = "\n".join(f"{line}  # {origin}" for line, origin in config_lines(config))

    assert (yaml.safe_load(text) or {}) == config.redacted()
    assert set(origins(config).values()) <= {"a.yaml:3"}
