"""Pushed sources stay while the configuration names them, and go entirely once it does not."""

from __future__ import annotations

import pytest

from app.db.leases import Leases
from app.sync.service import SyncService
from tests.app.graph.preview.repository import RepositoryPlatform
from tests.app.graph.push.test_service import Cmdb, entity
from tests.builders import ListIngestor, component


@pytest.fixture
def cmdb(database, tmp_path):
    platform = RepositoryPlatform(database, tmp_path)
    yield Cmdb(platform)
    platform.snapshots.close()


def evict(cmdb, *pushed):
    platform = cmdb.platform
    SyncService(Leases(platform.database), platform.ingest, {}, pushed=frozenset(pushed)).evict()


def test_a_pushed_source_that_is_configured_is_kept(cmdb):
    cmdb.put(1, entity("web"))
    evict(cmdb, "push:cmdb")
    assert cmdb.names == ["web"]
    assert cmdb.count("push") == 1


def test_one_that_is_configured_no_more_is_removed_and_may_be_pushed_anew(cmdb):
    cmdb.put(7, entity("web"), entity("team-a", "Group"))
    evict(cmdb, "push:other")
    assert cmdb.names == []
    assert cmdb.count("emission") == cmdb.count("push") == 0
    assert ("push:cmdb", "done") in cmdb.platform.rows("SELECT source, state FROM run")

    assert cmdb.put(1, entity("web")).is_applied
    assert cmdb.names == ["web"]


def test_what_waited_for_a_name_of_it_takes_over(cmdb):
    cmdb.put(1, entity("web", owner="one"))
    waiting = component("web", location="url:https://x.example/a", owner="two")
    cmdb.platform.ingest.source("ingest:list", ListIngestor([waiting]))

    evict(cmdb)

    assert cmdb.platform.served()["component:default/web"]["spec"]["owner"] == "two"
