"""The feed as a stream: it goes on by itself, whether its reader is quick, slow or gone."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing

import orjson
import psycopg
import pytest

from app.catalog.filters import read_filters
from app.db import sequence
from app.db.statements import Statements
from app.graph.changes import recent as module
from app.graph.changes import stream as stream_module
from app.graph.changes.change import Lens
from app.graph.changes.feed import Feed
from app.graph.changes.recent import RecentChanges
from app.graph.changes.stream import ChangeStreams
from tests.app.graph.changes.feed_graph import FeedGraph, short

BLUE = Lens(read_filters(["metadata.description=blue"]).expression)


@pytest.fixture
def graph(database):
    return FeedGraph(database)


@pytest.fixture
def streams(graph, database):
    recent = RecentChanges(database, graph.feed.codec, every=0.01)
    yield ChangeStreams(graph.feed, recent)
    end = time.monotonic() + 5
    while recent._thread is not None:
        assert time.monotonic() < end, "the thread goes on though nobody follows"
        time.sleep(0.01)


async def take(events, count):
    """Take so many changes; what else is sent is left out."""
    found = []
    async with asyncio.timeout(10):
        while len(found) < count:
            event = await anext(events)
            if event.event == "change":
                found.append(event)
    return found


def told(events):
    return [short(orjson.loads(event.data)) for event in events]


def names(events):
    return [name for _, name, _, _ in told(events)]


def test_a_stream_sends_what_happened_before_and_then_what_happens(graph, streams):
    graph.put("web")
    graph.put("shop")

    async def follow():
        async with aclosing(streams.events(1, Lens())) as events:
            first = await anext(events)
            before = await take(events, 1)
            await asyncio.to_thread(graph.put, "cart")
            await asyncio.to_thread(graph.drop, "web")
            return first, before + await take(events, 2)

    first, found = asyncio.run(follow())

    assert (first.event, first.id, orjson.loads(first.data)) == ("position", "1", {"next": 1})
    assert told(found) == [
        ("create", "shop", "v1", False),
        ("create", "cart", "v1", False),
        ("delete", "web", "v1", True),
    ]
    assert [event.id for event in found] == ["2", "3", "4"]


def test_a_stream_shows_the_part_of_its_reader(graph, streams):
    graph.put("web", "red")

    async def follow():
        async with aclosing(streams.events(0, BLUE)) as events:
            await anext(events)
            # The first is read from the database, the others are the newest of the process.
            for text in ("blue", "green", "blue"):
                await asyncio.to_thread(graph.put, "web", text)
            return await take(events, 3)

    assert told(asyncio.run(follow())) == [
        ("update", "web", "blue", False),
        ("update", "web", "blue", True),
        ("update", "web", "blue", False),
    ]


def test_a_stream_goes_on_where_another_was_interrupted(graph, streams):
    async def follow():
        seen, at = [], 0
        for turn in range(4):
            async with aclosing(streams.events(at, Lens())) as events:
                graph.put(f"c{turn}")
                graph.put(f"d{turn}")
                # It breaks off after one of the two, and the other must not be lost.
                (event,) = await take(events, 1)
                seen.append(event)
                at = int(event.id)
        async with aclosing(streams.events(at, Lens())) as events:
            seen += await take(events, 4)
        return seen

    assert names(asyncio.run(follow())) == [f"{c}{turn}" for turn in range(4) for c in "cd"]


def test_a_slow_reader_falls_back_to_the_database_and_misses_nothing(graph, streams, monkeypatch):
    monkeypatch.setattr(module, "KEPT", 3)

    async def follow():
        async with aclosing(streams.events(0, Lens())) as events:
            await anext(events)
            (first,) = await take_after(events, graph, "first")
            for number in range(20):
                await asyncio.to_thread(graph.put, f"c{number}")
            await until(lambda: streams.recent._kept.last == 21)
            assert streams.recent.after(1, 1) is None
            return [first, *await take(events, 20)]

    assert names(asyncio.run(follow())) == ["first", *(f"c{number}" for number in range(20))]


async def take_after(events, graph, name):
    waiting = asyncio.ensure_future(take(events, 1))
    await asyncio.sleep(0.05)
    await asyncio.to_thread(graph.put, name)
    return await waiting


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def test_many_streams_read_each_change_once_and_hold_no_threads(graph, streams, monkeypatch):
    loaded = []
    load = module.load_changes

    def count(*given):
        changes = load(*given)
        loaded.extend(change.seq for change in changes)
        return changes

    monkeypatch.setattr(module, "load_changes", count)

    async def follow(number, ready):
        lens = Lens(read_filters([f"metadata.description=v{number % 7}"]).expression)
        async with aclosing(streams.events(0, lens)) as events:
            await anext(events)
            waiting = asyncio.ensure_future(take(events, 5))
            await asyncio.sleep(0.05)
            ready.release()
            return await waiting

    async def follow_all():
        ready = asyncio.Semaphore(0)
        readers = [asyncio.ensure_future(follow(n, ready)) for n in range(100)]
        for _ in readers:
            await ready.acquire()
        for number in range(35):
            await asyncio.to_thread(graph.put, f"c{number}", f"v{number % 7}")
        return await asyncio.gather(*readers)

    found = asyncio.run(follow_all())

    for number, events in enumerate(found):
        assert names(events) == [f"c{n}" for n in range(35) if n % 7 == number % 7]
    assert sorted(loaded) == sorted(set(loaded))


def test_a_silent_stream_says_how_far_it_is(graph, database):
    recent = RecentChanges(database, graph.feed.codec, every=0.01)
    streams = ChangeStreams(graph.feed, recent, position_every=0.05)

    async def follow():
        async with aclosing(streams.events(0, BLUE)) as events:
            first = await anext(events)
            waiting = asyncio.ensure_future(anext(events))
            await asyncio.to_thread(graph.put, "web", "red")
            async with asyncio.timeout(5):
                return first, await waiting

    first, second = asyncio.run(follow())

    assert (first.event, first.id) == ("position", "0")
    assert (second.event, second.id, orjson.loads(second.data)) == ("position", "1", {"next": 1})


def test_a_stream_outlives_no_token(graph, streams):
    async def follow():
        async with asyncio.timeout(5):
            return [event async for event in streams.events(0, Lens(), time.time() + 0.2)]

    began = time.monotonic()
    events = asyncio.run(follow())

    assert [event.event for event in events] == ["position"]
    assert 0.1 < time.monotonic() - began < 3


def test_a_reader_who_is_overtaken_by_the_retention_is_told_so(graph, streams, database):
    for number in range(5):
        graph.put(f"c{number}")

    async def follow():
        async with aclosing(streams.events(0, Lens())) as events:
            await anext(events)
            with database.begin() as connection:
                sql = Statements.on(connection)
                sequence.forget_before(sql, 4)
                sql.execute("DELETE FROM change WHERE seq < 4")
            return [event async for event in events]

    (event,) = asyncio.run(follow())

    assert event.event == "error"
    assert orjson.loads(event.data)["oldest"] == 4


def test_a_database_that_is_away_for_a_moment_costs_no_change(graph, streams, monkeypatch, caplog):
    hold = type(streams.recent.database).hold
    broken = []

    def fails(self):
        if len(broken) < 2:
            broken.append(1)
            raise OSError("the database is away")
        return hold(self)

    monkeypatch.setattr(type(streams.recent.database), "hold", fails)

    async def follow():
        async with aclosing(streams.events(0, Lens())) as events:
            graph.put("web")
            found = await take(events, 1)
            await until(lambda: streams.recent._kept.last == 1)
            await asyncio.to_thread(graph.put, "shop")
            return found + await take(events, 1)

    with caplog.at_level(logging.CRITICAL, logger="app.graph"):
        assert names(asyncio.run(follow())) == ["web", "shop"]
    assert len(broken) == 2


def test_a_stream_outlasts_a_database_that_does_not_answer(graph, streams, monkeypatch):
    monkeypatch.setattr(stream_module, "AWAY", 0.01)
    page = Feed.page
    answers = [psycopg.OperationalError("the server closed the connection")] * 2

    def breaks(self, *given):
        if answers:
            raise answers.pop()
        return page(self, *given)

    monkeypatch.setattr(Feed, "page", breaks)

    async def follow():
        async with aclosing(streams.events(0, Lens())) as events:
            graph.put("web")
            return await take(events, 1)

    assert names(asyncio.run(follow())) == ["web"]
    assert answers == []
