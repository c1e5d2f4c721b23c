"""URLs are resolved as Backstage resolves them for hosts it does not know."""

from __future__ import annotations

import pytest

from app.errors import InputError
from app.scm.addresses import is_url, parse_url, resolve_url, without_userinfo


@pytest.mark.parametrize(
    ("target", "base", "expected"),
    [
        ("./leaf.yaml", "http://h/tree/index.yaml", "http://h/tree/leaf.yaml"),
        ("sub/branch.yaml", "http://h/tree/index.yaml", "http://h/tree/sub/branch.yaml"),
        ("../x.yaml", "http://h/a/b/index.yaml", "http://h/a/x.yaml"),
        ("../../../x.yaml", "http://h/a/index.yaml", "http://h/x.yaml"),
        ("./my file.yaml", "http://h/a", "http://h/my%20file.yaml"),
        ("http://Other/x y", "http://h/a", "http://Other/x y"),
        ("//other/x", "http://h/a/b", "http://h/a/b//other/x"),
        ("./x?own=1", "http://h/a?kept=1", "http://h/x?kept=1"),
        # A leading slash is the root of the repository, or of nothing that looks like one.
        ("/one.yaml", "http://h/tree/rooted.yaml", "http://h/tree/rooted.yaml/one.yaml"),
        ("/o.yaml", "https://g/a/b/blob/main/c/d.yaml", "https://g/a/b/blob/main/o.yaml"),
        ("/o.yaml", "https://g/a/b/tree/main/c/d.yaml?at=1", "https://g/a/b/tree/main/o.yaml?at=1"),
        ("/o.yaml", "https://g/a/b/c/-/blob/main/d.yaml", "https://g/a/b/c/-/blob/main/o.yaml"),
        ("/o.yaml", "https://g/a/b/src/x/d.yaml", "https://g/a/b/src/x/o.yaml"),
    ],
)
def test_a_target_is_resolved(target, base, expected):
    assert resolve_url(target, base) == expected


@pytest.mark.parametrize("base", ["/srv/catalog/all.yaml", "", "all.yaml", "x\ud800"])
def test_a_base_that_is_no_url_is_refused_as_javascript_does(base):
    with pytest.raises(InputError, match=r"^Invalid URL$"):
        resolve_url("./x.yaml", base)


def test_what_is_a_url():
    assert is_url("https://example.org/x")
    assert not is_url("./x")
    assert not is_url("x\ud800")
    with pytest.raises(InputError, match=r"^Invalid URL$"):
        parse_url("tide reader")


def test_user_names_and_passwords_are_left_out():
    assert without_userinfo("https://me:secret@h:1/a@b") == "https://h:1/a@b"
    assert without_userinfo("plain@text") == "plain@text"
