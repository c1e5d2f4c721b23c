"""Answers that are kept: for one revision, and within bounds."""

from __future__ import annotations

from app.catalog.reading import Reply
from app.catalog.remembered import Remembered


def test_an_answer_is_found_for_its_revision_only():
    kept = Remembered()
    kept.keep("question", Reply(b"[1]", 7))

    assert kept.find("question", 7) == Reply(b"[1]", 7)
    assert kept.find("other", 7) is None
    assert kept.find("question", 8) is None
    assert kept.find("question", 7) is None


def test_what_was_used_longest_ago_makes_room():
    kept = Remembered(room=10)
    for name in "abc":
        kept.keep(name, Reply(b"xxxx", 1))
        kept.find("a", 1)

    assert kept.find("a", 1) is not None
    assert kept.find("b", 1) is None
    assert kept.find("c", 1) is not None


def test_a_newer_answer_takes_the_place_of_an_older_one():
    kept = Remembered(room=10)
    for revision in range(100):
        kept.keep("a", Reply(b"xxxxxx", revision))

    assert kept.find("a", 99) == Reply(b"xxxxxx", 99)


def test_large_answers_are_not_kept():
    kept = Remembered(largest=3)
    kept.keep("a", Reply(b"xxxx", 1))

    assert kept.find("a", 1) is None
