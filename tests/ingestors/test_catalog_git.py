"""The git ingestor: what it finds, and how the files it found lead to others."""

from __future__ import annotations

import pytest
from marshmallow import ValidationError

from app.errors import ConfigError, InputError, NotFoundError
from app.model.entity import CatalogFile
from app.model.problem import Problem
from app.plugins import discover
from app.ports import Covering, Fingerprinted, Ingestor
from app.scm.git_cache import GitLimits
from app.scm.readers import ReaderSettings, open_readers
from app.scm.reading import ReadingLimits, UnreadableError
from ingestors.catalog_git import GitSettings, git_catalog
from tests.app.scm.git_server import Origin, plain_git_server

FILES = {
    "catalog-info.yaml": b"root",
    "services/a/catalog-info.yaml": b"a",
    "services/a/api.yaml": b"openapi: 3.0.0",
    "docs/my file#1.txt": b"text",
    "pages/[id]/catalog-info.yaml": b"id",
}


@pytest.fixture
def origin(tmp_path):
    return Origin.create(tmp_path / "origin" / "shop.git")


@pytest.fixture
def url(origin):
    with plain_git_server(origin) as url:
        yield url


@pytest.fixture
def readers(tmp_path):
    limits = ReadingLimits(max_bytes=1000, read_timeout=20)
    readers = open_readers(
        ReaderSettings(tmp_path / "data", reading=limits, git=GitLimits(fresh_for=0))
    )
    yield readers
    readers.git.pool.clear()


def catalog(readers, **settings):
    return git_catalog(GitSettings().load(settings), readers)


def test_it_is_an_ingestor_that_configuration_can_name(readers, tmp_path):
    [plugin] = [p for p in discover("ingestors") if p.module == "ingestors.catalog_git"]
    built = catalog(readers, url=str(tmp_path))

    assert (plugin.kind, plugin.id, plugin.schema) == ("ingestor", "git", GitSettings)
    assert isinstance(built, Ingestor)
    assert isinstance(built, Fingerprinted)


def test_it_yields_the_catalog_file_of_the_top_directory(origin, url, readers):
    origin.commit(FILES)
    web = url.removesuffix(".git")

    [found] = catalog(readers, url=url).snapshot()

    assert (found.location, found.content) == (f"url:{web}/blob/main/catalog-info.yaml", b"root")
    assert found.commit == catalog(readers, url=url).repository.head().commit
    (read,) = readers.url.read(found.location.removeprefix("url:")).contents
    assert read.commit == found.commit
    # Whoever reads the location later recognises the file.
    assert readers.url.read(found.location.removeprefix("url:"), found.fingerprint) is None


@pytest.mark.parametrize(
    "settings",
    [{"paths": ["**/catalog-info.yaml"]}, {"catalogPath": "/**/catalog-info.{yaml,yml}"}],
)
def test_it_yields_every_file_that_matches(origin, url, readers, settings):
    origin.commit(FILES)
    web = url.removesuffix(".git")

    found = list(catalog(readers, url=url, **settings).snapshot())

    assert [file.location for file in found] == [
        f"url:{web}/blob/main/catalog-info.yaml",
        f"url:{web}/blob/main/pages/%5Bid%5D/catalog-info.yaml",
        f"url:{web}/blob/main/services/a/catalog-info.yaml",
    ]


def test_where_the_files_are_shown_can_be_configured(origin, url, readers):
    origin.commit(FILES)
    web = "https://forge.example/team/shop/src/branch/main"

    [found] = catalog(readers, url=url, webUrl=web).snapshot()

    assert found.location == f"url:{web}/catalog-info.yaml"
    target = readers.url.resolve("./services/a/api.yaml", f"{web}/catalog-info.yaml")
    assert readers.url.read(target).contents[0].data == b"openapi: 3.0.0"


def test_a_repository_on_this_machine_has_file_urls(origin, readers):
    origin.commit(FILES)
    path = origin.path.as_uri().removesuffix(".git")

    [found] = catalog(readers, url=str(origin.path), branch="main").snapshot()

    assert found.location == f"url:{path}/blob/main/catalog-info.yaml"
    target = readers.url.resolve("/services/a/api.yaml", f"{path}/blob/main/catalog-info.yaml")
    assert readers.url.read_file(target).contents[0].data == b"openapi: 3.0.0"


def test_an_ssh_remote_has_ssh_urls_whose_targets_resolve_without_asking(readers):
    built = catalog(readers, url="git@git.example:team/shop.git", branch="feature/x")

    base = built.mount.location("feature/x", "a b/catalog-info.yaml")

    assert base == "ssh://git.example/team/shop/blob/feature/x/a%20b/catalog-info.yaml"
    root = "ssh://git.example/team/shop/blob/feature/x"
    assert readers.url.resolve("./api.yaml", base) == f"{root}/a%20b/api.yaml"
    assert readers.url.resolve("/api.yaml", base) == f"{root}/api.yaml"
    assert readers.url.same_repository(f"{root}/api.yaml", base)


def test_an_unchanged_repository_has_an_unchanged_fingerprint(origin, url, readers):
    origin.commit(FILES)
    built = catalog(readers, url=url)
    before = built.fingerprint()

    assert built.fingerprint() == before
    assert catalog(readers, url=url, paths=["**/*.yaml"]).fingerprint() != before
    origin.commit({})
    assert built.fingerprint() != before
    assert list(built.snapshot()) == []


def test_a_file_that_is_too_large_is_a_problem_and_the_others_are_found(origin, url, readers):
    origin.commit({**FILES, "big/catalog-info.yaml": b"x" * 1001})

    found = list(catalog(readers, url=url, paths=["*/catalog-info.yaml", "*.yaml"]).snapshot())

    [problem] = [item for item in found if isinstance(item, Problem)]
    assert problem.location.endswith("/blob/main/big/catalog-info.yaml")
    assert problem.message.endswith("it has 1001 bytes, more than the 1000 allowed")
    assert [file.content for file in found if isinstance(file, CatalogFile)] == [b"root"]


def test_a_repository_that_cannot_be_read_is_an_error_and_not_an_empty_snapshot(url, readers):
    with pytest.raises(UnreadableError, match="it has no branch main"):
        list(catalog(readers, url=url, branch="main").snapshot())
    with pytest.raises(UnreadableError, match="404 Not Found"):
        list(catalog(readers, url=f"{url}-gone").snapshot())


@pytest.mark.parametrize("branch", ["", "main"])
def test_files_that_a_catalog_file_names_come_from_the_same_repository(
    origin, url, readers, branch
):
    origin.commit(FILES)
    built = catalog(readers, url=url, branch=branch)
    base = f"{url.removesuffix('.git')}/blob/main/services/a/catalog-info.yaml"
    read, resolve = readers.url.read, readers.url.resolve

    assert read(resolve("./api.yaml", base)).contents[0].data == b"openapi: 3.0.0"
    assert read(resolve("/docs/my file%231.txt", base)).contents[0].data == b"text"
    assert read(resolve("../../pages/[id]/catalog-info.yaml", base)).contents[0].data == b"id"
    assert [c.data for c in read(resolve("/services/**/*.yaml", base)).contents] == [
        b"openapi: 3.0.0",
        b"a",
    ]
    assert readers.url.same_repository(resolve("./api.yaml", base), base)
    assert not readers.url.same_repository(base, "https://plain.example/a.yaml")
    # Above the top of the repository there is nothing of it.
    for target in ("../../../x", "./../../../../other/blob/main/x"):
        with pytest.raises((UnreadableError, NotFoundError)):
            read(resolve(target, base))
    assert built


def test_a_location_is_read_again_only_when_its_file_changed(origin, url, readers):
    origin.commit(FILES)
    catalog(readers, url=url)
    target = f"{url.removesuffix('.git')}/blob/main/services/a/api.yaml"
    pattern = f"{url.removesuffix('.git')}/blob/main/services/**"
    one, many = readers.url.read(target), readers.url.read(pattern)

    origin.commit({**FILES, "catalog-info.yaml": b"changed"})
    assert readers.url.read(target, one.fingerprint) is None
    assert readers.url.read(pattern, many.fingerprint) is None

    origin.commit({**FILES, "services/a/api.yaml": b"changed"})
    assert readers.url.read(target, one.fingerprint).contents[0].data == b"changed"
    assert readers.url.read(pattern, many.fingerprint) is not None


@pytest.mark.parametrize(
    "path", ["gone.yaml", "services", "%2e%2e/x", "a%2f..%2f..%2fx", "", "no/*.yaml"]
)
def test_what_is_not_in_the_repository_is_not_found(origin, url, readers, path):
    origin.commit(FILES)
    catalog(readers, url=url, branch="main")
    target = f"{url.removesuffix('.git')}/blob/main/{path}"

    with pytest.raises((NotFoundError, UnreadableError)):
        readers.url.read(target)


def test_another_branch_is_not_read_by_the_way(origin, url, readers):
    origin.commit(FILES)
    origin.commit({"catalog-info.yaml": b"secret"}, branch="secret")
    catalog(readers, url=url)

    with pytest.raises(NotFoundError):
        readers.url.read(f"{url.removesuffix('.git')}/blob/secret/catalog-info.yaml")


def test_two_branches_of_a_repository_can_be_read(origin, url, readers):
    origin.commit(FILES)
    origin.commit({"catalog-info.yaml": b"next"}, branch="next")
    built = [catalog(readers, url=url), catalog(readers, url=url, branch="next")]
    web = url.removesuffix(".git")

    assert [file.content for one in built for file in one.snapshot()] == [b"root", b"next"]
    assert readers.url.read(f"{web}/blob/next/catalog-info.yaml").contents[0].data == b"next"
    assert readers.url.read(f"{web}/blob/main/catalog-info.yaml").contents[0].data == b"root"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"url": ""},
        {"url": "https://g/r", "paths": []},
        {"url": "https://g/r", "paths": ["a"], "catalogPath": "a"},
        {"url": "https://g/r", "password": "a", "token": "b"},
        {"url": "https://g/r", "webUrl": "ssh://g/r"},
        {"url": "https://g/r", "colour": "red"},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValidationError):
        GitSettings().load(settings)


def test_a_remote_or_pattern_that_makes_no_sense_is_refused(readers):
    with pytest.raises(ConfigError):
        catalog(readers, url="ftp://g/r")
    with pytest.raises(InputError):
        catalog(readers, url="https://g/r", paths=["!(x)"])
    with pytest.raises(InputError):
        catalog(readers, url="https://g/r", webUrl="https://g/r?x")


def test_the_schedule_is_left_to_others():
    settings = GitSettings().load({"url": "https://g/r", "schedule": {"frequency": "PT5M"}})

    assert settings["schedule"] == {"frequency": "PT5M"}


def test_a_token_is_not_shown_by_what_is_built(readers):
    built = catalog(readers, url="https://git.example/r", token="t0ps3cret")

    assert "t0ps3cret" not in repr(built)
    assert built.repository.remote.password == "t0ps3cret"


@pytest.mark.parametrize(
    ("path", "is_covered"),
    [
        ("blob/main/catalog-info.yaml", True),
        ("blob/main/services/new/catalog-info.yaml", True),
        ("blob/main/pages/%5Bid%5D/catalog-info.yaml", True),
        ("blob/main/services/a/api.yaml", False),
        ("blob/other/catalog-info.yaml", False),
        ("blob/main/", False),
        ("blob/main/../main/x//catalog-info.yaml", False),
        ("tree/main/catalog-info.yaml", False),
    ],
)
def test_it_tells_which_files_it_would_find(origin, url, readers, path, is_covered):
    origin.commit(FILES)
    git = catalog(readers, url=url, paths=["**/catalog-info.yaml"])
    web = url.removesuffix(".git")

    assert isinstance(git, Covering)
    assert git.covers(f"url:{web}/{path}") is is_covered
    assert not git.covers(f"file:{web}/{path}")
    assert not git.covers(f"url:{web}-two/{path}")
    assert not git.covers("url:catalog-info.yaml")


def test_it_covers_what_it_yields(origin, url, readers):
    origin.commit(FILES)
    for settings in ({}, {"branch": "main"}, {"webUrl": "https://forge.example/team/shop"}):
        git = catalog(readers, url=url, paths=["**/catalog-info.yaml"], **settings)
        assert all(git.covers(file.location) for file in git.snapshot())
