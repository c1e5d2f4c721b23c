"""The commands of the README, run as they stand there: the demo, and a newcomer's own repository.

Only what differs from machine to machine is replaced: the port, the virtual environment, and paths
that the README leaves open.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.app.scm.git_server import Origin
from tests.e2e.processes import ROOT, free_port, stopped_at_last
from tests.e2e.running import seconds_until

README = (ROOT / "README.md").read_text()
DEMO, OWN = "Five minutes to a running platform", "Your own repository in ten minutes"


def blocks(section: str, language: str) -> list[str]:
    """The code of a section, in one language."""
    (text,) = re.findall(rf"^## {section}$(.*?)^## ", README, re.MULTILINE | re.DOTALL)
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


class Machine:
    """A newcomer's shell: a folder to be in, the command on the path, and a port that is free."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        command = folder / "bin" / "callboard"
        command.parent.mkdir()
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m app "$@"\n')
        command.chmod(0o755)
        self.environment = {
            "PATH": f"{command.parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            # In place of keys in the configuration, which the README leaves as they are.
            "APP_CONFIG_backend_listen_port": str(self.port),
            "APP_CONFIG_backend_baseUrl": f"http://localhost:{self.port}",
        }

    def _command(self, script: str) -> list[str]:
        script = script.replace(". .venv/bin/activate", "").replace(":7007", f":{self.port}")
        return ["bash", "-euo", "pipefail", "-c", script]

    def run(self, script: str) -> str:
        done = subprocess.run(
            self._command(script),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def serving(self, script: str) -> Iterator[Path]:
        """Run a command that serves, and stop it at the end of the block."""
        log = self.folder / "serve.log"
        with (
            log.open("wb") as out,
            stopped_at_last(
                subprocess.Popen(
                    self._command(f"exec {script}"),
                    cwd=self.folder,
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                )
            ) as process,
        ):
            seconds_until(lambda: "Stop it with" in log.read_text() or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            yield log


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def serve_command() -> str:
    """What `make run` runs, once everything is installed."""
    (recipe,) = re.findall(r"^run:.*\n\t(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return str(recipe).replace("$(CALLBOARD)", "callboard")


def test_the_demo_answers_as_the_readme_says(machine):
    shutil.copytree(ROOT / "catalog-info", machine.folder / "catalog-info")
    clone, readiness, token, questions = blocks(DEMO, "sh")
    assert clone.splitlines()[-1] == "make run"

    with machine.serving(serve_command()) as log:
        assert json.loads(machine.run(readiness)) == {"status": "ok"}
        seconds_until(lambda: "run done" in log.read_text())
        answers = [json.loads(part) for part in parts(machine.run(token + questions))]
        announced = machine.run(announced_commands(log.read_text()))

    entity, page, facets, predicates = answers
    assert entity["metadata"]["name"] == "quote-service"
    assert {relation["type"] for relation in entity["relations"]} >= {"ownedBy", "partOf"}
    names = [found["metadata"]["name"] for found in page["items"]]
    assert len(names) == 5
    assert names == sorted(names)
    assert sum(count["count"] for count in facets["facets"]["spec.type"]) > 30
    assert predicates["totalItems"] > 20
    assert '"apiVersion"' in announced


def parts(text: str) -> Iterator[str]:
    """Take apart JSON texts that follow each other without anything between them."""
    decoder = json.JSONDecoder()
    while text := text.strip():
        _, end = decoder.raw_decode(text)
        yield text[:end]
        text = text[end:]


def announced_commands(log: str) -> str:
    """The commands that are shown when everything is ready."""
    (text,) = re.findall(r"another terminal:\n(.*?)or simply", log, re.DOTALL)
    return str(text)


def test_a_newcomer_finds_their_own_entities_in_the_api(machine):
    file, config = blocks(OWN, "yaml")
    lint, serve, look = blocks(OWN, "sh")
    check, examine, start = serve.splitlines()
    repository = machine.folder / "shop"
    repository.mkdir()
    (repository / "catalog-info.yaml").write_text(file)
    settings = yaml.safe_load(config)
    del settings["catalog"]["providers"]
    settings["catalog"]["locations"][0]["target"] = "./shop/catalog-info.yaml"
    (machine.folder / "app-config.yaml").write_text(yaml.safe_dump(settings))

    linted = machine.run(lint.replace("path/to/your/repository", "shop"))
    machine.run(check)
    machine.run(examine)
    with machine.serving(start) as log:
        seconds_until(lambda: "run done" in log.read_text())
        shown = machine.run(look)

    assert linted == ""  # nothing was found
    assert "name: my-service" in shown
    assert re.search(r"default/my-service\s.*my-team", shown)


def test_a_newcomer_finds_the_entities_of_their_git_repository(machine):
    file, config = blocks(OWN, "yaml")
    origin = Origin.create(machine.folder / "my-service.git")
    origin.commit({"services/one/catalog-info.yaml": file.encode()})
    settings = yaml.safe_load(config)
    settings["catalog"]["locations"] = []
    settings["catalog"]["providers"]["git"]["my-repository"]["url"] = f"file://{origin.path}"
    (machine.folder / "app-config.yaml").write_text(yaml.safe_dump(settings))

    with machine.serving(blocks(OWN, "sh")[1].splitlines()[-1]) as log:
        seconds_until(lambda: "run done" in log.read_text() and "source=git" in log.read_text())
        shown = machine.run(blocks(OWN, "sh")[-1])

    assert "name: my-service" in shown


def test_every_command_of_the_readme_is_there():
    named = set(re.findall(r"callboard ([a-z-]+)", README))
    shown = subprocess.run(
        [sys.executable, "-m", "app", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
    ).stdout

    commands = set(re.findall(r"^  ([a-z-]+) ", shown, re.MULTILINE))
    assert named & {"serve", "ingest", "lint", "get", "query", "check-config", "doctor", "migrate"}
    assert named - {"command"} <= commands
