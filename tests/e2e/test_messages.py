"""Starting it wrongly: it does not start, says in one breath why and where, and that is all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.processes import ROOT, free_port
from tests.e2e.running import ACCESS, RULES, component, seconds_until, serving


def callboard(folder: Path, *arguments: object, **environment: str) -> tuple[int, str]:
    """Run a command to its end; answer its exit code and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "app", *map(str, arguments)],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("backend:\n  listen:\n    port: many\n", ["backend.listen.port", "app-config.yaml:3"]),
        ("catalog:\n  rules: all\n", ["catalog.rules", "app-config.yaml:2"]),
        (
            "catalog:\n  locations:\n    - type: file\n      target: ./a.yaml\n    - type: file\n",
            ["catalog.locations[1].target", "app-config.yaml:5", "required"],
        ),
        (
            "backend:\n  database:\n    client: pg\n    connection: '${NO_SUCH_VARIABLE}'\n",
            ["backend.database.connection", "NO_SUCH_VARIABLE", "app-config.yaml:4"],
        ),
        (
            "catalog:\n  processingInterval: 5 parsecs\n",
            ["catalog.processingInterval", "app-config.yaml:2"],
        ),
        ("catalog: [\n", ["app-config.yaml:"]),
        ("a: 1\nb: 2\na: 3\n", ["app-config.yaml:3"]),
        (
            "backend:\n  database:\n    client: mysql\n",
            ["backend.database.client", "app-config.yaml:3"],
        ),
    ],
)
def test_a_mistake_in_the_configuration_stops_the_start_and_is_told_with_its_place(
    tmp_path, config, says
):
    (tmp_path / "app-config.yaml").write_text(config)

    code, said = callboard(tmp_path, "serve")

    assert code == 1, said
    assert "Traceback" not in said
    for text in says:
        assert text in said
    assert not (tmp_path / ".callboard").exists()


def test_a_mistake_of_a_provider_stops_the_start(tmp_path):
    (tmp_path / "app-config.yaml").write_text(
        "catalog:\n  providers:\n    git:\n      shop: {branch: main}\n"
    )

    code, said = callboard(tmp_path, "serve", "--port", free_port())

    assert code in {1, 78}
    assert "catalog.providers.git.shop" in said
    assert "required" in said
    assert "Traceback" not in said


def test_all_mistakes_are_told_at_once(tmp_path):
    (tmp_path / "app-config.yaml").write_text(
        "backend: {listen: {port: many}}\ncatalog: {rules: all, orphanStrategy: adopt}\n"
    )

    _, said = callboard(tmp_path, "serve")

    for key in ("backend.listen.port", "catalog.rules", "catalog.orphanStrategy"):
        assert key in said


def test_a_key_that_nobody_knows_is_a_warning_at_the_start_and_an_error_to_the_check(tmp_path):
    (tmp_path / "a.yaml").write_text(component("a"))
    (tmp_path / "app-config.yaml").write_text(
        f"{ACCESS}catalog:\n  {RULES}\n  orphanStratgy: keep\n"
        "  locations: [{type: file, target: ./a.yaml}]\n"
        "techdocs: {anything: goes}\n"
    )

    code, said = callboard(tmp_path, "check-config")
    with serving(tmp_path, workers=1) as platform:
        seconds_until(lambda: platform.entity("component:default/a"))
        log = platform.said()

    assert code == 1
    assert "catalog.orphanStratgy" in said
    assert "app-config.yaml:6" in said
    assert "techdocs" not in said
    (warning,) = (line for line in log.splitlines() if "orphanStratgy" in line)
    assert "level=warn" in warning


def test_a_file_that_is_not_there_is_told_by_its_name(tmp_path):
    code, said = callboard(tmp_path, "serve", "--config", "nowhere.yaml")

    assert code in {1, 2}
    assert "nowhere.yaml" in said
    assert "Traceback" not in said


def test_a_data_directory_that_is_a_file_is_told(tmp_path):
    (tmp_path / "data").write_text("not a directory")

    code, said = callboard(tmp_path, "serve", "--data-dir", "data", "--port", free_port())

    assert code in {1, 2}
    assert "data" in said.splitlines()[-1]
    assert "Traceback" not in said


def test_a_database_that_is_none_is_told(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "callboard.sqlite").write_bytes(b"no database at all" * 100)

    code, said = callboard(tmp_path, "serve", "--data-dir", "data", "--port", free_port())

    assert code == 1
    assert "callboard.sqlite" in said
    assert "Traceback" not in said


def test_a_second_server_on_the_same_port_says_that_it_is_taken(tmp_path):
    (tmp_path / "app-config.yaml").write_text(ACCESS)
    with serving(tmp_path, workers=1) as platform:
        port = platform.url.rpartition(":")[2]
        code, said = callboard(tmp_path, "serve", "--port", port, "--data-dir", "other")

        assert platform.ask("/api/catalog/entities").status == 200

    assert code == 1
    assert f":{port}" in said.splitlines()[-1]
    assert "Traceback" not in said
