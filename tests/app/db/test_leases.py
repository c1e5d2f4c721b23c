"""Leases: one holder at a time, and nobody writes in the name of one that was lost."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest

from app.db.leases import Bound, GivenUpError, LeaseLostError, Leases, Pace
from app.db.statements import Statements

SHORT = timedelta(seconds=0.2)
HOUR = timedelta(hours=1)
NO_PACE = Pace()


@pytest.fixture
def one(database):
    return Leases(database)


@pytest.fixture
def other(database):
    return Leases(database)


def frozen(database):
    """Answer leases whose holder takes some and then does nothing any more."""
    return Leases(database, holder="elsewhere/1/1/x", ttl=SHORT)


def check(database, lease):
    with database.begin() as connection:
        lease.check(Statements.on(connection))


# -- one at a time --------------------------------------------------------------------------------


def test_what_one_holds_no_other_gets(one, other):
    with one.held("work") as mine:
        assert mine is not None
        assert other.take("work") is None
        assert one.take("work") is None

    with other.held("work") as theirs:
        assert theirs is not None


def test_different_work_is_held_by_different_processes(one, other):
    with one.held("work") as mine, other.held("more work") as theirs:
        assert mine is not None
        assert theirs is not None


def test_of_many_that_ask_at_once_one_gets_it(database):
    everyone = [Leases(database) for _ in range(8)]
    for _ in range(5):
        start, got = threading.Barrier(8), list[object]()

        def ask(leases, start=start, got=got):
            start.wait()
            got.append(leases.take("work"))

        threads = [threading.Thread(target=ask, args=(leases,)) for leases in everyone]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        (lease,) = [lease for lease in got if lease is not None]
        one = everyone[0]
        one.release(lease)


def test_it_is_given_back_whatever_happens(one, other):
    with pytest.raises(ZeroDivisionError), one.held("work"):
        raise ZeroDivisionError

    assert other.take("work") is not None


def test_who_waits_gets_it_when_it_is_free(one, other):
    order = []

    def wait():
        with other.waiting("work", threading.Event()) as lease:
            order.append(lease is not None)

    with one.held("work"):
        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.3)
        order.append("given back")
    thread.join(10)

    assert order == ["given back", True]


def test_who_is_told_to_stop_does_not_wait(one, other):
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()

    with one.held("work"), other.waiting("work", stop) as lease:
        assert lease is None


# -- time -----------------------------------------------------------------------------------------


def test_a_lease_is_kept_for_as_long_as_the_work_takes(database, other):
    with Leases(database, ttl=SHORT).held("work") as lease:
        for _ in range(6):
            time.sleep(0.1)
            assert other.take("work") is None
        check(database, lease)


def test_a_lease_that_is_not_renewed_is_free(database, other):
    frozen(database).take("work")
    assert other.take("work") is None

    time.sleep(0.25)

    assert other.take("work") is not None


def test_a_lease_of_a_process_that_is_gone_is_free_at_once(database, one, other):
    place, _, rest = one.holder.partition("/")
    pid, started, nonce = rest.split("/")
    dead = Leases(database, holder=f"{place}/{pid}/{int(started) - 1}/{nonce}")
    dead.take("work")

    assert other.take("work") is not None


def test_the_database_says_what_time_it_is(one):
    before = one.now()
    time.sleep(0.01)

    assert timedelta(0) < one.now() - before < timedelta(seconds=5)


# -- fences ---------------------------------------------------------------------------------------


def test_who_lost_a_lease_writes_nothing(database, other):
    lost = frozen(database).take("work")
    check(database, lost)
    time.sleep(0.25)
    held = other.take("work")

    with pytest.raises(LeaseLostError, match="work"):
        check(database, lost)
    check(database, held)


def test_who_was_late_but_has_no_successor_goes_on(database):
    late = frozen(database).take("work")
    time.sleep(0.25)

    check(database, late)


def test_who_lost_a_lease_does_not_give_it_back(database, other):
    leases = frozen(database)
    lost = leases.take("work")
    time.sleep(0.25)
    held = other.take("work")

    leases.release(lost)

    check(database, held)
    assert leases.take("work") is None


def test_nobody_takes_over_in_the_middle_of_a_transaction(database, other):
    lease = frozen(database).take("work")
    taken = []
    with database.begin() as connection:
        lease.check(Statements.on(connection))
        time.sleep(0.25)
        thread = threading.Thread(target=lambda: taken.append(other.take("work")))
        thread.start()
        time.sleep(0.2)
        assert taken == []
    thread.join(10)

    assert taken[0] is not None


# -- when it is due -------------------------------------------------------------------------------


def test_what_was_done_is_not_due_before_its_time(one):
    with one.held("work", NO_PACE) as lease:
        lease.again_after(SHORT)
    assert one.take("work", NO_PACE) is None

    time.sleep(0.25)

    assert one.take("work", NO_PACE) is not None


def test_what_was_not_ended_is_due_at_once(one, other):
    with one.held("work", NO_PACE):
        pass

    assert other.take("work", Pace(HOUR)) is not None


def test_others_than_the_last_holder_wait_a_little_longer(one, other):
    with one.held("work", NO_PACE) as lease:
        lease.again_after(timedelta(0))
    with one.held("work", NO_PACE) as lease:
        lease.again_after(timedelta(milliseconds=1))
    time.sleep(0.01)

    assert other.take("work", Pace(HOUR)) is None
    assert one.take("work", Pace(HOUR)) is not None


def test_what_was_not_done_since_some_moment_is_due(one, other):
    with one.held("work", NO_PACE) as lease:
        lease.again_after(HOUR)
    pace = Pace(since=one.now())

    with other.held("work", pace) as lease:
        lease.again_after(HOUR)

    assert one.take("work", pace) is None


def test_work_done_out_of_turn_leaves_its_time_to_those_who_have_it_to_do(one, other):
    with one.held("work") as lease:
        lease.ended()

    _, leases = other.look()
    assert not leases["work"].is_overdue(other.now(), timedelta(0))
    assert other.take("work", NO_PACE) is not None


# -- keeping house --------------------------------------------------------------------------------


def test_who_says_goodbye_holds_nothing(one, other):
    one.take("work")

    one.retire()

    assert other.take("work") is not None


def test_leases_that_nobody_uses_are_forgotten(database, one):
    frozen(database).take("old")
    time.sleep(0.25)
    one.take("new")

    one.forget(timedelta(milliseconds=20))

    assert list(one.look()[1]) == ["new"]


# -- work that takes too long ---------------------------------------------------------------------


def at_most(**options):
    return Bound(SHORT, **{"notice": SHORT, **options})


def test_work_that_takes_too_long_is_given_up_and_writes_nothing_any_more(database, one, other):
    told = []

    def tell(sql):
        told.append(sql.row("SELECT count(*) FROM lease")[0])

    with one.held("work", bound=at_most(given_up=tell)) as lease:
        check(database, lease)
        time.sleep(0.4)

        assert told == [1]
        with pytest.raises(GivenUpError, match=r"longer than 0:00:00.2\d* and was given up: work"):
            check(database, lease)
        taken = other.take("work")
        assert taken is not None

    # Giving it back does not take it from whoever has it now.
    check(database, taken)


def test_work_that_ends_in_time_is_not_given_up(one, other):
    told = []
    with one.held("work", bound=at_most(given_up=told.append, stuck=lambda: told.append("stuck"))):
        pass
    time.sleep(0.6)

    assert told == []
    assert other.take("work") is not None


def test_a_lease_is_renewed_until_its_work_is_given_up(database, other):
    leases = Leases(database, ttl=timedelta(seconds=0.1))
    with leases.held("work", bound=Bound(timedelta(seconds=0.5))):
        for _ in range(4):
            time.sleep(0.1)
            assert other.take("work") is None
        time.sleep(0.3)
        assert other.take("work") is not None


def test_work_that_does_not_notice_that_it_was_given_up_hangs(one):
    stuck = threading.Event()
    with one.held("work", bound=at_most(stuck=stuck.set)):
        time.sleep(0.3)
        assert not stuck.is_set()
        assert stuck.wait(5)


def test_work_that_another_process_took_over_may_hang_as_well(database, other):
    stuck = threading.Event()
    leases = frozen(database)
    with leases.held("work", bound=at_most(stuck=stuck.set)) as lease:
        with database.begin() as connection:
            Statements.on(connection).execute("UPDATE lease SET fence = fence + 1")
        with pytest.raises(LeaseLostError, match="Another process"):
            check(database, lease)
        assert stuck.wait(5)


def test_what_was_given_up_is_due_after_its_pause_and_not_before_for_who_starts_meanwhile(
    one, other
):
    with one.held("work", NO_PACE, at_most(pause=timedelta(seconds=0.6))):
        time.sleep(0.3)
        newcomer = Pace(since=other.now())
        assert other.take("work", newcomer) is None

    assert other.take("work", newcomer) is None
    time.sleep(0.7)
    assert other.take("work", newcomer) is not None
