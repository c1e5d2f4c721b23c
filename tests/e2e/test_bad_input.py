"""Thousands of bad files, requests and tokens: none breaks anything, and each is told what is wrong.

The cases are made in `tests/robustness`. To see what one of them does:

    python -m pytest tests/e2e/test_bad_input.py -k files --collect-only    what there is
    BAD_INPUT='^bombs|^name-' python -m pytest tests/e2e/test_bad_input.py  only cases so named
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import socket
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.db.engine import open_database
from tests.e2e.graph_state import faults
from tests.e2e.processes import ROOT, resident_memory
from tests.e2e.running import ACCESS, KINDS, TOKEN, Platform, component, serving
from tests.robustness.bad_files import ENTITY, NAME, PROBLEM, bad_files
from tests.robustness.bad_requests import NOTHING, REFUSED, bad_requests, request
from tests.robustness.bad_requests import TOKEN as GAP
from tests.robustness.bad_tokens import bad_tokens
from tests.robustness.wire import Reply, send

WANTED = re.compile(os.environ.get("BAD_INPUT", ""))
MEGABYTE = 1 << 20
# What a process may need above what it needs anyway.
INGEST_MEMORY = 600 * MEGABYTE
SERVER_MEMORY = 250 * MEGABYTE
# Seconds that one request may take on a busy machine; reading of tens of megabytes is among it.
SLOW = 5.0


def test_there_are_thousands_of_cases_and_no_two_are_the_same():
    # One at a time: what this process holds is counted for the processes that it starts.
    files = [(case.name, case.tells) for case in bad_files()]
    requests = [(case.name, case.tells, digest(case.raw)) for case in bad_requests()]

    assert len({name for name, _ in files}) == len(files) >= 1800
    assert len({name for name, _, _ in requests}) == len(requests) >= 4500
    # Some few differ only in what they are called: the same junk belongs to several families.
    assert len({raw for _, _, raw in requests}) >= 4500
    for tells in (PROBLEM, ENTITY):
        assert sum(case[1] == tells for case in files) >= 30
    assert sum(case[1] == REFUSED for case in requests) >= 300


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


# Files


@dataclass(frozen=True)
class Ingested:
    """A folder of bad files that was read, twice, and what was said of it."""

    folder: Path
    tells: dict[str, str | None]
    runs: tuple[Any, Any]
    memory: int

    def problems(self) -> dict[str, list[Any]]:
        """Answer the problems of each case."""
        found = defaultdict[str, list[Any]](list)
        for source in self.runs[0]["sources"]:
            for problem in source["problems"]:
                place = problem["location"].partition(f"{self.folder}/cases/")[2]
                found[place.partition("/")[0]].append(problem)
        return found


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    folder = tmp_path_factory.mktemp("bad")
    tells = {}
    for case in bad_files():
        if WANTED.search(case.name):
            place = folder / "cases" / case.name
            place.mkdir(parents=True)
            case.write(place)
            tells[case.name] = case.tells
    (folder / "last.yaml").write_text(component("last"))
    targets = [*(f"./cases/{name}/{NAME}" for name in tells), "./last.yaml"]
    locations = [{"type": "file", "target": target} for target in targets]
    (folder / "app-config.yaml").write_text(
        f"{ACCESS}catalog:\n  rules: [{{allow: {KINDS}}}]\n  locations: {json.dumps(locations)}\n"
    )
    runs = (command(folder, "ingest"), command(folder, "ingest"))
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    return Ingested(folder, tells, runs, memory)


def command(folder: Path, *arguments: str) -> Any:
    """Run a command to its end, and read what it writes as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "app", *arguments, "--json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr[-3000:]
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_bad_files_break_nothing_and_exhaust_nothing(ingested):
    print(f"\n{len(ingested.tells)} files, {ingested.memory // MEGABYTE} MB", end=" ")

    for run in ingested.runs:
        assert [source["state"] for source in run["sources"]] == ["done"]
    assert ingested.memory < INGEST_MEMORY
    database = open_database(f"sqlite:///{ingested.folder}/.callboard/callboard.sqlite")
    try:
        # What has two keys that differ only in case cannot be served, as in Backstage.
        unserved = "1 times claimed content that is not served"
        assert [fault for fault in faults(database) if not fault.startswith(unserved)] == []
    finally:
        database.close()


def test_bad_files_that_are_read_again_write_nothing(ingested):
    assert ingested.runs[1]["counts"]["written"] == 0
    assert ingested.runs[1]["counts"]["removed"] == 0


def test_each_bad_file_is_told_with_its_place_and_what_is_wrong(ingested):
    problems = ingested.problems()

    untold = [n for n, tells in ingested.tells.items() if tells == PROBLEM and n not in problems]
    assert untold == []
    wrongly = {
        name: problems[name][0]["message"]
        for name, tells in ingested.tells.items()
        if tells == ENTITY and name in problems
    }
    assert wrongly == {}
    for found in problems.values():
        for problem in found:
            assert problem["message"], problem
            assert not problem["message"].startswith("YAML error") or problem["line"] > 0, problem
            assert "object has no attribute" not in problem["message"], problem


def test_what_came_of_bad_files_can_be_read_in_every_way(ingested):
    with serving(ingested.folder, role="web", workers=1) as platform:
        everything = platform.entities()
        refs = {(e["kind"], e["metadata"]["namespace"], e["metadata"]["name"]) for e in everything}
        assert ("Component", "default", "last") in refs
        for order in ("metadata.name,asc", "metadata.description,desc", "spec.owner,asc"):
            total, found = pages(platform, order)
            assert len(found) == total
        assert pages(platform, "metadata.uid,asc")[0] == len(everything)
        for kind, namespace, name in refs:
            assert platform.get(f"/entities/by-name/{kind}/{namespace}/{name}")
        facets = platform.get(
            "/entity-facets", facet=["kind", "metadata.tags", "spec.x", "metadata.title"]
        )
        assert facets["facets"]["kind"]
        assert platform.get("/entities/unprocessed/pending")["entities"]
        assert "entities" in platform.get("/entities/unprocessed/failed")
        text = platform.get("/entities/by-query", fullTextFilterTerm="a\0", limit=5)
        assert "items" in text


def pages(platform: Platform, order: str) -> tuple[int, list[Any]]:
    """Answer how many there are, and what is on all pages."""
    page = platform.get("/entities/by-query", orderField=order, limit=97)
    total, found = page["totalItems"], page["items"]
    while cursor := page["pageInfo"].get("nextCursor"):
        page = platform.get("/entities/by-query", cursor=cursor, limit=97)
        found += page["items"]
    return total, found


def test_a_folder_of_bad_files_can_be_linted_and_ingested_as_a_whole(ingested):
    lint = command(ingested.folder, "lint", "cases")
    (source,) = command(ingested.folder, "ingest", "cases", "--data-dir", "other")["sources"]

    assert len(lint["findings"]) > len(ingested.tells) / 2
    assert source["state"] == "done"


# Requests and tokens


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("asked")
    (folder / "catalog-info.yaml").write_text(component("a", owner="b") + "---\n" + component("b"))
    (folder / "app-config.yaml").write_text(
        f"{ACCESS}"
        "auth: {providers: {guest: {dangerouslyAllowOutsideDevelopment: true}}}\n"
        f"catalog:\n  rules: [{{allow: {KINDS}}}]\n"
        "  locations: [{type: file, target: ./catalog-info.yaml}]\n"
    )
    with serving(folder) as running:
        yield running


def port_of(platform: Platform) -> int:
    return int(platform.url.rpartition(":")[2])


def memory_of(platform: Platform) -> dict[str, int]:
    return {name: resident_memory(pid) for name, pid in platform.children().items()}


def test_bad_requests_are_refused_and_break_nothing(platform):
    family, before = platform.children(), memory_of(platform)
    statuses, wrong, slow = Counter[int](), [], []
    for case in bad_requests():
        if not WANTED.search(case.name):
            continue
        began = time.monotonic()
        raw = case.raw.replace(GAP.encode(), TOKEN.encode())
        reply = send(port_of(platform), raw, ends=case.tells == NOTHING)
        if (took := time.monotonic() - began) > SLOW:
            slow.append(f"{case.name}: {took:.1f} s")
        statuses[reply.status] += 1
        if complaint := judge(case.tells, reply, is_head=raw.startswith(b"HEAD ")):
            wrong.append(f"{case.name}: {complaint}")
    print(f"\n{statuses.total()} requests: {dict(sorted(statuses.items()))}", end=" ")

    assert wrong == []
    assert slow == []
    assert platform.children() == family
    for name, used in memory_of(platform).items():
        assert used - before[name] < SERVER_MEMORY, (name, before, used)
    assert "internal error" not in platform.said()
    assert "Traceback" not in platform.said()


def judge(tells: str | None, reply: Reply, *, is_head: bool) -> str:
    """Say what is wrong with an answer."""
    if reply.status >= 500:
        return f"{reply.status} {reply.body[:300]!r}"
    if tells == NOTHING:
        return ""
    if reply.status == 0:
        return "no answer"
    if reply.status < 400:
        return f"{reply.status} is no refusal" if tells == REFUSED else ""
    if is_head or (reply.status == 404 and not reply.body):
        return ""  # as Backstage answers for what it does not know at all
    if reply.body == b"Invalid HTTP request received.":
        return ""
    return "" if reply.error else f"{reply.status} without an error: {reply.body[:200]!r}"


def test_bad_tokens_are_refused(platform):
    def ask(token: str) -> Reply:
        target = "/api/catalog/entities/by-query?limit=1"
        return send(port_of(platform), request("GET", target, token=token))

    good = platform.ask("/api/auth/guest/refresh", {}).json["backstageIdentity"]["token"]
    keys = platform.ask("/api/auth/.well-known/jwks.json").json
    answers = {name: ask(token) for name, token in bad_tokens(good, keys)}

    wrong = {
        n: r for n, r in answers.items() if r.status != 401 or "AuthenticationError" not in r.error
    }
    # A head beyond what may be sent is refused before it is a token.
    wrong = {n: r for n, r in wrong.items() if r.status != 431}
    print(f"\n{len(answers)} tokens", end=" ")
    assert wrong == {}
    assert ask(good).status == 200


def test_clients_that_never_finish_keep_nobody_waiting_and_are_let_go(platform):
    with ExitStack() as stack:
        slow = [stack.enter_context(begun(platform, number)) for number in range(300)]
        began = time.monotonic()
        for _ in range(40):
            assert platform.get("/entities/by-query", limit=1)["items"]
        assert time.monotonic() - began < 10

        for number in range(20):
            time.sleep(1)
            for connection in slow[1::3]:  # a byte a second is no progress either
                with suppress(OSError):
                    connection.sendall(b"x" if number else b"y: ")

        for connection in slow:
            connection.settimeout(max(1.0, began + 60 - time.monotonic()))
            assert_is_closed(connection)


def begun(platform: Platform, number: int) -> socket.socket:
    """Open a connection on which there is nothing, half a head, or half a body."""
    head = b"GET /api/catalog/entities HTTP/1.1\r\nhost: x\r\n"
    body = request("POST", "/api/catalog/entities/by-refs", b"{", [("content-length", "100")])
    connection = socket.create_connection(("127.0.0.1", port_of(platform)))
    connection.sendall((b"", head, body.replace(GAP.encode(), TOKEN.encode()))[number % 3])
    return connection


def assert_is_closed(connection: socket.socket) -> None:
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
