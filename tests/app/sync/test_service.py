"""Running sources: each run is recorded, whatever it comes to, and none is made for nothing."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field

import orjson
import pytest

from app.catalog.locations import generated
from app.catalog.runs import Guard, StoppedError
from app.db.leases import Leases
from app.errors import ConflictError, NotFoundError, UpstreamError
from app.model.entity import CatalogFile
from app.model.problem import Problem
from app.sync.service import LOGGED_FLAWS, Source, SyncService
from tests.app.catalog.platform import Platform, document
from tests.builders import ListIngestor, component

WEB, SHOP = component("web"), component("shop")


@dataclass
class MarkedIngestor(ListIngestor):
    """A list that can tell cheaply whether it changed."""

    mark: str = "v1"
    is_down: bool = False
    snapshots: int = field(default=0)

    def fingerprint(self):
        if self.is_down:
            raise UpstreamError("list", "the list is down")
        return self.mark

    def snapshot(self):
        self.snapshots += 1
        return super().snapshot()


@pytest.fixture
def platform(database, tmp_path):
    return Platform(database, tmp_path)


def serving(platform, seen=None, **ingestors):
    sources = {name: Source(name, ingestor) for name, ingestor in ingestors.items()}
    noted = [] if seen is None else seen
    return SyncService(
        Leases(platform.database), platform.ingest, sources, lambda *run: noted.append(run)
    )


def runs(platform):
    rows = platform.rows("SELECT source, state, counts, error FROM run ORDER BY id")
    return [(source, state, orjson.loads(counts), error) for source, state, counts, error in rows]


def states(platform):
    return [state for _, state, _, _ in runs(platform)]


# -- recording ------------------------------------------------------------------------------------


def test_a_run_is_recorded_with_what_it_did(platform):
    seen = []
    service = serving(platform, seen, git=ListIngestor([WEB, SHOP]))

    report = service.run("git")

    ((source, state, counts, error),) = runs(platform)
    assert (source, state, error) == ("git", "done", None)
    assert counts == report.counts.as_dict()
    assert counts["written"] == 2
    assert platform.rows("SELECT count(*) FROM run WHERE finished_at >= started_at") == [(1,)]
    ((name, ended, seconds, counted),) = seen
    assert (name, ended, counted) == ("git", "done", report.counts)
    assert seconds > 0


def test_a_failure_is_recorded_logged_and_raised(platform, caplog):
    seen = []
    service = serving(platform, seen, git=ListIngestor([WEB], breaks=True))

    with pytest.raises(UpstreamError):
        service.run("git")

    ((_, state, _, error),) = runs(platform)
    assert (state, error) == ("failed", "list: the list broke")
    assert "run failed" in caplog.text
    assert [noted[:2] for noted in seen] == [("git", "failed")]


def test_a_source_that_cannot_even_be_asked_is_a_failed_run(platform, caplog):
    service = serving(platform, git=MarkedIngestor([WEB], is_down=True))

    with pytest.raises(UpstreamError):
        service.run("git")

    ((_, state, _, error),) = runs(platform)
    assert (state, error) == ("failed", "list: the list is down")
    assert "run failed" in caplog.text


def test_a_removal_that_was_stopped_is_a_failed_run(database, tmp_path):
    platform = Platform(database, tmp_path, guard=Guard(share=0.5, minimum=1))
    ingestor = ListIngestor([WEB, SHOP, component("third")])
    service = serving(platform, git=ingestor)
    service.run("git")
    ingestor.items = []

    with pytest.raises(ConflictError):
        service.run("git")

    assert states(platform) == ["done", "failed"]
    assert "would remove 3 of its 3" in runs(platform)[1][3]


def test_a_mistake_in_an_ingestor_is_a_failed_run_and_tells_no_secrets(platform):
    class Careless:
        def snapshot(self):
            raise KeyError("token=abc")

    service = serving(platform, git=Careless())

    with pytest.raises(KeyError):
        service.run("git")

    ((_, state, _, error),) = runs(platform)
    assert (state, error) == ("failed", "KeyError")


def test_a_run_that_is_stopped_is_recorded_as_that(database, tmp_path):
    stop = threading.Event()
    platform = Platform(database, tmp_path, stop=stop, progress=lambda _: stop.set())
    service = serving(platform, git=ListIngestor([component(f"c{i}") for i in range(501)]))

    with pytest.raises(StoppedError):
        service.run("git")

    assert states(platform) == ["stopped"]


def test_an_unknown_source_is_named_with_those_that_are_known(platform):
    service = serving(platform, one=ListIngestor([]), two=ListIngestor([]))

    with pytest.raises(NotFoundError, match="No source named 'three'; known: one, two"):
        service.run("three")

    assert runs(platform) == []


def test_what_is_wrong_is_logged_with_its_place_but_not_endlessly(platform, caplog):
    problems = [Problem(f"url:https://a/{i}", f"broken {i}") for i in range(LOGGED_FLAWS + 5)]
    service = serving(platform, git=ListIngestor(problems))

    with caplog.at_level(logging.WARNING):
        service.run("git")

    said = [record.getMessage() for record in caplog.records]
    assert said == ["problem"] * LOGGED_FLAWS + ["more problems"]
    assert caplog.records[0].fields["place"] == "url:https://a/0"
    assert caplog.records[-1].fields["count"] == 5


# -- sources that can tell whether they changed ---------------------------------------------------


def test_a_source_that_did_not_change_is_not_read_again(platform):
    ingestor = MarkedIngestor([WEB])
    service = serving(platform, git=ingestor)

    for _ in range(3):
        service.run("git")

    assert ingestor.snapshots == 1
    assert len(runs(platform)) == 1


def test_a_source_that_changed_is_read(platform):
    ingestor = MarkedIngestor([WEB])
    service = serving(platform, git=ingestor)
    service.run("git")
    ingestor.items, ingestor.mark = [SHOP], "v2"

    service.run("git")

    assert platform.refs() == ["component:default/shop"]


def test_a_source_that_cannot_tell_is_always_read(platform):
    ingestor = MarkedIngestor([WEB], mark="")
    service = serving(platform, git=ingestor)

    service.run("git")
    service.run("git")

    assert ingestor.snapshots == 2


def test_a_source_that_was_not_read_to_its_end_is_read_again(platform):
    ingestor = MarkedIngestor([WEB], breaks=True)
    service = serving(platform, git=ingestor)
    with pytest.raises(UpstreamError):
        service.run("git")
    ingestor.breaks = False

    service.run("git")

    assert platform.refs() == ["component:default/web"]


def test_another_process_reads_once_for_itself(platform):
    ingestor = MarkedIngestor([WEB])
    serving(platform, git=ingestor).run("git")

    report = serving(platform, git=ingestor).run("git")

    assert (ingestor.snapshots, report.counts.unchanged) == (2, 1)


def test_what_a_caller_deleted_comes_back_though_the_source_did_not_change(platform):
    ingestor = MarkedIngestor([WEB, SHOP])
    service = serving(platform, git=ingestor)
    service.run("git")
    platform.commands.delete(platform.served()["component:default/web"]["metadata"]["uid"])

    service.run("git")
    service.run("git")

    assert platform.refs() == ["component:default/shop", "component:default/web"]
    assert ingestor.snapshots == 2


def test_a_file_of_an_unchanged_source_comes_back_too(platform):
    file = CatalogFile("url:https://git.example.org/a.yaml", document("web").encode(), "b1")
    service = serving(platform, git=MarkedIngestor([file]))
    service.run("git")
    (location,) = platform.refs("location")
    platform.commands.delete(platform.served()[location]["metadata"]["uid"])
    assert platform.refs() == []

    service.run("git")

    assert platform.refs() == ["component:default/web", location]


# -- sources that are configured no more ----------------------------------------------------------


def test_what_came_from_sources_that_are_configured_no_more_is_removed(platform, caplog):
    platform.write("a.yaml", document("inside"))
    root = generated("file", str(platform.folder / "a.yaml"))
    serving(platform, old=ListIngestor([WEB, root])).run("old")
    service = serving(platform, new=ListIngestor([SHOP]))
    service.run("new")

    with caplog.at_level(logging.INFO):
        service.evict()

    assert platform.refs() == ["component:default/shop"]
    (record,) = (r for r in caplog.records if r.getMessage() == "source evicted")
    assert record.fields == {"source": "old", "removed": 3}


@pytest.mark.parametrize("name", ["registered", "ingest:./catalog-info.yaml", "ingest"])
def test_what_callers_brought_is_kept(platform, name):
    platform.source(WEB, name=name)

    serving(platform).evict()

    assert platform.refs() == ["component:default/web"]
