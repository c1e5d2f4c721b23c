"""A file changes, breaks, is mended and goes: what the catalog shows of it, and how soon."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.running import ACCESS, RULES, Platform, component, seconds_until, serving

A = "component:default/a"
CONFIG = f"""\
{ACCESS}
catalog:
  {RULES}
  locations:
    - {{type: file, target: './catalog/*.yaml'}}
    - {{type: file, target: ./alone.yaml}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("changes")
    (folder / "catalog").mkdir()
    (folder / "app-config.yaml").write_text(CONFIG)
    for name in ("a", "b"):
        (folder / "catalog" / f"{name}.yaml").write_text(component(name, "first"))
    (folder / "alone.yaml").write_text(component("alone", "first"))
    return folder


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Platform]:
    with serving(folder) as platform:
        seconds_until(lambda: {A, "component:default/alone"} <= platform.refs())
        yield platform


@pytest.fixture
def platform(running: Platform, folder: Path) -> Iterator[Platform]:
    """Answer the platform; what a test did to `a.yaml` is undone after it."""
    yield running
    (folder / "catalog" / "a.yaml").write_text(component("a", "as ever"))
    running.refresh(A)
    seconds_until(lambda: running.description(A) == "as ever" and not running.errors(A))


def test_a_changed_file_shows_within_a_second_of_its_refresh(platform, folder):
    took = []
    for turn in range(5):
        (folder / "catalog" / "a.yaml").write_text(component("a", f"refreshed {turn}"))
        platform.refresh(A)
        took.append(seconds_until(lambda now=turn: platform.description(A) == f"refreshed {now}"))

    assert sorted(took)[2] < 1.0, took


def test_a_changed_file_shows_without_being_asked_for(platform, folder):
    (folder / "catalog" / "a.yaml").write_text(component("a", "watched"))

    assert seconds_until(lambda: platform.description(A) == "watched") < 8.0


def test_files_that_a_pattern_matches_come_and_go(platform, folder):
    new = folder / "catalog" / "new.yaml"
    new.write_text(component("new"))
    assert seconds_until(lambda: platform.entity("component:default/new")) < 8.0

    new.unlink()
    platform.refresh("component:default/new")

    seconds_until(lambda: platform.entity("component:default/new") is None)
    assert platform.entity(A)


def test_a_file_that_is_no_yaml_is_told_by_line_and_column_and_changes_nothing(platform, folder):
    before = platform.entity(A)
    (location,) = (
        f"location:default/{entity['metadata']['name']}"
        for entity in platform.entities(filter="kind=location,spec.target")
        if "*" in entity["spec"]["target"]
    )
    broken = folder / "catalog" / "a.yaml"

    broken.write_text(component("a", "lost") + "  tags: [one, two\n")
    platform.refresh(A)
    seconds_until(lambda: platform.errors(location))
    (error,) = platform.errors(location)
    shown = platform.entity(A)

    assert f"YAML error at file:{broken}" in error
    assert "at line 11, column 1" in error
    assert f"place=file:{broken}:11:1" in platform.said()
    assert shown == before
    assert platform.entity("component:default/b")

    broken.write_text(component("a", "mended"))
    platform.refresh(A)
    seconds_until(lambda: platform.description(A) == "mended")

    assert platform.errors(location) == []


@pytest.mark.parametrize(
    ("mistake", "says", "line"),
    [
        (("  owner:", "  owned:"), "/spec must have required property 'owner'", 6),
        (('owner: "team"', "owner: [team]"), "/spec/owner must be string", 9),
        (("kind: Component", "kind: Komponent"), "is not of an allowed kind", 2),
        (("  name: a", "  name: a\n  tags: [Not A Tag]"), '"tags.0" is not valid', 5),
    ],
)
def test_a_file_that_is_no_entity_is_told_and_changes_nothing(
    platform, folder, mistake, says, line
):
    before = platform.entity(A)
    broken = folder / "catalog" / "a.yaml"

    broken.write_text(component("a", str(before["metadata"]["description"])).replace(*mistake))
    platform.refresh(A)
    seconds_until(lambda: any(says in error for error in all_errors(platform)))
    shown = platform.entity(A)

    assert re.search(rf"place=file:{broken}:{line}\b", platform.said())
    for entity in (before, shown):
        entity.pop("status", None)
        del entity["metadata"]["etag"]
    assert shown == before


def all_errors(platform: Platform) -> list[str]:
    return [
        item["message"]
        for entity in platform.entities()
        for item in entity.get("status", {}).get("items", [])
    ]


def test_an_entity_that_is_not_valid_any_more_is_listed_with_its_newest_content(platform, folder):
    (folder / "catalog" / "a.yaml").write_text(component("a", "newest", type=""))
    platform.refresh(A)
    seconds_until(lambda: platform.errors(A))

    (failed,) = platform.get("/entities/unprocessed/failed")["entities"]

    assert failed["entity_ref"] == A
    assert failed["unprocessed_entity"]["metadata"]["description"] == "newest"
    assert "/spec/type" in json.dumps(failed["errors"])


def test_an_entity_that_never_was_valid_waits_and_appears_once_it_is(platform, folder):
    never = folder / "catalog" / "never.yaml"
    never.write_text(component("never", lifecycle=7))
    platform.refresh(A)

    seconds_until(lambda: platform.get("/entities/unprocessed/pending")["entities"])
    (pending,) = platform.get("/entities/unprocessed/pending")["entities"]
    shown = platform.entity("component:default/never")

    assert pending["unprocessed_entity"]["metadata"]["name"] == "never"
    assert shown is None

    never.write_text(component("never"))
    platform.refresh("component:default/never")
    seconds_until(lambda: platform.entity("component:default/never"))
    assert platform.get("/entities/unprocessed/pending")["entities"] == []

    never.unlink()
    platform.refresh(A)
    seconds_until(lambda: platform.entity("component:default/never") is None)


def test_a_file_that_is_gone_is_an_error_and_takes_nothing_with_it(platform, folder):
    alone = folder / "alone.yaml"
    text = alone.read_text()

    alone.unlink()
    platform.refresh("component:default/alone")
    seconds_until(lambda: f"file {alone} does not exist" in "".join(all_errors(platform)))
    kept = platform.entity("component:default/alone")

    alone.write_text(text)
    platform.refresh("component:default/alone")
    seconds_until(lambda: not all_errors(platform))
    assert platform.entity("component:default/alone") == kept


def test_a_name_that_is_taken_is_told_and_given_when_it_is_free(platform, folder):
    second, alone = folder / "catalog" / "second.yaml", "component:default/alone"
    second.write_text(component("alone", "the second"))
    platform.refresh(A)
    seconds_until(lambda: f"{alone} is already described" in platform.said())
    first = platform.description(alone)

    text = (folder / "alone.yaml").read_text()
    (folder / "alone.yaml").write_text(component("renamed"))
    platform.refresh(alone)
    seconds_until(lambda: platform.description(alone) == "the second")
    second.unlink()
    (folder / "alone.yaml").write_text(text)
    platform.refresh("component:default/renamed")
    platform.refresh(A)
    seconds_until(lambda: platform.description(alone) == "first")

    assert first == "first"
    assert platform.entity("component:default/renamed") is None
