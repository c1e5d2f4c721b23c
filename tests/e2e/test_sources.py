"""What is read from where: once by `ingest`; by schedule and on request from git and the web."""

from __future__ import annotations

import http.server
import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.app.scm.git_server import Origin
from tests.e2e.processes import ROOT
from tests.e2e.running import ACCESS, RULES, Platform, component, seconds_until, serving


def ingest(folder: Path, *arguments: object, code: int = 0) -> Any:
    """Run `callboard ingest --json` and answer its report."""
    done = subprocess.run(
        [sys.executable, "-m", "app", "ingest", "--json", *map(str, arguments)],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def changes(database: Path) -> tuple[int, int]:
    """Answer how many changes there are, and the number of the newest."""
    with closing(sqlite3.connect(database)) as connection:
        found: tuple[int, int] = connection.execute(
            "SELECT (SELECT count(*) FROM change), (SELECT seq FROM sequence)"
        ).fetchone()
    return found


# Once


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "catalog-info", tmp_path / "catalog-info")
    return tmp_path


def test_the_second_ingest_of_the_same_writes_nothing(demo):
    options = ("--config", "catalog-info/app-config.yaml")
    database = demo / ".callboard" / "callboard.sqlite"

    first = ingest(demo, *options)
    written = changes(database)
    second = ingest(demo, *options)

    assert first["ok"] is second["ok"] is True
    assert first["kinds"] == second["kinds"]
    assert sum(first["kinds"].values()) == first["counts"]["written"] == written[0] == written[1]
    assert {name: second["counts"][name] for name in ("written", "invalid", "removed")} == {
        "written": 0,
        "invalid": 0,
        "removed": 0,
    }
    assert changes(database) == written


def test_what_was_ingested_once_is_served_and_stays(demo):
    (demo / "app-config.yaml").write_text(f"{ACCESS}catalog: {{{RULES}}}\n")
    report = ingest(demo, "catalog-info", "--pattern", "all.yaml")

    with serving(demo, workers=1) as platform:
        first = platform.refs()
        seconds_until(lambda: "run done" in platform.said())
        later = platform.refs()

    assert len(first) == sum(report["kinds"].values())
    assert later == first


def test_a_problem_is_an_exit_code_and_a_place_and_the_rest_is_ingested(tmp_path):
    (tmp_path / "good.yaml").write_text(component("good"))
    (tmp_path / "bad.yaml").write_text(component("bad", lifecycle=1))

    report = ingest(tmp_path, tmp_path, code=1)

    (problem,) = report["sources"][0]["problems"]
    assert problem["location"] == f"file:{tmp_path / 'bad.yaml'}"
    assert (problem["line"], problem["column"]) == (7, 14)
    assert report["kinds"] == {"Component": 1, "Location": 1}


# From git


@dataclass
class Repositories:
    often: Origin
    seldom: Origin


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Repositories:
    folder = tmp_path_factory.mktemp("origins")
    found = Repositories(*(Origin.create(folder / f"{name}.git") for name in ("often", "seldom")))
    commit(found.often, "often", "first")
    commit(found.seldom, "seldom", "first")
    return found


def commit(origin: Origin, name: str, description: str) -> None:
    """Commit a Location, and beside it the Component that it names."""
    location = (
        "{apiVersion: backstage.io/v1alpha1, kind: Location, "
        f"metadata: {{name: {name}}}, spec: {{target: ./parts/one.yaml}}}}\n"
    )
    origin.commit(
        {
            "catalog-info.yaml": location.encode(),
            "parts/one.yaml": component(name, description).encode(),
        }
    )


@pytest.fixture(scope="module")
def git_platform(
    repositories: Repositories, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("git")
    (folder / "app-config.yaml").write_text(
        f"{ACCESS}catalog:\n  {RULES}\n  providers:\n    git:\n"
        f"      often: {{url: {repositories.often.path}, schedule: {{frequency: PT2S}}}}\n"
        f"      seldom: {{url: 'file://{repositories.seldom.path}'}}\n"
    )
    with serving(folder, workers=1) as platform:
        seconds_until(lambda: platform.entity("component:default/seldom"))
        seconds_until(lambda: platform.entity("component:default/often"))
        yield platform


def test_a_commit_shows_at_the_next_look_of_the_schedule(git_platform, repositories):
    commit(repositories.often, "often", "second")

    seconds_until(lambda: git_platform.description("component:default/often") == "second", 15)


def test_a_commit_shows_soon_after_a_refresh(git_platform, repositories):
    commit(repositories.seldom, "seldom", "second")
    git_platform.refresh("component:default/seldom")

    took = seconds_until(
        lambda: git_platform.description("component:default/seldom") == "second", 15
    )

    assert took < 4.0


def test_what_a_commit_takes_away_is_gone(git_platform, repositories):
    repositories.often.commit({"README": b"nothing here any more"})
    seconds_until(lambda: git_platform.entity("component:default/often") is None, 15)

    commit(repositories.often, "often", "back again")
    seconds_until(lambda: git_platform.description("component:default/often") == "back again", 15)


# From the web


@dataclass
class Site:
    """A web server with one page, which has a tag."""

    text: str = ""
    is_well: bool = True
    url: str = ""
    answers: list[int] = field(default_factory=list)


class Page(http.server.BaseHTTPRequestHandler):
    def __init__(self, site: Site, *arguments: Any) -> None:
        self.site = site
        super().__init__(*arguments)

    def do_GET(self) -> None:
        tag = f'"{hash(self.site.text)}"'
        status = 200 if self.site.is_well else 500
        if self.site.is_well and self.headers.get("if-none-match") == tag:
            status = 304
        body = self.site.text.encode() if status == 200 else b""
        self.site.answers.append(status)
        self.send_response(status)
        self.send_header("etag", tag)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def web_site(text: str) -> Iterator[Site]:
    site = Site(text)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Page, site))
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_page_in_the_web_is_read_kept_when_it_fails_and_not_fetched_in_vain(tmp_path):
    with web_site(component("web", "first")) as site:
        host = site.url.removeprefix("http://")
        (tmp_path / "app-config.yaml").write_text(
            f"{ACCESS}  reading: {{allow: [{{host: '{host}'}}]}}\n"
            f"catalog:\n  {RULES}\n"
            f"  locations: [{{type: url, target: {site.url}/catalog-info.yaml}}]\n"
        )
        ref = "component:default/web"
        with serving(tmp_path, workers=1) as platform:
            seconds_until(lambda: platform.entity(ref))
            first = platform.entity(ref)
            assert first is not None

            platform.refresh(ref)
            seconds_until(lambda: site.answers[-1] == 304)

            site.is_well = False
            platform.refresh(ref)
            seconds_until(lambda: any("Unable to read url" in error for error in told(platform)))
            kept = platform.entity(ref)

            site.is_well, site.text = True, component("web", "second")
            platform.refresh(ref)
            seconds_until(lambda: platform.description(ref) == "second")

            assert kept == first
            assert told(platform) == []
            annotations = first["metadata"]["annotations"]
            target = f"{site.url}/catalog-info.yaml"
            assert annotations["backstage.io/managed-by-location"] == f"url:{target}"
            assert annotations["backstage.io/view-url"] == target


def told(platform: Platform) -> list[str]:
    (location,) = platform.entities(filter="kind=location")
    return [item["message"] for item in location.get("status", {}).get("items", [])]
