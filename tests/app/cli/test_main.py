"""`callboard` itself: its help, how it fails, and that it starts quickly."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest

from app.cli.main import INTERRUPTED, SUBCOMMANDS, callboard
from app.cli.release import release
from tests.app.cli.command import ROOT, run, start

HEAVY = {"alembic", "flask", "marshmallow", "numpy", "rich", "sqlalchemy", "urllib3", "yaml"}


def test_the_help_names_every_command_and_what_it_does():
    text = run("--help").stdout

    for name, found in SUBCOMMANDS.items():
        assert f"{name} " in text
        assert found.summary in " ".join(text.split())
    assert "Examples:" in text


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_command_has_a_help_with_examples(name):
    result = run(name, "--help")

    assert result.exit_code == 0
    assert f"callboard {name}" in result.stdout
    assert "Examples:" in result.stdout


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_command_that_prints_data_can_print_json(name):
    options = [o for p in SUBCOMMANDS[name].load().params for o in p.opts]

    assert ("--json" in options) == (name not in {"serve", "completion"})


def test_the_help_imports_nothing_heavy():
    script = (
        "import sys, json\n"
        "from click.testing import CliRunner\n"
        "from app.cli.main import callboard\n"
        "assert CliRunner().invoke(callboard, ['--help']).exit_code == 0\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert set(json.loads(done.stdout)) & HEAVY == set()


def test_the_version_is_that_of_the_distribution():
    assert run("--version").stdout == f"callboard {release()}\n"


def test_a_misspelt_command_is_a_usage_error_that_names_the_right_one():
    result = run("ingst")

    assert result.exit_code == 2
    assert "'ingest'" in result.stderr


def test_a_missing_argument_is_a_usage_error():
    assert run("lint").exit_code == 2


def test_a_wrong_configuration_is_told_line_by_line_without_a_traceback(tmp_path):
    config = tmp_path / "app-config.yaml"
    config.write_text("backend:\n  listen: {port: x}\ncallboard:\n  workers: 0\n")

    result = run("migrate", "--config", config)

    assert result.exit_code == 1
    first, *mistakes = result.stderr.splitlines()
    assert first == "Error: the configuration has 2 mistakes:"
    assert [mistake.strip().partition(":")[0] for mistake in mistakes] == [
        "backend.listen.port",
        "callboard.workers",
    ]
    assert "app-config.yaml:2" in mistakes[0]
    assert result.stdout == ""


def test_one_mistake_is_one_line(tmp_path):
    result = run("migrate", "--config", tmp_path / "none.yaml")

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: configuration: configuration file ")


def test_an_interrupt_has_the_exit_code_that_shells_expect(monkeypatch):
    @click.command()
    def endless() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(callboard, "get_command", lambda _context, _name: endless)

    result = run("doctor")

    assert result.exit_code == INTERRUPTED
    assert result.stderr == "Interrupted.\n"


@pytest.mark.parametrize(
    ("shell", "mark"),
    [("bash", "complete -o"), ("zsh", "#compdef callboard"), ("fish", "complete")],
)
def test_completion_prints_a_script_for_the_shell(shell, mark):
    result = run("completion", shell)

    assert result.exit_code == 0
    assert mark in result.stdout
    assert "_CALLBOARD_COMPLETE" in result.stdout


def test_commands_and_options_are_completed():
    def complete(words: str, number: int) -> list[str]:
        process = start(
            cwd=ROOT, _CALLBOARD_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(number)
        )
        out, _ = process.communicate(timeout=30)
        return [line.partition(",")[2] for line in out.splitlines()]

    assert complete("callboard mi", 1) == ["migrate"]
    assert "--check" in complete("callboard migrate --", 2)
