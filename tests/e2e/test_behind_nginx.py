"""Two replicas behind one address: nginx lets them take turns, as the operations page configures it.

Whoever writes sees it in the next read, whichever replica that reaches.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.app.scm.web_server import web_server
from tests.e2e.nginx import NGINX, nginx, shares
from tests.e2e.processes import free_port
from tests.e2e.running import ACCESS, RULES, TOKEN, Answer, Platform, seconds_until, serving

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
WRITERS, WRITES = 3, 40
BY_NAME = "/api/catalog/entities/by-name/component/default"
SOURCES = ", ".join(f"s{number}: {{subjects: [e2e]}}" for number in range(WRITERS))


@dataclass(frozen=True)
class Site:
    """One address, and what is behind it."""

    folder: Path
    front: Platform
    replicas: list[Platform]
    target: str


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, migrated_postgres: Callable[[], str]
) -> Iterator[Site]:
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    with ExitStack() as stack:
        web = stack.enter_context(web_server())
        (folder / "app-config.yaml").write_text(
            f"{ACCESS}  reading: {{allow: [{{host: '127.0.0.1:{web.port}'}}]}}\n"
            f"  database: {{client: pg, connection: {json.dumps(migrated_postgres())}}}\n"
            f"catalog:\n  {RULES}\ncallboard:\n  push: {{sources: {{{SOURCES}}}}}\n"
        )
        replicas = [
            stack.enter_context(serving(folder, "--data-dir", name, role=role, workers=1))
            for name, role in ((folder / "one", "all"), (folder / "other", "web"))
        ]
        ports = [int(platform.url.rpartition(":")[2]) for platform in replicas]
        stack.enter_context(nginx(folder, port, ports))
        front = replace(replicas[0], url=f"http://127.0.0.1:{port}")
        yield Site(folder, front, replicas, web.url)


def push(site: Site, source: str, version: int, description: str) -> Answer:
    entity = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": f"of-{source}", "description": description},
        "spec": {"type": "service", "lifecycle": "production", "owner": "team"},
    }
    body = {"version": version, "entities": [entity]}
    return site.front.ask(f"/api/graph/sources/{source}/entities", body, method="PUT")


def seen(site: Site, name: str, text: str) -> list[str]:
    """Read an entity that says `text` in every way, and from both replicas."""
    found = []
    for _ in site.replicas:
        query = f"metadata.description={text},metadata.name={name}"
        if site.front.get("/entities/by-query", filter=query)["totalItems"] != 1:
            found.append("nothing")
        one = site.front.ask(f"{BY_NAME}/{name}").json
        (other,) = site.front.get("/entities/by-query", filter=f"metadata.name={name}")["items"]
        body = {"entityRefs": [f"component:default/{name}"]}
        (third,) = site.front.ask("/api/catalog/entities/by-refs", body).json["items"]
        found += [entity["metadata"]["description"] for entity in (one, other, third)]
    return found


def test_every_read_after_a_write_sees_it_whichever_replica_answers(site):
    def write(number: int) -> list[str]:
        wrong = []
        for version in range(1, WRITES + 1):
            answer = push(site, f"s{number}", version, f"version {version}")
            assert answer.status == 200, answer
            text = f"version {version}"
            stale = set(seen(site, f"of-s{number}", text)) - {text}
            wrong += [f"{text} after version {version}" for text in stale]
        return wrong

    before = shares(site.folder)
    with ThreadPoolExecutor(WRITERS) as pool:
        wrong = [text for found in pool.map(write, range(WRITERS)) for text in found]

    assert wrong == []
    counts = [count - before.get(address, 0) for address, count in shares(site.folder).items()]
    total = WRITERS * WRITES * 9
    assert sum(counts) == total
    assert min(counts) > total * 0.4


def test_what_is_registered_through_one_replica_is_there_in_the_other_and_then_gone(site):
    for number in range(10):
        target = f"{site.target}/{number}.yaml"
        made = site.front.ask("/api/catalog/locations", {"type": "url", "target": target})
        path = f"/api/catalog/locations/{made.json['location']['id']}"
        there = [site.front.ask(path).status for _ in range(4)]
        removed = site.front.ask(path, method="DELETE").status
        gone = [site.front.ask(path).status for _ in range(4)]

        assert (made.status, there, removed, gone) == (201, [200] * 4, 204, [404] * 4)


def test_paths_queries_and_refusals_arrive_as_they_were_sent(site):
    front, direct = site.front, site.replicas[0]
    for path in (
        f"{BY_NAME}/a%2Fb",
        f"{BY_NAME}/a%20b",
        "/api/catalog/entities//by-query",
        "/api/catalog/entities/by-query?filter=metadata.name=%E2%98%83&filter=kind=b%26c",
        f"/api/catalog/entities?filter={'a' * 20_000}",
        "/api/catalog/entities/by-query?limit=x",
        "/nowhere",
    ):
        assert front.ask(path) == direct.ask(path), path
    large = {"entityRefs": ["x" * 100] * 2000}
    answers = [at.ask("/api/catalog/entities/by-refs", large) for at in (front, direct)]
    assert answers[0] == answers[1]
    assert answers[0].status in {400, 413}


@pytest.mark.parametrize("path", ["/api/graph/changes/stream", "/api/graph/changes"])
def test_changes_are_streamed_through_it_without_being_held_back(site, path):
    port = int(site.front.url.rpartition(":")[2])
    headers = {"authorization": f"Bearer {TOKEN}", "accept": "text/event-stream"}
    version = int(time.time() * 1000)
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        assert response.status == 200
        for turn in range(3):
            text = f"streamed {version} {turn}"
            began = time.monotonic()
            push(site, "s0", version + turn, text)
            while text not in response.readline().decode():
                assert time.monotonic() < began + 5
            took = time.monotonic() - began
            assert took < 2, f"an event took {took:.1f} s"


def test_readers_do_not_notice_that_a_replica_is_killed(site):
    push(site, "s1", 10_000_000, "while one dies")
    front, victim = site.front, site.replicas[1]
    (pid,) = victim.children().values()

    os.kill(pid, signal.SIGKILL)
    answers = {front.ask(f"{BY_NAME}/of-s1").status for _ in range(200)}

    assert answers == {200}
    seconds_until(lambda: victim.children().get("web-1") not in {None, pid})
    seconds_until(lambda: victim.readiness().status == 200)
