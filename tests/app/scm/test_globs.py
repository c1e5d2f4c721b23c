"""Patterns match what minimatch matches, and cost no more than their length."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InputError
from app.scm.globs import Entry, compile_glob, has_magic, walk


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("catalog-info.yaml", "catalog-info.yaml"),
        ("*.yaml", "a.yaml"),
        ("?.yaml", "a.yaml"),
        ("**/x.yaml", "x.yaml"),
        ("**/x.yaml", "a/b/x.yaml"),
        ("a/**", "a/b"),
        ("a/**", "a/b/c"),
        ("a/**/b", "a/b"),
        ("a/**/b", "a/x/y/b"),
        ("a**b", "axxb"),
        ("{a,b}/*.yaml", "b/c.yaml"),
        ("catalog-info{.yaml,.yml}", "catalog-info.yml"),
        ("{a,b{c,d}}", "bd"),
        ("{1..3}.yaml", "2.yaml"),
        ("{a}", "{a}"),
        ("x.@(yaml|yml)", "x.yml"),
        ("x?(.old).yaml", "x.yaml"),
        ("[a-c].yaml", "b.yaml"),
        ("[!a].yaml", "b.yaml"),
        ("[^a].yaml", "b.yaml"),
        ("[]a].yaml", "].yaml"),
        ("[a", "[a"),
        (r"\*.yaml", "*.yaml"),
        (".*/x", ".github/x"),
        ("a/*", "a/b/"),
        ("a//b", "a/b"),
        ("https://github.com/org/**", "https://github.com/org/repo/blob/main/x.yaml"),
        ("*a*b*c*", "xaybzc"),
        ("*.y*ml", "b.yaml"),
        ("ü*", "üx"),
    ],
)
def test_a_pattern_matches(pattern, path):
    assert compile_glob(pattern).matches(path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*.yaml", "a/b.yaml"),
        ("*.yaml", ".hidden.yaml"),
        ("?idden", ".idden"),
        ("[.]idden", ".idden"),
        ("**/x.yaml", ".github/x.yaml"),
        ("a/**", "a"),
        ("a/**", "a/.b"),
        ("*", ""),
        ("a?b", "a/b"),
        ("a", "A"),
        ("{a,b}", "c"),
        ("*.yaml", "a.yaml.bak"),
        ("a.yaml", "aXyaml"),
        ("a/b", "a/b/c"),
        ("*b*a", "ab"),
    ],
)
def test_a_pattern_does_not_match(pattern, path):
    assert not compile_glob(pattern).matches(path)


def test_dotfiles_and_case_can_be_let_in():
    assert compile_glob("**/*.YAML", dotfiles=True, ignore_case=True).matches(".github/.x.yaml")
    assert compile_glob("HTTPS://Example.org/A", ignore_case=True).matches("https://example.org/a")
    assert not compile_glob("a/*", dotfiles=True).matches("a/..")


@pytest.mark.parametrize(
    "pattern", ["+(a|b)", "*(a)", "!(a)", "{a,b}" * 30, "{1..100000}", "{" * 2000, "a" * 5000]
)
def test_what_nobody_needs_is_refused(pattern):
    with pytest.raises(InputError):
        compile_glob(pattern)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 1000 + "b", "a" * 4000),
        ("**/a/" * 100 + "b", "a/" * 400 + "c"),
        ("[" * 4000, "[" * 3999),
        ("[b-a" * 900 + "]", "x"),
        ("**/*a*a*a*a*a*a*a*/" * 10 + "b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa/" * 100 + "c"),
    ],
)
def test_no_pattern_takes_long(pattern, path):
    began = time.perf_counter()
    assert not compile_glob(pattern).matches(path)
    assert time.perf_counter() - began < 3


def test_magic_is_recognised():
    assert not has_magic("/a/b-c_(1).yaml")
    assert all(map(has_magic, ("*", "a?", "[a]", "{a,b}", "@(a|b)")))


def simple_pattern(pattern: str) -> re.Pattern[str]:
    """The textbook translation: exact, but free to backtrack."""
    known = {"**/": "(?:[^/]+/)*", "*": "[^/]*", "?": "[^/]"}
    tokens = re.findall(r"\*\*/|\*|\?|.", pattern)
    parts = [known.get(token, re.escape(token)) for token in tokens]
    return re.compile("".join(parts) + r"\Z")


SEGMENTS = st.lists(
    st.text("ab*?", min_size=1, max_size=6).filter(lambda s: "**" not in s), min_size=1, max_size=3
)


@given(
    SEGMENTS,
    st.lists(st.booleans(), min_size=3, max_size=3),
    st.lists(st.text("ab", min_size=1, max_size=6), min_size=1, max_size=4),
)
def test_it_agrees_with_the_simple_translation(segments, deep, path):
    pattern = "/".join(f"**/{s}" if d else s for s, d in zip(segments, deep, strict=False))
    joined = "/".join(path)

    expected = simple_pattern(pattern).match(joined) is not None

    assert compile_glob(pattern).matches(joined) == expected


class Dictionary:
    """A tree for `walk` made of nested dictionaries; remembers what was listed."""

    def __init__(self, tree):
        self.tree, self.listed = tree, []

    def _at(self, path):
        found = self.tree
        for part in filter(None, path.split("/")):
            found = found[part]
        return found

    def entries(self, path):
        self.listed.append(path)
        for name, below in self._at(path).items():
            yield Entry(name, isinstance(below, dict), name.startswith("link"))

    def entry(self, path, name):
        below = self._at(path).get(name)
        return None if below is None else Entry(name, isinstance(below, dict))


TREE = {
    "catalog-info.yaml": 1,
    "a": {"catalog-info.yaml": 1, "b": {"catalog-info.yaml": 1, "c.txt": 1}},
    ".git": {"catalog-info.yaml": 1},
    "link": {"catalog-info.yaml": 1},
}


def test_walking_finds_what_matches_and_looks_nowhere_else():
    tree = Dictionary(TREE)

    assert list(walk(compile_glob("a/*/catalog-info.yaml"), tree, max_entries=99)) == [
        "a/b/catalog-info.yaml"
    ]
    assert tree.listed == ["a"]


def test_walking_everywhere_leaves_out_hidden_directories_and_links():
    found = walk(compile_glob("**/catalog-info.yaml"), Dictionary(TREE), max_entries=99)

    assert sorted(found) == [
        "a/b/catalog-info.yaml",
        "a/catalog-info.yaml",
        "catalog-info.yaml",
    ]


def test_a_link_is_entered_where_the_pattern_names_it():
    found = walk(compile_glob("link/*.yaml"), Dictionary(TREE), max_entries=99)

    assert list(found) == ["link/catalog-info.yaml"]


def test_walking_ends_at_a_limit():
    with pytest.raises(InputError, match="more than 3 files"):
        list(walk(compile_glob("**/x"), Dictionary(TREE), max_entries=3))
