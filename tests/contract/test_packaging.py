"""What is installed is what is meant to be, and no other distribution has the same names."""

from __future__ import annotations

import importlib
import tomllib
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = ("app", "ingestors", "actions")


@pytest.mark.parametrize("name", PACKAGES)
def test_no_other_distribution_has_a_package_of_the_same_name(name):
    """An editable installation lists no packages, any other lists exactly these."""
    assert set(packages_distributions().get(name, ["callboard"])) == {"callboard"}


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_is_imported_from_this_tree(name):
    assert Path(importlib.import_module(name).__file__ or "").parent == ROOT / name


def test_the_wheel_holds_these_packages():
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]

    assert tuple(wheel["packages"]) == PACKAGES
    for source in wheel["force-include"]:
        assert (ROOT / source).is_file()


def test_every_folder_of_a_package_can_be_imported():
    """A folder without `__init__.py` would be left out of some tools' sight."""
    folders = {path.parent for name in PACKAGES for path in (ROOT / name).rglob("*.py")}

    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_the_command_is_what_runs():
    (entry,) = distribution("callboard").entry_points.select(group="console_scripts")

    assert (entry.name, entry.value) == ("callboard", PROJECT["project"]["scripts"]["callboard"])
    assert callable(entry.load())


@pytest.mark.parametrize(("lock", "extra"), [("run.txt", ""), ("dev.txt", "dev")])
def test_every_requirement_is_locked(lock, extra):
    text = (ROOT / ".requirements" / lock).read_text()
    locked = {line.split("==")[0] for line in text.splitlines() if "==" in line}
    wanted = PROJECT["project"]["dependencies"]
    wanted = wanted + PROJECT["project"]["optional-dependencies"].get(extra, [])

    names = {Requirement(line).name.lower().replace("_", "-") for line in wanted}

    assert names <= {name.strip().split("[")[0] for name in locked}
