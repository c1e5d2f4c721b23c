"""Plugins: marked functions are found where they are defined; nothing else is told of them."""

from __future__ import annotations

import importlib
import sys
from textwrap import dedent

import pytest
from marshmallow import Schema

from app.plugins import Plugin, action, discover, ingestor

NO_SETTINGS = '''
from marshmallow import Schema
from app.plugins import action, ingestor

class Nothing(Schema):
    """Holds nothing."""

'''


class Folder:
    """Packages and distributions that can be imported while a test runs."""

    def __init__(self, path):
        self.path = path

    def module(self, name, text=""):
        path = self.path.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.joinpath("__init__.py").touch()
        path.write_text(NO_SETTINGS + dedent(text))

    def distribution(self, name, entry_points):
        info = self.path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(dedent(entry_points))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    known = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield Folder(tmp_path)
    for name in set(sys.modules) - known:
        if name.split(".")[0] in {"plugs", "acme"}:
            del sys.modules[name]


def ids(*packages, group=""):
    return [plugin.id for plugin in discover(*packages, group=group)]


def test_a_mark_leaves_the_function_as_it_is():
    class Settings(Schema):
        pass

    def build(settings, readers):
        return settings, readers

    marked = ingestor("list", Settings)(build)

    assert marked is build
    assert marked(1, 2) == (1, 2)
    mark = build.__callboard_plugin__
    assert mark == Plugin("ingestor", "list", Settings, build)
    assert mark.module == __name__
    assert action("do:it", Settings)(lambda: None).__callboard_plugin__.kind == "action"


def test_every_module_of_a_package_is_looked_into(folder):
    folder.module(
        "plugs.two",
        """
        @ingestor("second", Nothing)
        def build(settings, readers): ...
        @action("third", Nothing)
        def run(context, given): ...
        def helper(): ...
        """,
    )
    folder.module("plugs.one", '@ingestor("first", Nothing)\ndef build(settings, readers): ...')

    assert ids("plugs") == ["first", "second", "third"]
    assert [plugin.kind for plugin in discover("plugs")] == ["ingestor", "ingestor", "action"]


def test_a_plugin_is_found_once_however_many_names_it_has(folder):
    folder.module("plugs.one", '@action("a", Nothing)\ndef run(context, given): ...\nalias = run')
    folder.module("plugs.two", "from plugs.one import run")

    assert ids("plugs") == ["a"]
    assert [plugin.module for plugin in discover("plugs")] == ["plugs.one"]


def test_other_distributions_bring_plugins_through_entry_points(folder):
    folder.module("plugs.one", '@action("ours", Nothing)\ndef run(context, given): ...')
    folder.module("acme.board", '@action("theirs", Nothing)\ndef run(context, given): ...')
    folder.distribution("acme", "[callboard.test]\nboard = acme.board\n")

    assert ids("plugs", group="callboard.test") == ["ours", "theirs"]
    assert ids("plugs") == ["ours"]
    assert ids(group="callboard.other") == []


def test_a_module_that_is_named_twice_brings_its_plugins_once(folder):
    folder.module("plugs.one", '@action("a", Nothing)\ndef run(context, given): ...')
    folder.distribution(
        "plugs", "[callboard.test]\none = plugs.one\nsame = plugs.one:run\nown = plugs.one\n"
    )

    assert ids("plugs", group="callboard.test") == ["a"]


def test_what_only_looks_like_a_mark_is_passed_over(folder):
    folder.module(
        "plugs.one",
        """
        class Everything:
            def __getattr__(self, name): return name
        anything = Everything()
        """,
    )

    assert ids("plugs") == []


def test_a_module_that_cannot_be_imported_is_not_passed_over_in_silence(folder):
    folder.module("plugs.one", "raise RuntimeError('broken plugin')")

    with pytest.raises(RuntimeError, match="broken plugin"):
        ids("plugs")
