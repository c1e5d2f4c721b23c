"""Calls that may wait run in few threads while they are quick, in many when they are not."""

import asyncio
import threading
import time

import pytest

from app.web.pool import Pool


@pytest.fixture
def pool():
    pool = Pool(4)
    yield pool
    pool.close()


def test_a_call_runs_outside_the_loop_and_its_result_is_awaited(pool):
    async def scenario():
        return await pool.run(threading.current_thread), threading.current_thread()

    there, here = asyncio.run(scenario())

    assert there is not here


def test_what_a_call_raises_is_raised_where_it_is_awaited(pool):
    async def scenario():
        await pool.run(lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(scenario())


def test_quick_calls_share_one_thread(pool):
    async def scenario():
        for _ in range(20):
            await asyncio.gather(*(pool.run(lambda: None) for _ in range(20)))

    asyncio.run(scenario())

    assert pool.threads <= 2  # one, unless this machine was held up for a moment


def test_calls_that_wait_do_not_wait_for_each_other(pool):
    barrier = threading.Barrier(4, timeout=5)

    async def scenario():
        await asyncio.gather(*(pool.run(barrier.wait) for _ in range(4)))

    asyncio.run(scenario())

    assert pool.threads == 4


def test_a_quick_call_overtakes_slow_ones(pool):
    release = threading.Event()

    async def scenario():
        slow = [asyncio.ensure_future(pool.run(lambda: release.wait(5))) for _ in range(3)]
        async with asyncio.timeout(2):
            await pool.run(lambda: None)
        release.set()
        await asyncio.gather(*slow)

    asyncio.run(scenario())


def test_beyond_its_limit_calls_wait_in_order(pool):
    release = threading.Event()
    order = []

    async def scenario():
        slow = [asyncio.ensure_future(pool.run(lambda: release.wait(5))) for _ in range(4)]
        later = [asyncio.ensure_future(pool.run(lambda n=n: order.append(n))) for n in range(8)]
        await asyncio.sleep(0.05)
        assert (pool.busy, pool.waiting, order) == (4, 8, [])
        release.set()
        await asyncio.gather(*slow, *later)

    asyncio.run(scenario())

    assert sorted(order) == list(range(8))
    assert pool.threads == 4


def test_many_outcomes_at_once_all_arrive(pool):
    async def scenario():
        return await asyncio.gather(*(pool.run(lambda n=n: n) for n in range(5000)))

    assert asyncio.run(scenario()) == list(range(5000))


def test_a_call_that_nobody_awaits_any_more_harms_nothing(pool):
    release = threading.Event()

    async def scenario():
        task = asyncio.ensure_future(pool.run(lambda: release.wait(5)))
        await asyncio.sleep(0.01)
        task.cancel()
        release.set()
        return await pool.run(lambda: "next")

    assert asyncio.run(scenario()) == "next"


def test_closing_ends_idle_threads():
    pool = Pool(2, name="closing")
    asyncio.run(pool.run(lambda: None))

    pool.close()

    until = time.monotonic() + 5
    while any(t.name.startswith("closing") for t in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.005)
