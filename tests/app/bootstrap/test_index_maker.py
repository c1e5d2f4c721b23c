"""The process that makes the index's file: waited for, not for ever, and gone in the end."""

from __future__ import annotations

import threading
import time

import pytest

from app.bootstrap.index_maker import IndexMaker
from app.serve.process import ChildSpec
from tests.app.serve import site


@pytest.fixture
def stop():
    return threading.Event()


def maker(target, stop, longest=20.0):
    return IndexMaker(ChildSpec("index", target), stop, longest)


def test_it_is_waited_for_until_the_base_is_there_and_ended_later(stop):
    making = maker(site.background, stop)

    assert making.base()
    process = making._process
    assert process.exit_code is None

    making.end()
    assert process.exit_code is not None
    making.end()


def test_one_that_fails_has_made_nothing(stop):
    making = maker(site.crashing, stop)

    assert not making.base()
    assert making._process is None


def test_one_that_takes_too_long_is_ended(stop):
    making = maker(site.asking, stop, longest=0.3)
    started = time.monotonic()

    assert not making.base()
    assert time.monotonic() - started < 10
    assert making._process is None


def test_who_is_told_to_stop_does_not_wait(stop):
    stop.set()

    assert not maker(site.asking, stop).base()
