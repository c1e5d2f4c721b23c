"""Names of those who hold leases tell whether their process is gone."""

from __future__ import annotations

import os
import subprocess
import sys

from app.db.holders import NOBODY, is_gone, new_holder

NAME = "from app.db.holders import new_holder; print(new_holder(), flush=True); input()"


def test_no_two_holders_have_the_same_name():
    assert new_holder() != new_holder()


def test_a_process_that_runs_is_not_gone():
    assert not is_gone(new_holder())


def test_a_process_that_was_killed_is_gone_even_before_anybody_buried_it():
    with subprocess.Popen(
        [sys.executable, "-c", NAME], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        holder = process.stdout.readline().strip()
        assert not is_gone(holder)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        assert is_gone(holder)
    assert is_gone(holder)


def test_another_process_with_the_same_number_is_another_one():
    place, pid, started, nonce = new_holder().split("/")

    assert is_gone("/".join((place, pid, str(int(started) - 1), nonce)))


def test_nothing_is_known_of_processes_elsewhere():
    _, _, started, nonce = new_holder().split("/")

    assert not is_gone(f"elsewhere/4194305/{started}/{nonce}")
    assert not is_gone("something else")


def test_nobody_is_gone():
    assert is_gone(NOBODY)
