"""Git servers are kept on a short leash."""

from __future__ import annotations

import os
import time

import pytest

from app.scm.git import GitRepositories
from app.scm.git_cache import GitLimits
from app.scm.git_remote import GitRemote
from app.scm.reading import UnreadableError
from tests.app.scm.git_server import GIT, Origin, full_git_server, plain_git_server
from tests.app.scm.web_server import web_server

REFS = "/o/r.git/info/refs?service=git-upload-pack"
ADVERTISED = {"content-type": "application/x-git-upload-pack-advertisement"}


@pytest.fixture
def repositories(tmp_path, pool):
    limits = GitLimits(timeout=60, max_transfer_bytes=20_000, max_object_bytes=10_000, fresh_for=0)
    return GitRepositories(tmp_path / "cache", pool, limits)


@pytest.fixture
def origin(tmp_path):
    return Origin.create(tmp_path / "shop.git")


def head(repositories, url, **secrets):
    return repositories.open(GitRemote.parse(url, **secrets)).head()


@pytest.mark.skipif(not GIT, reason="the git program is not installed")
def test_a_token_opens_a_repository_and_is_never_shown(origin, repositories):
    commit = origin.commit({"a": b"a"})
    with full_git_server(origin, token="t0ps3cret") as url:
        assert head(repositories, url, password="t0ps3cret").commit == commit

        for secrets in ({}, {"password": "wr0ng"}):
            with pytest.raises(UnreadableError, match="401 Unauthorized, check the user") as error:
                head(repositories, url, **secrets)
            assert "wr0ng" not in str(error.value)


def test_a_repository_that_is_not_there_is_an_error(site, repositories):
    with pytest.raises(UnreadableError, match="404 Not Found, there is no such repository"):
        head(repositories, f"{site.url}/o/r.git")


def test_a_page_that_is_no_git_server_is_an_error(site, repositories):
    site.answer(REFS, b"<html>", content_type="text/html")

    with pytest.raises(UnreadableError, match="there is no git repository"):
        head(repositories, f"{site.url}/o/r.git")


def test_a_redirect_within_the_host_is_followed(origin, repositories):
    commit = origin.commit({"a": b"a"})
    with plain_git_server(origin) as url, web_server() as site:
        site.redirect(REFS, f"{url}/info/refs?service=git-upload-pack")

        assert head(repositories, f"{site.url}/o/r.git").commit == commit


def test_a_redirect_to_another_host_is_not_followed_and_gets_no_token(site, repositories):
    site.redirect(REFS, f"http://localhost:{site.port}/stolen")

    with pytest.raises(UnreadableError, match="it leads to another host, localhost"):
        head(repositories, f"{site.url}/o/r.git", password="t0ken")

    assert [path for path, _ in site.requests] == [REFS]


def test_endless_redirects_end(site, repositories):
    site.redirect(REFS, REFS)

    with pytest.raises(UnreadableError, match="more than 5 redirects"):
        head(repositories, f"{site.url}/o/r.git")


def test_too_much_is_not_received(origin, repositories):
    origin.commit({f"{number}.bin": os.urandom(9000) for number in range(4)})
    with plain_git_server(origin) as url, pytest.raises(UnreadableError, match="more than 20000 b"):
        head(repositories, url)


def test_a_bomb_is_received_but_not_unpacked(origin, repositories):
    origin.commit({"bomb": bytes(1_000_000)})
    with (
        plain_git_server(origin) as url,
        pytest.raises(UnreadableError, match="cannot be used, it holds an object of 1000000 bytes"),
    ):
        head(repositories, url)

    assert not list(repositories.directory.rglob("*.pack"))


def test_a_server_that_drips_is_left_alone_after_a_while(site, tmp_path, pool):
    repositories = GitRepositories(tmp_path / "cache", pool, GitLimits(timeout=1))

    def drip(handler):
        handler.close_connection = True
        handler.send_response(200)
        handler.send_header("content-type", ADVERTISED["content-type"])
        handler.end_headers()
        ends = time.monotonic() + 20
        handler.wfile.write(b"ff00")
        while time.monotonic() < ends:
            handler.wfile.write(b"x")
            time.sleep(0.05)

    site.answer_with(REFS, drip)
    began = time.monotonic()

    with pytest.raises(UnreadableError, match="not complete after 1 seconds"):
        head(repositories, f"{site.url}/o/r.git")
    assert time.monotonic() - began < 10


def test_a_server_that_is_not_there_is_named_without_our_own_objects(repositories):
    with pytest.raises(UnreadableError, match=r"Error: no connection, connection refused$"):
        head(repositories, "http://127.0.0.1:1/o/r.git")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"0000",
        b"zzzz",
        b"ffff",
        b"001e# service=git-upload-pack\n0000",
        b"001e# service=git-upload-pack\n00000009\xff\xff\xff\xff\xff",
        b"000eversion 2\n0000",
        b"000eversion 9\n0000",
        b"001e# service=git-upload-pack\n0000000bERR no\n0000",
        b"001e# service=git-upload-pack\n0000003dx../../etc/passwd refs/heads/main\0agent=x\n0000",
    ],
)
def test_nonsense_is_an_error_that_names_the_repository(site, repositories, body):
    site.answer(REFS, body, **{"content-type": ADVERTISED["content-type"]})
    site.answer("/o/r.git/git-upload-pack", b"")

    with pytest.raises(UnreadableError, match=f"^Unable to read {site.url}/o/r.git, Error: .+"):
        head(repositories, f"{site.url}/o/r.git")
