"""Joining the catalog: what the configuration says is what the services do."""

from __future__ import annotations

import threading
from datetime import timedelta

import orjson
import pytest
import yaml

from app.bootstrap.catalog import configured_sources, join_catalog
from app.config import load_config
from app.errors import ConfigError, ConflictError
from app.scm.readers import ReaderSettings, open_readers
from app.settings import read_settings
from tests.app.catalog.platform import document
from tests.builders import ListIngestor, component

GIT = {"url": "https://git.example.com/team/shop.git"}


@pytest.fixture
def settings_of(tmp_path):
    def settings_of(catalog):
        path = tmp_path / "app-config.yaml"
        path.write_text(yaml.safe_dump({"catalog": catalog}, sort_keys=False))
        overrides = {"callboard": {"dataDirectory": str(tmp_path / "data")}}
        return read_settings(load_config([path], overrides))

    return settings_of


@pytest.fixture
def join(settings_of, database):
    def join(catalog=None, **options):
        settings = settings_of(catalog or {})
        catalog = join_catalog(settings, database, **options)
        return catalog, configured_sources(settings, catalog.processor.readers)

    return join


def served(catalog):
    with catalog.snapshots.open() as snapshot:
        rows = snapshot.store.sql.rows("SELECT document FROM entity")
    catalog.snapshots.close()
    return sorted((orjson.loads(d) for (d,) in rows), key=lambda e: e["metadata"]["name"])


def refs(catalog):
    return [f"{e['kind']}:{e['metadata']['name']}" for e in served(catalog)]


def run(catalog, source):
    return catalog.ingest.source(source.name, source.ingestor)


# -- sources --------------------------------------------------------------------------------------


def test_without_configuration_there_is_one_source_and_it_is_empty(join):
    catalog, sources = join()

    assert list(sources) == ["locations"]
    assert run(catalog, sources["locations"]).counts.read == 0
    assert sources["locations"].every is None


def test_configured_locations_are_read(join, tmp_path):
    (tmp_path / "a.yaml").write_text(document("one"))
    (tmp_path / "b.yaml").write_text(document("two"))
    locations = [{"type": "file", "target": str(tmp_path / name)} for name in ("a.yaml", "b.yaml")]
    catalog, sources = join({"locations": locations})

    run(catalog, sources["locations"])

    components = [ref for ref in refs(catalog) if ref.startswith("Component")]
    assert components == ["Component:one", "Component:two"]
    assert len(refs(catalog)) == 4


def test_several_providers_of_a_kind_are_sources_by_their_names(join):
    schedule = {"frequency": {"minutes": 5}, "initialDelay": "PT10S", "timeout": {"minutes": 1}}
    providers = {"git": {"shop": {**GIT, "schedule": schedule}, "bank": GIT}}

    _, sources = join({"providers": providers})

    assert list(sources) == ["locations", "git:shop", "git:bank"]
    assert sources["git:shop"].every == timedelta(minutes=5)
    assert sources["git:shop"].first_after == timedelta(seconds=10)
    assert sources["git:bank"].every == timedelta(minutes=30)
    assert sources["git:bank"].first_after == timedelta(0)


def test_a_single_provider_needs_no_name(join):
    _, sources = join({"providers": {"git": {**GIT, "schedule": {"frequency": {"hours": 1}}}}})

    assert list(sources) == ["locations", "git:default"]
    assert sources["git:default"].every == timedelta(hours=1)


def test_providers_that_nobody_serves_are_passed_over(join):
    _, sources = join({"providers": {"awsS3": {"one": {"bucketName": "x"}}, "git": {}}})

    assert list(sources) == ["locations"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({}, r"catalog.providers.git.shop.url: required"),
        ({"url": 3}, r"catalog.providers.git.shop.url: Not a valid string."),
        ({**GIT, "paths": []}, r"catalog.providers.git.shop.paths: "),
        ({**GIT, "paths": [3]}, r"catalog.providers.git.shop.paths\[0\]: Not a valid string."),
        ({**GIT, "paths": ["+(a)"]}, r"catalog.providers.git.shop: .*\+\(a\)"),
        ({"url": "nonsense://"}, r"catalog.providers.git.shop: nonsense://"),
        (
            {**GIT, "schedule": {"frequency": "often"}},
            r"catalog.providers.git.shop.schedule.frequency: .*got an unknown form",
        ),
        ({**GIT, "schedule": 5}, r"catalog.providers.git.shop.schedule: wanted object"),
    ],
)
def test_a_mistake_in_a_provider_is_named_with_its_key(settings_of, tmp_path, entry, message):
    settings = settings_of({"providers": {"git": {"shop": entry}}})

    with pytest.raises(ConfigError, match=message):
        configured_sources(settings, open_readers(ReaderSettings(tmp_path)))


# -- what the services are told -------------------------------------------------------------------


def test_rules_of_the_configuration_decide_what_may_come_in(join, tmp_path):
    text = document("one") + "---\n" + document("team", kind="Group", type="team", children=[])
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(text)
    allowed = {"type": "file", "target": str(tmp_path / "a.yaml"), "rules": [{"allow": ["Group"]}]}
    refused = {"type": "file", "target": str(tmp_path / "b.yaml")}

    for location, brings in ((refused, []), (allowed, ["Component:one", "Group:team"])):
        catalog, sources = join({"locations": [location]})
        run(catalog, sources["locations"])
        found = [ref for ref in refs(catalog) if not ref.startswith("Location")]
        assert found == brings


def test_a_rule_may_name_places_by_pattern(join, tmp_path):
    (tmp_path / "org.yaml").write_text(document("team", kind="Group", type="team", children=[]))
    place = {"type": "file", "pattern": f"{tmp_path}/*.YAML"}
    location = {"type": "file", "target": str(tmp_path / "org.yaml")}
    rules = [{"allow": ["Group"], "locations": [place]}]

    catalog, sources = join({"rules": rules, "locations": [location]})
    run(catalog, sources["locations"])

    assert "Group:team" in refs(catalog)


def test_kinds_of_the_configuration_are_known_with_their_relations(join, tmp_path):
    kind = {
        "kind": "Robot",
        "apiVersions": ["example.org/v1"],
        "schema": {"type": "object", "required": ["spec"]},
        "relations": [
            {
                "field": "spec.owner",
                "type": "ownedBy",
                "reverse": "ownerOf",
                "defaultKind": "Group",
            },
            {"field": "spec.serves", "type": "serves", "reverse": "servedBy"},
        ],
    }
    (tmp_path / "a.yaml").write_text(
        "apiVersion: example.org/v1\nkind: Robot\nmetadata: {name: r2}\n"
        "spec: {owner: team, serves: 'component:one'}\n---\n" + document("one")
    )
    location = {"type": "file", "target": str(tmp_path / "a.yaml"),
                "rules": [{"allow": ["Robot", "Component"]}]}  # fmt: skip

    catalog, sources = join({"kinds": [kind], "locations": [location]})
    run(catalog, sources["locations"])

    relations = {e["metadata"]["name"]: e["relations"] for e in served(catalog)}
    assert {"type": "ownedBy", "targetRef": "group:default/team"} in relations["r2"]
    assert {"type": "servedBy", "targetRef": "robot:default/r2"} in relations["one"]


def test_limits_of_the_configuration_hold(join, tmp_path):
    (tmp_path / "a.yaml").write_text(document("one") + "---\n" + document("two"))
    location = {"type": "file", "target": str(tmp_path / "a.yaml")}

    catalog, sources = join({"limits": {"maxDocumentsPerFile": 1}, "locations": [location]})
    report = run(catalog, sources["locations"])

    assert [ref for ref in refs(catalog) if ref.startswith("Component")] == []
    assert len(report.flaws) == 1


def test_a_mass_removal_stops_where_the_configuration_says(join):
    catalog, _ = join({"massRemoval": {"share": 0.1, "minimum": 1}})
    catalog.ingest.source("git", ListIngestor([component(f"c{i}") for i in range(5)]))

    with pytest.raises(ConflictError, match="would remove 5 of its 5"):
        catalog.ingest.source("git", ListIngestor([]))


@pytest.mark.parametrize("strategy", ["keep", "delete"])
def test_orphans_are_kept_if_the_configuration_says_so(join, tmp_path, strategy):
    path = tmp_path / "a.yaml"
    path.write_text(document("one") + "---\n" + document("two"))
    location = {"type": "file", "target": str(path)}
    catalog, sources = join({"orphanStrategy": strategy, "locations": [location]})
    run(catalog, sources["locations"])
    path.write_text(document("two"))

    run(catalog, sources["locations"])

    assert ("Component:one" in refs(catalog)) is (strategy == "keep")


def test_what_was_read_is_read_again_when_what_decides_about_it_changed(join, tmp_path):
    (tmp_path / "a.yaml").write_text(document("one"))
    location = {"type": "file", "target": str(tmp_path / "a.yaml")}
    for rules, brings in (
        ([{"allow": ["Group"]}], []),
        ([{"allow": ["Component"]}], ["Component:one"]),
        ([{"allow": ["Component"]}], ["Component:one"]),
    ):
        catalog, sources = join({"rules": rules, "locations": [location]})
        report = run(catalog, sources["locations"])
        assert [ref for ref in refs(catalog) if ref.startswith("Component")] == brings

    assert report.counts.unchanged == 2


def test_a_run_can_be_stopped_and_watched_from_outside(join):
    stop, seen = threading.Event(), []
    catalog, _ = join({}, stop=stop, progress=lambda counts: seen.append(counts.written))

    catalog.ingest.source("git", ListIngestor([component("one")]))

    assert seen == [1]
    assert catalog.ingest.stop is stop


def test_the_lineage_is_that_of_the_database(join):
    one, _ = join()
    other, _ = join()

    assert one.lineage() == other.lineage()
    assert one.lineage()
