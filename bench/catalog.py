"""Measure the catalog end to end: `make bench`, or `python bench/catalog.py --corpus FOLDER`.

A corpus is a folder with `all.yaml`, and `manifest.json` that says how many entities of each kind
it holds. Measured, one after the other on this machine:

  cold      `callboard ingest` of the corpus on one core into an empty database; its size
  restart   from the start of `callboard serve` to the first 200 of its readiness
  memory    anonymous memory of a web process above that of one with an empty database
  pages     p50 over one keep-alive connection of a page of 20 entities and of one entity, and
            requests per second at 16 connections (wrk), each beside plain Flask that answers a
            constant of the same size on the same server, in turns within one run
  refresh   from POST /refresh of a changed file to the first answer that shows the change

Load averages are printed with every figure: what else runs on the machine decides the rest.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "bench-token-0123456789"  # noqa: S105 - of a server that lives for minutes
PORT, PLAIN_PORT = 7207, 7208
PAGE = "/api/catalog/entities/by-query?limit=20&orderField=metadata.name,asc&filter=kind=component"
KINDS = "[Component, API, Resource, System, Domain, Location, User, Group, Template]"
CONFIG = """
backend:
  baseUrl: http://127.0.0.1:{port}
  listen: {{host: 127.0.0.1, port: {port}}}
  auth:
    externalAccess:
      - {{type: static, options: {{token: {token}, subject: bench}}}}
catalog:
  rules: [{{allow: {kinds}}}]
  locations: {locations}
callboard: {{logging: {{level: warn}}}}
"""


def say(name: str, **figures: Any) -> None:
    shown = "  ".join(f"{key}={value}" for key, value in figures.items())
    print(f"{name:10} {shown}  load={os.getloadavg()[0]:.1f}", flush=True)


def write_config(folder: Path, locations: list[dict[str, str]]) -> Path:
    path = folder / f"app-config-{len(locations)}.yaml"
    text = CONFIG.format(port=PORT, token=TOKEN, kinds=KINDS, locations=json.dumps(locations))
    path.write_text(text)
    return path


@contextmanager
def running(*command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def get(port: int, path: str, timeout: float = 60) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    if response.status != 200:
        raise RuntimeError(f"{path}: {response.status} {body[:200]!r}")
    return body


def post(port: int, path: str, body: dict[str, Any]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    connection.request("POST", path, json.dumps(body), headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    if response.status != 200:
        raise RuntimeError(f"{path}: {response.status}")


def wait_ready(port: int, path: str = "/.backstage/health/v1/readiness") -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            get(port, path, timeout=2)
        except (OSError, RuntimeError):
            time.sleep(0.02)
        else:
            return
    raise RuntimeError("the server did not become ready")


def p50(port: int, paths: list[str], number: int = 400) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    times = []
    for turn in range(number):
        started = time.perf_counter()
        connection.request("GET", paths[turn % len(paths)], headers=headers)
        connection.getresponse().read()
        times.append(time.perf_counter() - started)
    connection.close()
    return round(statistics.median(times) * 1000, 2)


def wrk(port: int, path: str, seconds: int = 5) -> float:
    found = subprocess.run(
        ["wrk", "-t1", "-c16", f"-d{seconds}s", "-H", f"Authorization: Bearer {TOKEN}",
         f"http://127.0.0.1:{port}{path}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    match = re.search(r"Requests/sec:\s+([\d.]+)", found.stdout)
    return float(match[1]) if match else 0.0


def anonymous_memory(pid: int) -> dict[str, float]:
    """Answer the anonymous memory (MB) of a supervisor's children by name."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        name = Path(f"/proc/{child}/cmdline").read_text().split("\0")[-2]
        status = Path(f"/proc/{child}/status").read_text()
        found[name] = int(re.search(r"RssAnon:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]
    return found


def measure_cold(config: Path, data: Path, entities: int) -> None:
    started = time.perf_counter()
    subprocess.run(
        ["taskset", "-c", "0", "callboard", "ingest", "--config", config, "--data-dir", data,
         "--json"],
        check=False, cwd=ROOT, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    size = sum(path.stat().st_size for path in data.glob("callboard.sqlite*"))
    say("cold", entities_per_s=round(entities / seconds), seconds=round(seconds, 1),
        database_mb=round(size / 1e6))  # fmt: skip


def measure_pages(port: int, names: list[str]) -> None:
    page, one = get(port, PAGE), [f"/api/catalog/entities/by-name/{name}" for name in names]
    with plain_flask(len(page)):
        turns = [
            (
                p50(port, [PAGE]),
                p50(PLAIN_PORT, ["/page"]),
                p50(port, one),
                p50(PLAIN_PORT, ["/one"]),
            )
            for _ in range(3)
        ]
        ours, plain, by_name, plain_one = map(statistics.median, zip(*turns, strict=True))
        say("page", p50_ms=ours, plain_ms=plain, ratio=round(ours / plain, 2))
        say("by-name", p50_ms=by_name, plain_ms=plain_one, ratio=round(by_name / plain_one, 2))
        if shutil.which("wrk"):
            rates = [(wrk(port, PAGE), wrk(PLAIN_PORT, "/page")) for _ in range(3)]
            ours, plain = map(statistics.median, zip(*rates, strict=True))
            say("wrk", per_s=round(ours), plain_per_s=round(plain), ratio=round(ours / plain, 2))


@contextmanager
def plain_flask(size: int) -> Iterator[None]:
    """Serve constants of the same size on the same server, with two processes as well."""
    command = (sys.executable, str(ROOT / "bench" / "plain_flask.py"), str(PLAIN_PORT), str(size))
    with running(*command, log=Path(tempfile.gettempdir()) / "plain-flask.log"):
        wait_ready(PLAIN_PORT, "/one")
        yield


def measure_refresh(port: int, folder: Path, revision_annotation: str) -> None:
    path = min((folder / "entities").glob("components-*.yaml"))
    original, times = path.read_text(), []
    query = "/api/catalog/entities/by-query?limit=0&filter=metadata.annotations."
    try:
        for turn in range(5):
            revision = f"bench-{os.getpid()}-{turn}"
            changed, number = re.subn(
                rf'({revision_annotation}: )"?r0"?', rf"\1{revision}", original, count=1
            )
            if not number:
                raise SystemExit(f"{path} has no annotation {revision_annotation}: r0")
            path.write_text(changed)
            started = time.perf_counter()
            ref = f"location:default/corpus-{path.stem}"
            post(port, "/api/catalog/refresh", {"entityRef": ref})
            count = f"{query}{revision_annotation}={revision}"
            while not json.loads(get(port, count))["totalItems"]:
                if time.perf_counter() - started > 30:
                    raise SystemExit(f"a change of {path} was not to be seen within 30 s")
                time.sleep(0.02)
            times.append(time.perf_counter() - started)
    finally:
        path.write_text(original)
    say("refresh", seconds=round(statistics.median(times), 2), worst=round(max(times), 2))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    options = parser.parse_args()
    manifest = json.loads((options.corpus / "manifest.json").read_text())
    names = [ref.replace(":", "/", 1) for ref in manifest["samples"]["component"][:200]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        target = {"type": "file", "target": str(options.corpus / "all.yaml")}
        config, empty = write_config(folder, [target]), write_config(folder, [])
        log, data = folder / "log", folder / "data"
        measure_cold(config, data, manifest["entities"])
        serve = ("callboard", "serve", "--config")
        with running(*serve, str(empty), "--data-dir", str(folder / "none"), log=log) as process:
            wait_ready(PORT)
            time.sleep(3)
            before = anonymous_memory(process.pid)
        started = time.perf_counter()
        with running(*serve, str(config), "--data-dir", str(data), log=log) as process:
            wait_ready(PORT)
            say("restart", seconds=round(time.perf_counter() - started, 1))
            measure_pages(PORT, names)
            after = anonymous_memory(process.pid)
            say("memory", above_empty_mb={n: round(after[n] - before[n]) for n in after})
            measure_refresh(PORT, options.corpus, manifest["revision_annotation"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
