"""Location entities: what they point at, and what reading that comes to."""

from __future__ import annotations

import pytest

from app.catalog.locations import (
    LocationEntity,
    Target,
    generated,
    is_unchanged,
    read_target,
)
from app.errors import InputError
from app.scm.readers import ReaderSettings, open_readers
from tests.app.scm.web_server import web_server

FILE, URL = "file:/srv/catalog/all.yaml", "url:https://example.org/catalog/all.yaml"


@pytest.fixture
def readers(tmp_path):
    return open_readers(ReaderSettings(tmp_path / "data", allow=[{"host": "127.0.0.1:1-65535"}]))


def location(found_in=FILE, **spec):
    annotations = {
        "backstage.io/managed-by-location": found_in,
        "backstage.io/managed-by-origin-location": "file:/origin.yaml",
    }
    metadata = {"name": "all", "annotations": annotations}
    return LocationEntity(1, "location:default/all", 1, "git", {"metadata": metadata, "spec": spec})


def targets(readers, location):
    return [target.location for target in location.targets(readers)]


def test_relative_targets_are_those_beside_the_file(readers):
    found = location(FILE, targets=["./a.yaml", "../b.yaml", "/c.yaml", "d.yaml"])

    assert targets(readers, found) == [
        "file:/srv/catalog/a.yaml",
        "file:/srv/b.yaml",
        "file:/c.yaml",
        "file:d.yaml",
    ]


def test_relative_targets_are_those_beside_the_url(readers):
    found = location(URL, targets=["./a.yaml", "../b.yaml", "https://example.com/c.yaml"])

    assert targets(readers, found) == [
        "url:https://example.org/catalog/a.yaml",
        "url:https://example.org/b.yaml",
        "url:https://example.com/c.yaml",
    ]


def test_the_single_target_comes_before_the_others(readers):
    found = location(FILE, target="/one.yaml", targets=["/two.yaml", "/three.yaml"])

    assert targets(readers, found) == ["file:/one.yaml", "file:/two.yaml", "file:/three.yaml"]


@pytest.mark.parametrize("spec", [{}, {"targets": []}, {"target": ""}, {"targets": None}])
def test_a_location_may_point_at_nothing(readers, spec):
    assert targets(readers, location(FILE, **spec)) == []
    assert (
        targets(readers, LocationEntity(1, "r", 1, "git", location().data | {"spec": None})) == []
    )


def test_a_file_may_point_at_urls_but_not_the_other_way_round(readers):
    found = location(FILE, type="url", target="https://example.org/a.yaml")
    assert targets(readers, found) == ["url:https://example.org/a.yaml"]

    with pytest.raises(InputError) as raised:
        targets(readers, location(URL, type="file", target="/etc/passwd"))
    assert str(raised.value) == 'Registered locations must be of an allowed type ["url"]'


def test_a_type_that_nobody_reads_is_refused(readers):
    with pytest.raises(InputError, match="Locations of type s3 cannot be read"):
        targets(readers, location("s3:bucket/all.yaml", target="a.yaml"))


def test_a_folder_is_no_target_of_a_file(readers):
    with pytest.raises(InputError, match="ends with a path separator"):
        targets(readers, location(FILE, target="./folder/"))


def test_origin_and_type_are_those_of_its_tree():
    assert location().origin == "file:/origin.yaml"
    assert (location(URL).type, location(URL, type="file").type) == ("url", "file")
    assert [location(presence=p).is_optional for p in ("optional", "required")] == [True, False]


def test_a_generated_location_is_named_as_in_backstage():
    entity = generated("url", "https://example.org/a.yaml")

    assert entity.data["metadata"] == {"name": "generated-b5ef1852c7d036569673f5101fb7aa5f76135372"}
    assert entity.data["spec"] == {"type": "url", "target": "https://example.org/a.yaml"}
    assert entity.location == "url:https://example.org/a.yaml"
    assert generated("url", "x", "optional").data["spec"]["presence"] == "optional"


def test_what_is_read_is_answered_with_its_fingerprint(readers, tmp_path):
    (tmp_path / "a.yaml").write_text("a: 1")

    read = read_target(readers, location(), Target("file", str(tmp_path / "*.yaml")))

    assert [content.data for content in read.contents] == [b"a: 1"]
    assert read.contents[0].location == f"file:{tmp_path}/a.yaml"
    assert read.flaw is None
    assert read.fingerprint


def test_a_missing_target_is_a_flaw_with_its_place(readers, tmp_path):
    target = Target("file", str(tmp_path / "absent.yaml"))

    read = read_target(readers, location(), target)

    assert read.contents == ()
    assert read.flaw.error == {
        "name": "NotFoundError",
        "message": f"file {target.path} does not exist",
    }
    assert read.flaw.problem.location == target.location


def test_a_missing_target_that_is_optional_holds_nothing(readers, tmp_path):
    target = Target("file", str(tmp_path / "absent.yaml"))

    read = read_target(readers, location(presence="optional"), target)

    assert (read.contents, read.flaw) == ((), None)


def test_optional_does_not_excuse_what_cannot_be_read(readers, tmp_path):
    target = Target("file", str(tmp_path))

    read = read_target(readers, location(presence="optional"), target)

    assert read.flaw.error["name"] == "Error"


def test_a_server_that_fails_is_a_flaw(readers):
    with web_server() as site:
        url = site.answer("/a.yaml", b"no", 500)

        read = read_target(readers, location(), Target("url", url))

    assert read.flaw.error["name"] == "Error"
    assert read.flaw.error["message"].startswith(f"Unable to read url, could not read {url}")


def test_a_place_is_unchanged_while_its_fingerprint_is(readers):
    with web_server() as site:
        url = site.answer("/a.yaml", b"a: 1", etag='"1"')
        read = read_target(readers, location(), Target("url", url))

        site.answer("/a.yaml", b"", 304)
        assert is_unchanged(readers, f"url:{url}", read.fingerprint)

        site.answer("/a.yaml", b"a: 2", etag='"2"')
        assert not is_unchanged(readers, f"url:{url}", read.fingerprint)


@pytest.mark.parametrize("place", ["file:/nowhere/at/all", "url:https://not.allowed", "s3:x", ":"])
def test_what_cannot_be_read_counts_as_changed(readers, place):
    assert not is_unchanged(readers, place, "")
