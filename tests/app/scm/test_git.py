"""Repositories are read at their newest commit, from any remote, and only when it is new."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import threading
import time

import pytest
from dulwich.repo import Repo

from app.scm.git import GitRepositories
from app.scm.git_cache import GitLimits
from app.scm.git_remote import GitRemote
from app.scm.globs import compile_glob
from app.scm.reading import ReadingLimits, UnreadableError
from tests.app.scm.git_server import GIT, Origin, full_git_server, plain_git_server

needs_git = pytest.mark.skipif(not GIT, reason="the git program is not installed")
EVERYWHERE = [compile_glob("**/catalog-info.yaml")]
FILES = {
    "catalog-info.yaml": b"one",
    "services/a/catalog-info.yaml": b"two",
    "services/a/main.py": b"print()",
    "large.bin": os.urandom(50_000),
}


@pytest.fixture
def origin(tmp_path):
    return Origin.create(tmp_path / "origin" / "shop.git")


@pytest.fixture
def repositories(tmp_path, pool):
    return GitRepositories(
        tmp_path / "cache",
        pool,
        GitLimits(timeout=60, max_object_bytes=1 << 20, fresh_for=0),
        ReadingLimits(max_bytes=100),
    )


@pytest.fixture
def fake_ssh(tmp_path, monkeypatch):
    """An `ssh` that runs the command here, whatever the host."""
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\necho "$@" >>"$0.log"\nfor last; do :; done\nexec sh -c "$last"\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program


@pytest.fixture(
    params=[
        "plain",
        pytest.param("full", marks=needs_git),
        "file",
        pytest.param("ssh", marks=needs_git),
    ]
)
def url(request, origin):
    match request.param:
        case "plain":
            with plain_git_server(origin) as url:
                yield url
        case "full":
            with full_git_server(origin) as url:
                yield url
        case "ssh":
            request.getfixturevalue("fake_ssh")
            yield f"git@git.example:{origin.path}"
        case "file":
            yield origin.path.as_uri()


def read_all(repository, globs=EVERYWHERE):
    _, found = repository.find(globs)
    return {file.path: file.data for file in repository.read(found)}


def test_the_files_of_the_default_branch_are_found_and_read(url, origin, repositories):
    commit = origin.commit(FILES)
    origin.commit({"catalog-info.yaml": b"other"}, branch="other")
    repository = repositories.open(GitRemote.parse(url))

    assert read_all(repository) == {
        "catalog-info.yaml": b"one",
        "services/a/catalog-info.yaml": b"two",
    }
    assert (repository.head().branch, repository.head().commit) == ("main", commit)


def test_a_branch_can_be_chosen(url, origin, repositories):
    origin.commit(FILES)
    origin.commit({"catalog-info.yaml": b"other"}, branch="feature/x")

    assert read_all(repositories.open(GitRemote.parse(url), "feature/x")) == {
        "catalog-info.yaml": b"other"
    }


def test_a_branch_that_is_not_there_is_an_error(url, origin, repositories):
    origin.commit(FILES)

    with pytest.raises(UnreadableError, match="it has no branch nope"):
        repositories.open(GitRemote.parse(url), "nope").head()


def test_an_empty_repository_holds_nothing(url, repositories):
    repository = repositories.open(GitRemote.parse(url))

    assert repository.head().commit == ""
    assert read_all(repository) == {}
    assert repository.find_one("catalog-info.yaml") is None


def test_new_commits_are_seen_whatever_became_of_the_old_ones(url, origin, repositories):
    repository = repositories.open(GitRemote.parse(url))
    one = {"catalog-info.yaml": b"one", "kept.yaml": b"kept"}
    origin.commit(one)
    assert read_all(repository) == {"catalog-info.yaml": b"one"}

    origin.commit({"catalog-info.yaml": b"two", "kept.yaml": b"kept"})
    assert read_all(repository) == {"catalog-info.yaml": b"two"}

    origin.commit({"kept.yaml": b"kept"})
    assert read_all(repository) == {}

    # The content of two commits ago, which the cache of a shallow fetch may not count on.
    origin.commit(one)
    assert read_all(repository) == {"catalog-info.yaml": b"one"}

    origin.commit({"catalog-info.yaml": b"forced"}, onto=False)
    assert read_all(repository) == {"catalog-info.yaml": b"forced"}


def test_another_process_finds_what_was_fetched(url, origin, repositories, pool):
    origin.commit(FILES)
    read_all(repositories.open(GitRemote.parse(url)))

    again = GitRepositories(repositories.directory, pool, GitLimits(fresh_for=0))

    assert read_all(again.open(GitRemote.parse(url)))["catalog-info.yaml"] == b"one"


def test_one_file_is_found_by_its_path(url, origin, repositories):
    origin.commit(FILES)
    repository = repositories.open(GitRemote.parse(url))

    found = repository.find_one("services/a/main.py")

    assert repository.read([found])[0].data == b"print()"
    for path in ("services", "services/a", "catalog-info.yaml/x", "gone.yaml", "", "a//b"):
        assert repository.find_one(path) is None


def test_a_file_that_is_too_large_is_a_problem_of_its_own(url, origin, repositories):
    origin.commit({"a/catalog-info.yaml": b"x" * 101, "catalog-info.yaml": b"one"})
    repository = repositories.open(GitRemote.parse(url))

    large, fine = repository.read(repository.find(EVERYWHERE)[1])

    assert (large.data, large.problem) == (b"", "it has 101 bytes, more than the 100 allowed")
    assert (fine.data, fine.problem) == (b"one", "")


def test_a_hostile_tree_has_nothing_to_act_on(url, origin, repositories):
    origin.commit(
        {
            "catalog-info.yaml": (0o120000, b"/etc/passwd"),
            "link": (0o120000, b".."),
            "module": (0o160000, b"1" * 40),
            "..": b"escaped",
            ".git": b"gitdir: /",
            "a\udcff": b"no name",
            "line\nbreak": b"x",
            "-rf": b"x",
            "fine/catalog-info.yaml": b"one",
        }
    )
    repository = repositories.open(GitRemote.parse(url))

    assert read_all(repository, [compile_glob("**", dotfiles=True)]) == {
        ".git": b"gitdir: /",
        "-rf": b"x",
        "fine/catalog-info.yaml": b"one",
    }
    assert repository.find_one("catalog-info.yaml") is None
    assert repository.find_one("../catalog-info.yaml") is None


def test_a_tree_that_contains_itself_many_times_is_given_up(origin, repositories):
    tree = {"x": b"x"}
    for _ in range(8):
        tree = {f"{d}/{path}": content for d in "ab" for path, content in tree.items()}
    origin.commit(tree)
    repositories = GitRepositories(
        repositories.directory, repositories.pool, reading=ReadingLimits(max_entries=100)
    )

    with pytest.raises(UnreadableError, match="looks at more than 100 files"):
        repositories.open(GitRemote.parse(str(origin.path))).find([compile_glob("**/nope")])


def test_an_unchanged_repository_is_not_fetched_again(origin, repositories):
    origin.commit(FILES)
    with plain_git_server(origin) as url:
        repository = repositories.open(GitRemote.parse(url))
        read_all(repository)
        before = cached(repositories)
        read_all(repository)

    assert cached(repositories) == before


def test_a_reading_does_not_ask_again_at_once(origin, tmp_path, pool):
    repositories = GitRepositories(tmp_path / "cache", pool, GitLimits(fresh_for=60))
    origin.commit(FILES)
    repository = repositories.open(GitRemote.parse(str(origin.path)))
    before = repository.head()
    after = origin.commit({})

    assert repository.head() == before
    assert repository.head(fresh_for=0).commit == after


@needs_git
def test_contents_that_nobody_reads_are_not_fetched(origin, repositories):
    origin.commit(FILES)
    with full_git_server(origin) as url:
        read_all(repositories.open(GitRemote.parse(url)))

    assert 0 < sum(cached(repositories).values()) < 10_000


def test_a_broken_cache_is_fetched_anew(origin, repositories):
    origin.commit(FILES)
    with plain_git_server(origin) as url:
        repository = repositories.open(GitRemote.parse(url))
        expected = read_all(repository)
        for file in repositories.directory.rglob("*.pack"):
            file.chmod(0o600)
            file.write_bytes(b"PACK nonsense")

        assert read_all(repository) == expected
        for file in repositories.directory.rglob("objects"):
            shutil.rmtree(file)
        assert read_all(repository) == expected
        for file in repositories.directory.iterdir():
            if file.is_dir():
                shutil.rmtree(file)
        assert read_all(repository) == expected


def test_a_cache_of_many_packs_is_fetched_anew(origin, tmp_path, pool):
    repositories = GitRepositories(tmp_path / "cache", pool, GitLimits(max_packs=3, fresh_for=0))
    with plain_git_server(origin) as url:
        repository = repositories.open(GitRemote.parse(url))
        for number in range(6):
            origin.commit({"catalog-info.yaml": b"%d" % number})
            assert read_all(repository) == {"catalog-info.yaml": b"%d" % number}

    assert len([name for name in cached(repositories) if name.endswith(".pack")]) <= 4


def cached(repositories):
    return {
        str(path): path.stat().st_size
        for path in repositories.directory.rglob("pack-*")
        if path.is_file()
    }


def test_readers_in_several_threads_do_not_disturb_each_other(origin, repositories):
    origin.commit(FILES)
    results = []
    with plain_git_server(origin) as url:

        def read():
            own = GitRepositories(repositories.directory, repositories.pool, GitLimits(fresh_for=0))
            results.append(read_all(own.open(GitRemote.parse(url))))

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert results == [results[0]] * 4


@pytest.mark.parametrize("place", ["nowhere", "a file", "not git"])
def test_what_is_no_repository_is_an_error(place, tmp_path, repositories):
    path = tmp_path / place
    if place == "a file":
        path.write_text("x")
    elif place == "not git":
        path.mkdir()

    with pytest.raises(UnreadableError, match=r"^Unable to read file://.*, Error: "):
        repositories.open(GitRemote.parse(str(path))).head()


def test_a_repository_with_a_working_tree_is_read_at_its_commit(tmp_path, repositories):
    with contextlib.closing(
        Repo.init(str(tmp_path / "work"), mkdir=True, default_branch=b"main")
    ) as repo:
        (tmp_path / "work" / "catalog-info.yaml").write_bytes(b"committed")
        worktree = repo.get_worktree()
        worktree.stage(["catalog-info.yaml"])
        worktree.commit(message=b"x", committer=b"A <a@b>", author=b"A <a@b>")
    (tmp_path / "work" / "catalog-info.yaml").write_bytes(b"not yet")

    repository = repositories.open(GitRemote.parse(str(tmp_path / "work")))

    assert read_all(repository) == {"catalog-info.yaml": b"committed"}


@needs_git
def test_ssh_is_asked_without_questions(fake_ssh, origin, repositories):
    origin.commit(FILES)
    remote = GitRemote.parse(f"ssh://git@git.example:2222{origin.path}", identity_file="/key")

    read_all(repositories.open(remote))

    called = (fake_ssh.parent / "ssh.log").read_text().splitlines()[0]
    assert "BatchMode=yes" in called
    assert "-p 2222 -i /key" in called
    assert f"git@git.example git-upload-pack '{origin.path}'" in called


def test_an_ssh_that_fails_says_why(fake_ssh, repositories):
    fake_ssh.write_text("#!/bin/sh\necho 'Host key verification failed.' >&2\nexit 255\n")

    with pytest.raises(UnreadableError, match="Host key verification failed"):
        repositories.open(GitRemote.parse("git@git.example:o/r.git")).head()


@pytest.mark.parametrize("ends", ["timeout", "cancel"])
def test_an_ssh_that_hangs_is_ended(ends, fake_ssh, tmp_path, pool):
    fake_ssh.write_text(f"#!/bin/sh\necho $$ >{tmp_path}/pid\nexec sleep 60\n")
    timeout = 0.5 if ends == "timeout" else 60
    repositories = GitRepositories(tmp_path / "cache", pool, GitLimits(timeout=timeout))
    if ends == "cancel":
        threading.Timer(0.5, repositories.cancel).start()
    began = time.monotonic()

    with pytest.raises(UnreadableError):
        repositories.open(GitRemote.parse("git@git.example:o/r.git")).head()

    assert time.monotonic() - began < 20
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_nothing_is_read_after_reading_was_stopped(origin, repositories):
    origin.commit(FILES)
    repositories.cancel()
    with plain_git_server(origin) as url, pytest.raises(UnreadableError, match="stopped"):
        repositories.open(GitRemote.parse(url)).head()
