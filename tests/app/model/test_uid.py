"""Identifiers: valid, never twice, and in the order in which they were made."""

from __future__ import annotations

import threading
import time
import uuid

from app.model.uid import new_uid


def test_it_is_a_uuid_of_version_7():
    made = uuid.UUID(new_uid())

    assert (made.version, made.variant) == (7, uuid.RFC_4122)


def test_it_begins_with_the_time_in_milliseconds():
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(new_uid())
    after = time.time_ns() // 1_000_000

    assert before <= made.int >> 80 <= after + 1


def test_each_is_greater_than_the_one_before():
    made = [new_uid() for _ in range(5000)]

    assert made == sorted(set(made))


def test_threads_never_get_the_same_one():
    made = list[list[str]]()

    def work():
        made.append([new_uid() for _ in range(2000)])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(one == sorted(one) for one in made)
    assert len({uid for one in made for uid in one}) == 8000
