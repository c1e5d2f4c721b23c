"""Running `callboard` as its users do: in this process, or in one of its own."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from app.cli.main import callboard

ROOT = Path(__file__).parents[3]
# A shell has what it starts in the background ignore interrupts, and so does all below that.
_HEARING = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("app", run_name="__main__", alter_sys=True)
"""
KINDS = "[Component, API, Resource, System, Domain, Group, User, Template, Location]"
RULES = f"catalog: {{rules: [{{allow: {KINDS}}}]}}\n"


def run(*arguments: object) -> Result:
    """Run a command in this process; what is not an exit is raised."""
    result = CliRunner().invoke(callboard, [*map(str, arguments)], prog_name="callboard")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def run_json(*arguments: object) -> Any:
    """Run a command with `--json` and read what it prints."""
    return json.loads(run(*arguments, "--json").stdout)


def start(*arguments: object, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    """Start a command in a process of its own, which an interrupt reaches."""
    return subprocess.Popen(
        [sys.executable, "-c", _HEARING, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def at_terminal(*arguments: object, cwd: Path) -> str:
    """Run a command at a terminal and answer all that it shows."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "app", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "120"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # how a terminal ends
        while part := os.read(ours, 65536):
            shown += part
    os.close(ours)
    process.wait(timeout=150)
    return shown.decode()


def component(name: str, owner: str = "team-a", **metadata: Any) -> str:
    """A Component as a file has it; JSON is YAML."""
    return document("Component", name, metadata, type="service", lifecycle="live", owner=owner)


def document(kind: str, name: str, metadata: dict[str, Any] | None = None, **spec: Any) -> str:
    """An entity as a file has it."""
    lines = ["apiVersion: backstage.io/v1alpha1", f"kind: {kind}", "metadata:", f"  name: {name}"]
    lines += [f"  {key}: {json.dumps(value)}" for key, value in (metadata or {}).items()]
    lines += ["spec:", *(f"  {key}: {json.dumps(value)}" for key, value in spec.items())]
    return "\n".join([*lines, ""])
