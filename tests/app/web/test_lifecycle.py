"""A process starts, is ready, stops; never backwards."""

import threading

from app.web.lifecycle import Lifecycle


def test_it_begins_as_starting():
    lifecycle = Lifecycle()

    assert lifecycle.state == "starting"
    assert not lifecycle.is_ready


def test_what_is_stopping_does_not_become_ready():
    lifecycle = Lifecycle()
    lifecycle.stop()

    lifecycle.ready()

    assert lifecycle.is_stopping


def test_what_was_ready_has_started_even_when_it_stops():
    lifecycle = Lifecycle()
    assert not lifecycle.has_started

    lifecycle.ready()
    lifecycle.stop()

    assert lifecycle.has_started
    assert not lifecycle.is_ready


def test_waiting_ends_when_it_becomes_ready():
    lifecycle = Lifecycle()
    timer = threading.Timer(0.02, lifecycle.ready)
    timer.start()

    assert lifecycle.wait_until_started(5)
    timer.join()


def test_waiting_ends_when_it_stops_before_it_was_ready():
    lifecycle = Lifecycle()
    timer = threading.Timer(0.02, lifecycle.stop)
    timer.start()

    assert not lifecycle.wait_until_started(5)
    timer.join()


def test_waiting_gives_up_in_time():
    assert not Lifecycle().wait_until_started(0.01)
