"""`get` and `query` against a running server."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from app.cli.yaml_text import scalar_text, yaml_text
from app.model import documents
from tests.app.cli.command import run, run_json


@pytest.fixture(autouse=True)
def some_entities(server):
    server.add("Component", "web", type="service", owner="team-a", lifecycle="live")
    server.add("Component", "api", type="service", owner="team-b")
    server.add("Group", "team-a", type="team", children=["a", "b"])


# Getting one


def test_get_shows_an_entity_as_yaml(server):
    result = run("get", "component:web", "--server", server.url)

    assert result.exit_code == 0
    assert yaml.safe_load(result.stdout) == server.entities[0]
    assert result.stdout.startswith("apiVersion: x\nkind: Component\n")


def test_get_shows_json_if_asked(server):
    assert run_json("get", "Component:Default/WEB", "--server", server.url) == server.entities[0]
    output = run("get", "component:web", "--output", "json", "--server", server.url).stdout
    assert json.loads(output) == server.entities[0]


def test_get_of_an_unknown_entity_fails_with_the_servers_words(server):
    result = run("get", "component:nope", "--server", server.url)

    assert result.exit_code == 1
    assert result.stderr == "Error: No entity named 'nope'\n"
    assert result.stdout == ""


@pytest.mark.parametrize("ref", ["web", "component:", ":web"])
def test_get_of_what_is_no_ref_is_a_usage_error(server, ref):
    result = run("get", ref, "--server", server.url)

    assert result.exit_code == 2
    assert "Entity reference" in result.stderr
    assert server.requests == []


# Identifying


def test_without_a_token_the_guest_asks_once(server):
    run("query", "--server", server.url)

    assert server.requests[0][1] == "/api/auth/guest/refresh"
    assert len(server.requests) == 2


def test_a_token_is_used_as_it_is(server):
    server.tokens, server.lets_guests_in = {"secret-token"}, False

    assert (
        run("get", "group:team-a", "--server", server.url, "--token", "secret-token").exit_code == 0
    )
    assert len(server.requests) == 1


def test_a_token_may_come_from_the_environment(server, monkeypatch):
    server.tokens, server.lets_guests_in = {"from-outside"}, False
    monkeypatch.setenv("CALLBOARD_TOKEN", "from-outside")

    assert run("get", "group:team-a", "--server", server.url).exit_code == 0


def test_a_server_without_a_guest_says_that_it_wants_a_token(server):
    server.lets_guests_in = False

    result = run("get", "group:team-a", "--server", server.url)

    assert result.exit_code == 1
    assert "--token" in result.stderr
    assert "CALLBOARD_TOKEN" in result.stderr


def test_a_wrong_token_is_refused_in_the_servers_words(server):
    result = run("query", "--server", server.url, "--token", "wrong-token")

    assert (result.exit_code, result.stderr) == (1, "Error: Illegal token\n")


def test_a_server_that_lets_everybody_in_needs_no_token(server):
    server.is_open, server.lets_guests_in = True, False

    assert run("get", "group:team-a", "--server", server.url).exit_code == 0


def test_the_server_of_the_configuration_is_the_default(server, own_folder):
    (own_folder / "app-config.yaml").write_text(f"backend: {{baseUrl: '{server.url}'}}\n")

    assert run("get", "group:team-a").exit_code == 0


# What may go wrong


def test_a_redirect_is_reported_and_not_followed(server):
    elsewhere = "/api/catalog/entities/by-name/group/default/team-a"
    server.answers[elsewhere] = (302, b"https://elsewhere.example.com/x")

    result = run("get", "group:team-a", "--server", server.url)

    assert result.exit_code == 1
    assert "redirects to https://elsewhere.example.com/x" in result.stderr


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (500, b"oops", "it answered 500"),
        (200, b"<html>", "does not answer with JSON"),
        (503, b'{"error":{"message":"Service has not started up yet"}}', "has not started"),
    ],
)
def test_an_unusable_answer_is_one_clear_line(server, status, body, words):
    server.answers["/api/catalog/entities/by-name/group/default/team-a"] = (status, body)

    result = run("get", "group:team-a", "--server", server.url)

    assert result.exit_code == 1
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_server_that_is_not_there_is_one_clear_line():
    result = run("get", "group:team-a", "--server", "http://127.0.0.1:1")

    assert result.exit_code == 1
    assert "connection refused; is the server running?" in result.stderr


@pytest.mark.parametrize("address", ["localhost:7007", "ftp://x", "http://user:pw@host", "http://"])
def test_what_is_no_address_of_a_server_is_a_usage_error(address):
    assert run("query", "--server", address).exit_code == 2


def test_a_token_that_could_not_be_sent_is_a_usage_error(server):
    assert run("query", "--server", server.url, "--token", "a\nb: c").exit_code == 2


# Listing


def test_query_prints_lines_of_values_in_a_pipe(server):
    result = run("query", "kind=component", "--server", server.url)

    assert result.stdout.splitlines() == [
        "component:default/web\tservice\tlive\tteam-a\t",
        "component:default/api\tservice\t\tteam-b\t",
        "group:default/team-a\tteam\t\t\t",
    ]
    assert result.stderr == ""


def test_query_asks_as_backstages_client_does(server):
    run("query", "kind=a,x=b", "kind=c", "--order", "metadata.name", "--order", "kind,desc",
        "--columns", "ref,spec.owner,relations.hasPart", "--server", server.url)  # fmt: skip

    assert server.requests[-1][1] == (
        "/api/catalog/entities/by-query?filter=kind%3Da%2Cx%3Db&filter=kind%3Dc"
        "&orderField=metadata.name%2Casc&orderField=kind%2Cdesc"
        "&fields=kind%2Cmetadata.name%2Cmetadata.namespace%2Cspec.owner%2Crelations&limit=100"
    )


def test_columns_may_be_any_fields(server):
    server.entities[0]["metadata"]["annotations"] = {"example.com/on-call": "ada\nlovelace"}
    server.entities[0]["relations"] = [
        {"type": "partOf", "targetRef": "system:default/s"},
        {"type": "ownedBy", "targetRef": "group:default/a"},
        {"type": "ownedBy", "targetRef": "group:default/b"},
    ]
    columns = "metadata.annotations.example.com/on-call,relations.ownedby,spec.children"

    lines = run("query", "--columns", columns, "--server", server.url).stdout.splitlines()

    assert lines[0] == "ada lovelace\tgroup:default/a, group:default/b\t"
    assert lines[2] == "\t\ta, b"


@pytest.mark.parametrize("cursors_hold_queries", [True, False])
def test_all_pages_are_fetched_with_either_kind_of_cursor(server, cursors_hold_queries):
    for number in range(40):
        server.add("Component", f"c{number}")
    server.page_size, server.cursors_hold_queries = 10, cursors_hold_queries

    result = run("query", "--all", "--columns", "metadata.name", "--server", server.url)

    assert result.stdout.split() == [entity["metadata"]["name"] for entity in server.entities]
    methods = [method for method, _, _ in server.requests[2:]]
    assert methods == ["POST" if cursors_hold_queries else "GET"] * 4


def test_no_more_is_fetched_than_was_asked_for(server):
    server.page_size = 2

    result = run("query", "--limit", "2", "--server", server.url)

    assert len(result.stdout.splitlines()) == 2
    assert result.stderr == "2 of 3 entities\n"
    assert len(server.requests) == 2


def test_query_prints_whole_entities_as_json(server):
    assert run_json("query", "--server", server.url) == server.entities
    assert "fields" not in server.requests[-1][1]


def test_a_filter_that_the_server_refuses_fails_in_its_words(server):
    result = run("query", "bad", "--server", server.url)

    assert (result.exit_code, result.stderr) == (1, "Error: a bad filter\n")


# YAML


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]) | st.just("\n"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS
    | st.sampled_from(["yes", "0o17", "1e3", "0x1f", "~", "2024-01-01", "1_0", ".inf", "=", "<<"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@given(VALUES)
def test_what_is_written_as_yaml_reads_back_the_same_in_both_versions(value):
    text = yaml_text({"value": value})

    assert yaml.safe_load(text) == {"value": value}
    (entity,) = documents.parse(text.encode(), "")
    assert entity.data == {"value": value}


@given(st.none() | st.booleans() | st.integers() | TEXTS)
def test_a_scalar_is_written_on_one_line(value):
    text = scalar_text(value)

    assert "\n" not in text
    assert yaml.safe_load(text) == value
