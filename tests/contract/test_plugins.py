"""What every plugin is held to; one that is added is checked the day it is added."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from marshmallow import Schema, fields

from app.plugins import Plugin, discover

ROOT = Path(__file__).parents[2]
PLUGINS = list(discover("ingestors", "actions"))
MODULES = sorted(
    path.stem
    for name in ("ingestors", "actions")
    for path in (ROOT / name).glob("*.py")
    if path.stem != "__init__"
)
# What comes in, as the first part of an ingestor's file says.
COMES_IN = {"catalog", "org", "ci", "cost", "owners"}


def id_of(plugin: Plugin) -> str:
    return plugin.id


def file_of(plugin: Plugin) -> str:
    return plugin.module.rpartition(".")[2]


every_plugin = pytest.mark.parametrize("plugin", PLUGINS, ids=id_of)


def test_every_file_adds_a_plugin():
    assert sorted({file_of(plugin) for plugin in PLUGINS}) == MODULES


def test_no_two_plugins_of_a_kind_have_the_same_id():
    named = [(plugin.kind, plugin.id) for plugin in PLUGINS]

    assert len(set(named)) == len(named)


@every_plugin
def test_a_plugin_lives_in_the_file_it_is_named_after(plugin):
    if plugin.kind == "action":
        assert plugin.module == f"actions.{re.sub('[:-]', '_', plugin.id)}"
        return
    what, _, whence = file_of(plugin).partition("_")
    assert plugin.module == f"ingestors.{what}_{whence}"
    assert what in COMES_IN
    assert whence == re.sub(r"\W", "_", plugin.id)


@every_plugin
def test_a_plugin_has_tests(plugin):
    package, _, name = plugin.module.partition(".")

    assert (ROOT / "tests" / package / f"test_{name}.py").is_file()


@every_plugin
def test_a_plugin_has_a_section_that_names_all_its_settings(plugin):
    page = (ROOT / "docs" / f"{plugin.module.partition('.')[0]}.md").read_text()
    sections = re.split(r"^## ", page, flags=re.MULTILINE)
    section = next((text for text in sections if text.startswith(f"{plugin.id}\n")), "")

    assert section
    for name, field in plugin.schema().fields.items():
        assert f"`{field.data_key or name}`" in section


@every_plugin
def test_a_plugin_is_held_to_a_schema(plugin):
    assert issubclass(plugin.schema, Schema)
    assert plugin.schema.__doc__
    assert all(isinstance(field, fields.Field) for field in plugin.schema().fields.values())


@every_plugin
def test_a_plugin_and_its_file_say_what_they_do(plugin):
    assert plugin.build.__doc__
    assert plugin.build.__globals__["__doc__"]
