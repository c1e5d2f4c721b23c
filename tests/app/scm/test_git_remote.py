"""Remotes are read as git writes them, and their secrets stay out of sight."""

from __future__ import annotations

import pytest

from app.errors import ConfigError
from app.scm.git_remote import GitRemote


@pytest.mark.parametrize(
    ("text", "url", "web"),
    [
        ("https://g.example/o/r.git", "https://g.example/o/r.git", "https://g.example/o/r"),
        ("https://G.example:8443/o/r/", "https://g.example:8443/o/r", "https://g.example:8443/o/r"),
        ("git@g.example:o/r.git", "ssh://g.example/o/r.git", "ssh://g.example/o/r"),
        ("ssh://git@g.example:22/o/r.git", "ssh://g.example:22/o/r.git", "ssh://g.example:22/o/r"),
        ("file:///srv/git/r.git", "file:///srv/git/r.git", "file:///srv/git/r"),
        ("/srv/git/my r", "file:///srv/git/my%20r", "file:///srv/git/my%20r"),
        ("https://[::1]:80/r", "https://[::1]:80/r", "https://[::1]:80/r"),
    ],
)
def test_a_remote_is_understood(text, url, web):
    remote = GitRemote.parse(text)

    assert (str(remote), remote.web) == (url, web)


def test_a_relative_path_is_on_this_machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert GitRemote.parse("./r").path == str(tmp_path / "r")
    assert GitRemote.parse("../x:y").scheme == "file"


@pytest.mark.parametrize(
    "text",
    [
        "ext::sh -c x",
        "git://g/r",
        "ftp://g/r",
        "https://",
        "https:///r",
        "https://g/r?x",
        "http://g:x/",
    ],
)
def test_other_transports_are_refused(text):
    if "://" in text:
        with pytest.raises(ConfigError):
            GitRemote.parse(text)
    else:
        assert GitRemote.parse(text).scheme in {"file", "ssh"}


def test_secrets_are_taken_out_of_the_url():
    remote = GitRemote.parse("https://me:s3cr%40t@g.example/o/r.git")

    assert (remote.username, remote.password) == ("me", "s3cr@t")
    assert "s3cr" not in f"{remote} {remote!r} {remote.web} {remote.redacted('sent s3cr@t')}"


def test_a_token_needs_no_user_name():
    remote = GitRemote.parse("https://g.example/o/r.git", password="t0ken")

    assert remote.username == "oauth2"


def test_a_refusal_shows_no_secret():
    with pytest.raises(ConfigError) as error:
        GitRemote.parse("ftp://me:secret@g.example/r")

    assert "secret" not in str(error.value)
