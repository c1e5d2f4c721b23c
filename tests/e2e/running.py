"""A running platform as tests see it: a folder with a configuration, an address, its answers."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.processes import children, fetch, free_port, start, stopped_at_last

TOKEN = "a-token-for-these-tests"
KINDS = "[Component, API, Resource, System, Domain, Group, User, Template, Location]"
ACCESS = f"""\
backend:
  auth:
    externalAccess: [{{type: static, options: {{token: {TOKEN}, subject: e2e}}}}]
"""
RULES = f"rules: [{{allow: {KINDS}}}]"
# How long a busy machine may take for what takes seconds on an idle one.
PATIENCE = 60.0


def component(name: str, description: str = "", **spec: Any) -> str:
    """A Component as a file has it."""
    spec = {"type": "service", "lifecycle": "production", "owner": "team"} | spec
    lines = ["apiVersion: backstage.io/v1alpha1", "kind: Component", "metadata:", f"  name: {name}"]
    lines += [f"  description: {description}"] * bool(description)
    lines += ["spec:", *(f"  {key}: {json.dumps(value)}" for key, value in spec.items())]
    return "\n".join([*lines, ""])


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Platform:
    """One `callboard serve`."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    token: str = TOKEN

    # Requests; each has a connection of its own, so any of the web processes may answer it.

    def ask(self, path: str, body: Any = None, method: str | None = None, **query: Any) -> Answer:
        target = (
            self.url + path + ("?" + urllib.parse.urlencode(query, doseq=True) if query else "")
        )
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(target, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return Answer(response.status, response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read())

    def get(self, path: str, **query: Any) -> Any:
        answer = self.ask(f"/api/catalog{path}", **query)
        assert answer.status == 200, (path, answer)
        return answer.json

    def entities(self, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/entities", **query)
        return found

    def refs(self, **query: Any) -> set[str]:
        return set(map(ref_of, self.entities(**query)))

    def entity(self, ref: str) -> dict[str, Any] | None:
        kind, _, rest = ref.partition(":")
        answer = self.ask(f"/api/catalog/entities/by-name/{kind}/{rest}")
        assert answer.status in {200, 404}, answer
        return answer.json if answer.status == 200 else None

    def description(self, ref: str) -> Any:
        found = self.entity(ref)
        return found and found["metadata"].get("description")

    def errors(self, ref: str) -> list[str]:
        found = self.entity(ref)
        assert found, f"{ref} is not there"
        return [item["message"] for item in found.get("status", {}).get("items", [])]

    def refresh(self, ref: str) -> None:
        answer = self.ask("/api/catalog/refresh", {"entityRef": ref})
        assert answer.status == 200, answer

    def readiness(self) -> Answer:
        return Answer(*fetch(f"{self.url}/.backstage/health/v1/readiness"))

    # Its processes

    def children(self) -> dict[str, int]:
        return children(self.process.pid)

    def said(self) -> str:
        return self.log.read_text()


def ref_of(entity: dict[str, Any]) -> str:
    metadata = entity["metadata"]
    return f"{entity['kind']}:{metadata['namespace']}/{metadata['name']}".lower()


@contextmanager
def serving(
    folder: Path, *options: object, role: str = "all", workers: int = 2
) -> Iterator[Platform]:
    """Serve what `app-config.yaml` in a folder says, until the end of the block."""
    port = free_port()
    log = folder / f"serve-{port}.log"
    command = ["serve", "--role", role, *options]
    command += [] if role == "worker" else ["--port", port, "--workers", workers]
    with stopped_at_last(start(*command, cwd=folder, log=log)) as process:
        platform = Platform(f"http://127.0.0.1:{port}", process, log)
        seconds_until(lambda: "Stop it with" in platform.said() or process.poll() is not None)
        assert process.poll() is None, platform.said()
        yield platform


def seconds_until(condition: Callable[[], object], patience: float = PATIENCE) -> float:
    """Wait for something to become true, and answer how long that took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < patience, "waited in vain"
        time.sleep(0.02)
    return time.monotonic() - started
