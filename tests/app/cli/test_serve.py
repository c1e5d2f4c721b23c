"""`serve`: what its options change, what it says once it is ready, and that it runs and stops."""

from __future__ import annotations

import signal
import socket
import threading
from pathlib import Path

import pytest

from app.cli.options import Configuration
from app.cli.serve import announce, listen_overrides
from tests.app.cli.command import ROOT, component, run, run_json, start


def settings_of(text: str, **overrides: object):
    Path("app-config.yaml").write_text(text)
    return Configuration().overriding(overrides).settings()


# Options


@pytest.mark.parametrize(
    ("written", "host", "port", "expected"),
    [
        ("{port: 7100}", None, None, ("127.0.0.1", 7100)),
        ("{port: 7100}", None, 8080, ("127.0.0.1", 8080)),
        ("{port: 7100, host: '::1'}", None, 8080, ("::1", 8080)),
        ("':7100'", None, 8080, ("0.0.0.0", 8080)),  # noqa: S104 - what the text asks for
        ("':7100'", "10.0.0.1", None, ("10.0.0.1", 7100)),
        ("'10.0.0.1:7100'", None, 0, ("10.0.0.1", 0)),
        ("7100", "unix:/run/x", None, ("unix:/run/x", 7100)),
    ],
)
def test_host_and_port_override_one_without_the_other(written, host, port, expected):
    Path("app-config.yaml").write_text(f"backend: {{listen: {written}}}\n")
    configuration = Configuration()

    changed = configuration.overriding(listen_overrides(configuration, host, port))

    backend = changed.settings().backend
    assert (backend.host, backend.port) == expected


def test_a_listen_that_makes_no_sense_is_told_with_its_place():
    Path("app-config.yaml").write_text("backend: {listen: 'x:y:z'}\n")

    result = run("serve", "--port", "8080")

    assert result.exit_code == 1


@pytest.mark.parametrize(
    "options", [["--port", "70000"], ["--workers", "0"], ["--role", "cook"], ["surplus"]]
)
def test_options_that_make_no_sense_are_usage_errors(options):
    assert run("serve", *options).exit_code == 2


# What it says


def said(settings, capsys, role="all") -> str:
    announce(settings, role)
    return capsys.readouterr().out


def test_it_says_where_to_look_and_how_to_get_in(capsys):
    text = said(
        settings_of("auth: {providers: {guest: {dangerouslyAllowOutsideDevelopment: true}}}\n"),
        capsys,
    )

    assert "http://localhost:7007/api/catalog/entities" in text
    assert "http://localhost:7007/api/auth/guest/refresh" in text
    assert "callboard.sqlite" in text


def test_it_says_nothing_of_a_guest_that_is_not_let_in(capsys):
    text = said(settings_of("auth: {providers: {guest: {}}}\n"), capsys)

    assert "guest" not in text
    assert "externalAccess" in text


def test_it_says_that_no_token_is_needed_if_none_is(capsys):
    text = said(
        settings_of("backend: {auth: {dangerouslyDisableDefaultAuthPolicy: true}}\n"), capsys
    )

    assert "need no token" in text


def test_the_port_of_an_option_is_what_people_on_this_machine_look_at(capsys):
    port = {"backend.listen.port": 7999}

    local = said(settings_of("backend: {baseUrl: 'http://localhost:7007'}\n", **port), capsys)
    proxied = said(settings_of("backend: {baseUrl: 'https://b.example.com'}\n", **port), capsys)

    assert "http://localhost:7999/api" in local
    assert "https://b.example.com/api" in proxied


def test_a_worker_has_no_address(capsys):
    assert "http" not in said(settings_of(""), capsys, "worker")


def test_a_log_for_machines_is_left_alone(capsys):
    assert said(settings_of("callboard: {logging: {format: json}}\n"), capsys) == ""


# Running


def test_it_serves_what_it_read_until_it_is_stopped(own_folder):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    Path("catalog-info.yaml").write_text(component("web"))
    Path("app-config.yaml").write_text(
        "auth: {providers: {guest: {dangerouslyAllowOutsideDevelopment: true}}}\n"
        "catalog: {locations: [{type: file, target: ./catalog-info.yaml}]}\n"
    )
    ingested = run_json("ingest")
    process = start("serve", "--port", port, "--workers", "1", cwd=own_folder)
    ready = threading.Event()
    lines: list[str] = []

    def listen() -> None:
        for line in process.stdout or ():
            lines.append(line)
            if "Stop it with" in line:
                ready.set()

    reader = threading.Thread(target=listen)
    reader.start()
    try:
        assert ready.wait(150), "".join(lines)
        entity = run_json("get", "component:web", "--server", url)
        doctor = {check["check"]: check for check in run_json("doctor", "--offline")}
        lint = run_json("lint", "catalog-info.yaml", "--server", url)
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(150)
        reader.join()
        if process.stdout and process.stderr:
            process.stdout.close()
            process.stderr.close()

    assert ingested["ok"] is True
    assert code == 0
    assert any(f"http://localhost:{port}/api" in line for line in lines)
    assert entity["metadata"]["name"] == "web"
    assert doctor["migrations"]["status"] == "ok"
    assert [finding["rule"] for finding in lint["findings"]] == ["dangling-reference"]


def test_a_port_that_is_taken_is_one_clear_line(own_folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start("serve", "--port", taken.getsockname()[1], cwd=own_folder)
        _, err = process.communicate(timeout=150)

    assert process.returncode == 1
    assert "Cannot listen on 127.0.0.1:" in err.splitlines()[-1]
    assert "Traceback" not in err


def test_the_demo_has_a_configuration_that_is_good():
    config = ROOT / "catalog-info" / "app-config.yaml"

    assert run("check-config", "--config", config).exit_code == 0
