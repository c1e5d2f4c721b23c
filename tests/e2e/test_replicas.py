"""Three web replicas and two workers on one PostgreSQL, while processes die and it is restarted.

Nothing is lost or done twice, no read is older than what anybody was told before it began (by the
answer to a write, or to another read), the feed tells what the log holds, and in the end the
catalog is what an undisturbed one is. By default some 20 seconds of it; in full:

    REPLICA_SECONDS=180 python -m pytest tests/e2e/test_replicas.py -s

`REPLICA_SEED` sets what happens when, as far as that can be said of many processes.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest

from app.db.engine import Database, open_database
from app.db.statements import Statements
from tests.app.scm.web_server import web_server
from tests.e2e.graph_state import content, differences, faults, unpacker
from tests.e2e.processes import start
from tests.e2e.replicas import (
    DELETED,
    HANG,
    PUSH,
    PUSHED,
    STATIC,
    AwayError,
    Caller,
    Site,
    by_name,
    postgres,
    pushed,
    version_of,
)
from tests.e2e.running import component, seconds_until

SECONDS = float(os.environ.get("REPLICA_SECONDS", "20"))
SEED = int(os.environ.get("REPLICA_SEED", "0")) or random.SystemRandom().randrange(1 << 30)
# What is written is read by then, although the worker that read it is killed or frozen; and by then
# in any case, although several things befall those who would read it.
TAKEN_OVER, AT_LAST = 30.0, 120.0


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with web_server() as web, postgres() as server:
        folder = tmp_path / "site"
        folder.mkdir()
        site = Site.build(folder, server, web)
        with site.running():
            caller = site.caller(0)
            for _ in range(len(site.ports) * 3):
                seconds_until(lambda: is_there(caller, f"c-{STATIC - 1}"), 120)
            caller.close()
            yield site


def is_there(caller: Caller, name: str) -> bool:
    with contextlib.suppress(AwayError):
        return caller.ask("GET", by_name(name)).status == 200
    return False


# What callers do


def change_files(site: Site, caller: Caller, numbers: range, stop: threading.Event) -> None:
    """Change files, ask for them, and wait until the change shows somewhere."""
    version = 0
    while not stop.is_set():
        version += 1
        name = f"c-{caller.chance.choice(numbers)}"
        site.write(name, version)
        began = time.monotonic()
        caller.insist("POST", "/api/catalog/refresh", {"entityRef": f"component:default/{name}"})
        while version_of(caller.insist("GET", by_name(name)).json) < version:
            if time.monotonic() > began + AT_LAST:
                site.notes.say(f"{name} was not read for {AT_LAST} s")
                return
            time.sleep(0.02)
        site.notes.waits.append(time.monotonic() - began)
        site.notes.saw(name, version)


def push_entities(site: Site, caller: Caller, stop: threading.Event) -> None:
    """Push one version after the other; who is told that one is there is told so by all."""
    version = 0
    while not stop.is_set():
        version += 1
        answer = caller.insist("PUT", PUSH, pushed(version))
        if answer.status != 200 or answer.json["version"] != version:
            site.notes.say(f"version {version} is answered {answer.status}: {answer.json}")
            return
        for number in range(PUSHED):
            site.notes.saw(f"p-{number}", version)
        site.notes.count("pushed")


def read_pushed(site: Site, caller: Caller, stop: threading.Event) -> None:
    """Read what is pushed at full speed: of one version, which is no older than acknowledged."""
    refs = [f"component:default/p-{number}" for number in range(PUSHED)]
    names = [f"metadata.name=p-{number}" for number in range(PUSHED)]
    while not stop.is_set():
        floor = site.notes.floor("p-0")
        try:
            match caller.chance.randrange(3):
                case 0:
                    body = {"entityRefs": refs}
                    found = caller.ask("POST", "/api/catalog/entities/by-refs", body).json["items"]
                case 1:
                    path = "/api/catalog/entities/by-query?filter=" + "&filter=".join(names)
                    found = caller.ask("GET", path).json["items"]
                case _:
                    # By what it says no more, nothing is found.
                    path = "/api/catalog/entities/by-query"
                    query = f"metadata.description=version {floor - 1},spec.owner=team,{names[0]}"
                    answer = caller.ask("GET", path, filter=query)
                    if answer.json["items"]:
                        site.notes.say(f"version {floor - 1} is found after {floor}")
                    continue
        except AwayError:
            time.sleep(0.05)
            continue
        versions = [version_of(entity) for entity in found if entity is not None]
        if not versions and floor == 0:
            continue
        if len(versions) != PUSHED or len(set(versions)) != 1:
            site.notes.say(f"of one push is read {versions}")
        elif versions[0] < floor:
            site.notes.say(f"version {versions[0]} is read after {floor} was acknowledged")
        else:
            site.notes.saw("p-0", versions[0])


def delete_entities(site: Site, caller: Caller, stop: threading.Event) -> None:
    """Delete entities by uid; they come back as others."""
    while not stop.is_set():
        name = f"d-{caller.chance.randrange(DELETED)}"
        found = caller.insist("GET", by_name(name))
        if found.status != 200:
            time.sleep(0.05)
            continue
        uid = found.json["metadata"]["uid"]
        caller.insist("DELETE", f"/api/catalog/entities/by-uid/{uid}")
        for _ in range(3):
            if caller.insist("GET", f"/api/catalog/entities/by-uid/{uid}").status != 404:
                site.notes.say(f"{name} is seen after it was deleted as {uid}")
        site.notes.count("deleted")


def register_locations(site: Site, caller: Caller, stop: threading.Event) -> None:
    """Register locations, wait for what is in them, and remove them."""
    number = 0
    while not stop.is_set():
        number += 1
        name = f"r-{number}"
        body = {
            "type": "url",
            "target": site.web.answer(f"/{name}.yaml", component(name).encode()),
        }
        answer = caller.insist("POST", "/api/catalog/locations", body)
        if answer.status == 409:
            # The first try was not heard of, but done.
            found = caller.insist("GET", "/api/catalog/locations").json
            ids = [i["data"]["id"] for i in found if i["data"]["target"] == body["target"]]
        else:
            ids = [answer.json["location"]["id"]]
        if len(ids) != 1 or caller.insist("GET", f"/api/catalog/locations/{ids[0]}").status != 200:
            site.notes.say(f"{name} is not registered although that was acknowledged")
            continue
        began = time.monotonic()
        while caller.insist("GET", by_name(name)).status != 200:
            if time.monotonic() > began + AT_LAST:
                site.notes.say(f"{name} was not read for {AT_LAST} s")
                break
            time.sleep(0.02)
        site.notes.waits.append(time.monotonic() - began)
        caller.insist("DELETE", f"/api/catalog/locations/{ids[0]}")
        for path in (f"/api/catalog/locations/{ids[0]}", by_name(name)):
            if caller.insist("GET", path).status != 404:
                site.notes.say(f"{path} is seen after it was removed")
        site.notes.count("registered")


def read(site: Site, caller: Caller, stop: threading.Event) -> None:
    """Read at full speed; nothing may be older than what was seen before."""
    while not stop.is_set():
        name = f"c-{caller.chance.randrange(STATIC)}"
        floor = site.notes.floor(name)
        ref = f"component:default/{name}"
        try:
            match caller.chance.randrange(3):
                case 0:
                    found = [caller.ask("GET", by_name(name)).json]
                case 1:
                    answer = caller.ask(
                        "GET", "/api/catalog/entities/by-query", filter=f"metadata.name={name}"
                    )
                    found = answer.json["items"]
                case _:
                    body = {"entityRefs": [ref]}
                    found = caller.ask("POST", "/api/catalog/entities/by-refs", body).json["items"]
        except AwayError:
            time.sleep(0.05)
            continue
        if len(found) != 1 or found[0] is None:
            site.notes.say(f"{name} is not there: {found}")
        elif (version := version_of(found[0])) < floor:
            site.notes.say(f"{name} is read in version {version} after {floor} was seen")
        else:
            site.notes.saw(name, version)


def follow(site: Site, caller: Caller, stop: threading.Event) -> None:
    """Follow the feed from where it was left, page by page, from whichever replica answers."""
    since = site.notes.followed[-1][0] if site.notes.followed else 0
    newest = since + 1
    while not stop.is_set() or since < newest:
        path = f"/api/graph/changes?since={since}&limit=50&include=ref"
        answer = caller.insist("GET", path)
        if answer.status != 200:
            site.notes.say(f"{path} is answered {answer.status}: {answer.json}")
            return
        site.notes.followed += [
            (item["seq"], item["entityRef"], item["operation"]) for item in answer.json["items"]
        ]
        since, newest = answer.json["next"], answer.json["newest"]
        time.sleep(0.02)


# What happens to them


def disturb(site: Site, chance: random.Random, until: float) -> list[str]:
    """Kill, freeze and restart, one after the other."""
    story = list[str]()
    kinds = ["web", "worker", "frozen worker", "supervisor", "fast", "immediate"]
    order = chance.sample(kinds, len(kinds))
    while time.monotonic() < until:
        kind = order.pop() if order else chance.choice(kinds)
        story.append(kind)
        if kind in {"fast", "immediate"}:
            site.postgres.restart(kind)
        elif kind == "supervisor":
            service = chance.choice(site.services)
            kill(service.process.pid)
            service.process.wait()
        else:
            role = kind.rpartition(" ")[2]
            service = chance.choice([s for s in site.services if s.role == role])
            victims = service.victims()
            if kind == "frozen worker":
                for pid in victims:
                    freeze(pid, chance.uniform(2, 25 if SECONDS > 60 else 6))
            else:
                for pid in victims:
                    kill(pid)
        for service in site.services:
            service.ensure()
        time.sleep(chance.uniform(1, 4))
    return story


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def freeze(pid: int, seconds: float) -> None:
    def thaw() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        threading.Timer(seconds, thaw).start()


# What must hold


def replayed(database: Database) -> tuple[dict[int, bytes], list[str]]:
    """Answer what the history comes to, and what is wrong with it."""
    now, wrong = dict[int, bytes](), list[str]()
    with database.snapshot() as connection:
        sql = Statements.on(connection)
        unpack = unpacker(sql)
        rows = sql.rows(
            "SELECT c.seq, c.entity_id, c.operation, c.document, b.document FROM change c "
            "LEFT JOIN change b ON b.seq = c.base ORDER BY c.seq"
        )
    for number, (seq, entity, operation, document, base) in enumerate(rows, 1):
        if seq != number:
            wrong.append(f"change {seq} stands where {number} should")
            break
        if (operation == "create") == (entity in now):
            wrong.append(f"change {seq}: {operation} of {entity}")
        if operation == "delete":
            now.pop(entity, None)
            continue
        whole = unpack(document, base)
        if now.get(entity) == whole:
            wrong.append(f"change {seq} of {entity} changes nothing")
        now[entity] = whole
    return now, wrong


def told(database: Database) -> dict[str, list[int]]:
    """Answer the versions of each entity that has some, in the order of the log."""
    found = dict[str, list[int]]()
    with database.snapshot() as connection:
        sql = Statements.on(connection)
        unpack = unpacker(sql)
        rows = sql.rows(
            "SELECT r.ref, c.operation, c.document, b.document FROM change c "
            "JOIN ref r ON r.id = c.entity_id LEFT JOIN change b ON b.seq = c.base ORDER BY c.seq"
        )
    for ref, operation, document, base in rows:
        name = ref.partition("/")[2]
        if operation != "delete" and name[:2] in {"c-", "p-"}:
            version = version_of(orjson.loads(unpack(document, base)))
            found.setdefault(name, []).append(version)
    return found


def lost_or_doubled(site: Site, database: Database) -> Iterator[str]:
    """Say which acknowledged pushes are not in the log exactly once, and what went backwards."""
    versions = told(database)
    for number in range(PUSHED):
        found = versions.get(f"p-{number}", [])
        if found != list(range(1, site.notes.counts["pushed"] + 1)):
            yield f"p-{number} was pushed {site.notes.counts['pushed']} times, logged as {found}"
    for number in range(STATIC):
        found = versions[f"c-{number}"]
        if found != sorted(found):
            yield f"c-{number} went back to what it was: {found}"
        if found[-1] < site.notes.floor(f"c-{number}"):
            yield f"c-{number} was seen in a version that the log does not end with: {found}"


def served(database: Database) -> dict[int, bytes]:
    with database.snapshot() as connection:
        rows = Statements.on(connection).rows("SELECT id, document FROM entity")
    return {entity: bytes(document) for entity, document in rows}


def listed(site: Site, port: int) -> dict[str, Any]:
    """Answer all that one replica says, by uid."""
    caller = site.caller(0)
    caller.ports = [port]
    answer = caller.insist("GET", "/api/catalog/entities/by-query?limit=1000")
    caller.close()
    return {entity["metadata"]["uid"]: entity for entity in answer.json["items"]}


def logged(database: Database) -> list[tuple[int, str, str]]:
    """Answer the log, as the feed is to have told it."""
    with database.snapshot() as connection:
        sql = "SELECT c.seq, r.ref, c.operation FROM change c JOIN ref r ON r.id = c.entity_id"
        rows = Statements.on(connection).rows(f"{sql} ORDER BY c.seq")
    return [(seq, ref, operation) for seq, ref, operation in rows]


def ended() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def is_quiet(database: Database) -> bool:
    with database.snapshot() as connection:
        sql = Statements.on(connection)
        waiting = sql.row("SELECT (SELECT count(*) FROM refresh), (SELECT count(*) FROM stitch)")
    return waiting == (0, 0)


def undisturbed(site: Site, folder: Path) -> dict[str, Any]:
    """Answer what a catalog comes to that has read the same files in peace."""
    folder.mkdir()
    path = folder / "callboard.sqlite"
    site.configure(folder, {"client": "better-sqlite3", "connection": {"filename": str(path)}})
    log = folder / "log.txt"
    assert start("ingest", cwd=folder, log=log).wait(120) in {0, 1}, log.read_text()
    database = open_database(f"sqlite:///{path}")
    try:
        return content(database)
    finally:
        database.close()


def test_many_replicas_lose_nothing_whatever_befalls_them(site, tmp_path):
    stop = threading.Event()
    half = STATIC // 2
    work: list[Callable[[Caller], None]] = [
        lambda caller: change_files(site, caller, range(half), stop),
        lambda caller: change_files(site, caller, range(half, STATIC), stop),
        lambda caller: delete_entities(site, caller, stop),
        lambda caller: register_locations(site, caller, stop),
        lambda caller: push_entities(site, caller, stop),
        lambda caller: read(site, caller, stop),
        lambda caller: follow(site, caller, stop),
        lambda caller: read_pushed(site, caller, stop),
    ]
    threads = [
        threading.Thread(target=watched, args=(site, site.caller(SEED + number), task))
        for number, task in enumerate(work)
    ]
    for thread in threads:
        thread.start()
    story = disturb(site, random.Random(SEED), time.monotonic() + SECONDS)
    stop.set()
    for thread in threads:
        thread.join(AT_LAST + HANG)
        assert not thread.is_alive()
    for service in site.services:
        service.ensure()
    assert_holds(site, tmp_path, story)


@pytest.mark.parametrize("way", ["killed", "frozen"])
def test_what_a_worker_was_doing_when_it_was_lost_is_taken_over(site, way):
    reached, let_go = threading.Event(), threading.Event()

    def answer(handler: Any) -> None:
        if not reached.is_set():
            reached.set()
            let_go.wait(60)
            handler.send(component("late", "what the lost one read").encode())
        else:
            handler.send(component("late", "what the other one read").encode())

    target = site.web.answer_with("/late.yaml", answer)
    caller = site.caller(SEED)
    caller.insist("POST", "/api/catalog/locations", {"type": "url", "target": target})
    assert reached.wait(20)
    (victim,) = reading(site)

    os.kill(victim, signal.SIGKILL if way == "killed" else signal.SIGSTOP)
    took = seconds_until(lambda: is_there(caller, "late"), 2 * TAKEN_OVER)
    with contextlib.suppress(ProcessLookupError):
        os.kill(victim, signal.SIGCONT)
    let_go.set()

    print(f"\n{way}: taken over after {took:.1f} s")
    assert took < TAKEN_OVER
    time.sleep(3)
    found = caller.insist("GET", by_name("late")).json
    assert found["metadata"]["description"] == "what the other one read"
    caller.close()


def reading(site: Site) -> list[int]:
    """Answer the processes that read what was asked for."""
    with psycopg.connect(site.postgres.url) as connection:
        rows = connection.execute(
            "SELECT l.holder FROM refresh r JOIN lease l ON l.name = r.holder"
        ).fetchall()
    return [int(holder.split("/")[1]) for (holder,) in rows]


def watched(site: Site, caller: Caller, task: Callable[[Caller], None]) -> None:
    try:
        task(caller)
    except Exception as error:  # noqa: BLE001 - shown with what else went wrong
        site.notes.say(f"a caller gave up: {error!r}")
    finally:
        caller.close()


def assert_holds(site: Site, tmp_path: Path, story: list[str]) -> None:
    notes = site.notes
    waits = sorted(notes.waits)
    print(f"\nseed {SEED}: {story}\n{dict(notes.counts)}, slowest {notes.slowest}")
    print(
        f"{len(waits)} writes seen after {waits[len(waits) // 2]:.2f} s, at most {waits[-1]:.1f} s"
    )
    database = open_database(site.postgres.url)
    try:
        seconds_until(lambda: is_quiet(database), 60)
        wrong = [*notes.wrong, *faults(database), *lost_or_doubled(site, database)]
        now, mistakes = replayed(database)
        wrong += mistakes
        rows = served(database)
        if now != rows:
            wrong.append("the history does not come to what is served")
        expected = {e["metadata"]["uid"]: e for e in map(orjson.loads, rows.values())}
        for port in site.ports:
            if listed(site, port) != expected:
                wrong.append("a replica says something else than the database")
        meanwhile = len(notes.followed)
        with contextlib.closing(site.caller(0)) as caller:
            follow(site, caller, ended())
        if notes.followed != logged(database):
            wrong.append(f"the feed told {len(notes.followed)} changes that are not the log's")
        print(f"{len(notes.followed)} changes were followed, {meanwhile} of them meanwhile")
        with contextlib.closing(site.caller(0)) as caller:
            # The undisturbed one reads files only.
            nothing = {"version": notes.counts["pushed"] + 1, "entities": []}
            assert caller.insist("PUT", PUSH, nothing).status == 200
        wrong += differences(undisturbed(site, tmp_path / "peace"), content(database))
    finally:
        database.close()
    assert not wrong, "\n".join([f"REPLICA_SEED={SEED} {story}", *wrong[:20], site.log()])
    assert notes.counts["deleted"] > 1
    assert notes.counts["registered"] > 1
