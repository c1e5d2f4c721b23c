"""Locations find their reader, and failures are worded as Backstage words them."""

from __future__ import annotations

import pytest
from ada_url import URL

from app.errors import InputError, NotAllowedError, NotFoundError
from app.ports import Content, LocationReader, Reading
from app.scm.readers import ReaderSettings, UrlReader, open_readers
from app.scm.reading import spoken


@pytest.fixture
def readers(site, tmp_path, limits):
    settings = ReaderSettings(tmp_path, [{"host": f"127.0.0.1:{site.port}"}], reading=limits)
    readers = open_readers(settings)
    yield readers
    readers.git.pool.clear()


def failure(read, target):
    with pytest.raises(Exception) as error:  # noqa: PT011 - the text is what is tested
        read(target)
    return spoken(error.value)


def test_every_type_has_its_reader(readers):
    reader: LocationReader = readers.of("file")
    assert reader is readers.file
    assert readers.of("url") is readers.url
    with pytest.raises(InputError, match="Locations of type gopher cannot be read"):
        readers.of("gopher")


def test_a_url_is_read(site, readers):
    url = site.answer("/a.yaml", b"x")

    assert readers.url.read(url).contents == (Content(f"url:{url}", b"x"),)
    assert readers.url.read_file(url).contents == (Content(f"url:{url}", b"x"),)


def test_failures_of_a_location_are_worded_as_in_backstage(site, readers):
    read = readers.url.read
    broken = site.answer("/broken.yaml", status=500)

    assert failure(read, f"{site.url}/nope.yaml") == (
        f"NotFoundError: Unable to read url, no matching files found for {site.url}/nope.yaml"
    )
    assert failure(read, broken) == (
        f"Error: Unable to read url, could not read {broken}, 500 Internal Server Error"
    )
    assert failure(read, f"{site.url}/*.yaml") == (
        "Error: Unable to read url, Unsupported search pattern URL"
    )
    assert failure(read, "https://notallowed.example/x.yaml") == (
        "Error: Unable to read url, Reading from 'https://notallowed.example/x.yaml' is not "
        "allowed. You may need to configure an integration for the target host, or add it to the "
        "configured list of allowed hosts at 'backend.reading.allow'"
    )
    assert failure(read, "not a url") == "Error: Unable to read url, Invalid URL"


def test_failures_of_a_placeholder_are_about_the_file(site, readers):
    read = readers.url.read_file

    assert failure(read, f"{site.url}/gone.txt") == (
        f"NotFoundError: could not read {site.url}/gone.txt, 404 Not Found"
    )
    assert failure(read, "http://other/x").startswith("NotAllowedError: Reading from 'http://o")


def test_messages_are_cut_where_backstage_cuts_them(readers):
    assert len(failure(readers.url.read, "https://x/" + "y" * 9000)) == len("Error: ") + 5000


def test_targets_are_resolved_for_any_base(readers):
    resolve = readers.url.resolve

    assert resolve("./b.yaml", "https://unknown.example/x/a.yaml") == (
        "https://unknown.example/x/b.yaml"
    )
    assert resolve("https://x/y", "/srv/a.yaml") == "https://x/y"
    with pytest.raises(InputError, match=r"^Invalid URL$"):
        resolve("./b.yaml", "/srv/a.yaml")


def test_plain_web_servers_are_no_repositories(site, readers):
    assert readers.url.same_repository(f"{site.url}/b.txt", "https://elsewhere/a.yaml")


class Forge:
    """A source as an integration would bring it."""

    def serves(self, url):
        return url.hostname == "forge.example"

    def search(self, url, fingerprint=""):
        return Reading((Content(f"url:{url}", b"from the forge"),), "1")

    fetch = search

    def resolve(self, target, base):
        return "https://forge.example/resolved"

    def repository(self, url):
        return "/".join(url.split("/")[:5])


class Anything(Forge):
    def serves(self, url: URL) -> bool:
        return True

    def search(self, url, fingerprint=""):
        raise NotAllowedError("never")

    fetch = search

    def repository(self, url):
        return None


def test_the_first_source_that_serves_a_host_reads_it():
    reader = UrlReader((Forge(), Anything()))
    base = "https://forge.example/o/r/blob/main/a.yaml"

    assert reader.read(base).contents[0].data == b"from the forge"
    assert reader.resolve("./x", base) == "https://forge.example/resolved"
    with pytest.raises(NotAllowedError):
        reader.read_file("https://other/x")


def test_a_placeholder_reads_only_from_its_own_repository():
    reader = UrlReader((Forge(), Anything()))
    base = "https://forge.example/o/r/blob/main/a.yaml"

    assert reader.same_repository("https://forge.example/o/r/blob/main/b.txt", base)
    assert not reader.same_repository("https://forge.example/o/secret/blob/main/b.txt", base)
    assert not reader.same_repository(base, "https://plain.example/a.yaml")
    assert reader.same_repository("https://plain.example/b.txt", base)
    assert reader.same_repository("not a url", base)


def test_missing_is_told_from_failing(readers, tmp_path):
    with pytest.raises(NotFoundError):
        readers.file.read(str(tmp_path / "gone.yaml"))
