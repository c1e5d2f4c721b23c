"""Pieces of a body travel from pool threads to the loop, bounded and in order."""

import asyncio
import threading
from contextvars import copy_context

import pytest

from app.web.bodies import WINDOW, BodyPump
from app.web.pool import Pool


@pytest.fixture
def pool():
    pool = Pool(2)
    yield pool
    pool.close()


def pump_of(chunks, pool, close=lambda: None):
    return BodyPump(iter(chunks), close, copy_context(), pool, asyncio.get_running_loop())


async def read_all(pump):
    pump.start()
    parts = []
    while part := await pump.take():
        parts.append(part)
    return b"".join(parts)


def test_everything_arrives_in_order(pool):
    chunks = [b"%d," % n for n in range(10_000)]

    async def scenario():
        return await read_all(pump_of(chunks, pool))

    assert asyncio.run(scenario()) == b"".join(chunks)


def test_empty_pieces_do_not_end_a_body(pool):
    async def scenario():
        return await read_all(pump_of([b"", b"a", b"", b"b", b""], pool))

    assert asyncio.run(scenario()) == b"ab"


def test_a_piece_arrives_while_the_next_one_is_awaited(pool):
    release = threading.Event()

    def slow():
        yield b"first"
        release.wait(5)
        yield b"second"

    async def scenario():
        pump = pump_of(slow(), pool)
        pump.start()
        first = await pump.take()
        release.set()
        return first, await pump.take(), await pump.take()

    assert asyncio.run(scenario()) == (b"first", b"second", b"")


def test_no_more_is_pulled_than_the_window_and_no_thread_waits(pool):
    piece = bytes(WINDOW // 8)
    pulled = []

    def endless():
        while True:
            pulled.append(1)
            yield piece

    async def scenario():
        pump = pump_of(endless(), pool)
        pump.start()
        while pool.busy or not pulled:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        before = len(pulled)
        await asyncio.sleep(0.02)
        assert before == len(pulled) == 8
        taken = len(await pump.take())
        pump.abandon()
        return taken

    assert asyncio.run(scenario()) == WINDOW


def test_an_error_comes_after_what_was_yielded_before_it(pool):
    closed = threading.Event()

    def broken():
        yield b"good"
        raise ValueError("bad")

    async def scenario():
        pump = pump_of(broken(), pool, closed.set)
        pump.start()
        assert await pump.take() == b"good"
        with pytest.raises(ValueError, match="bad"):
            await pump.take()

    asyncio.run(scenario())

    assert closed.is_set()


def test_what_nobody_reads_is_closed(pool):
    closed = threading.Event()

    async def scenario():
        pump = pump_of(iter(lambda: bytes(WINDOW), None), pool, closed.set)
        pump.start()
        await pump.take()
        pump.abandon()

    asyncio.run(scenario())

    assert closed.wait(5)
