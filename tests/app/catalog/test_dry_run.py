"""Dry runs: everything a location would bring, in order, within limits, and nothing is kept."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from app.catalog.dry_run import DryRunLimits, DryRuns
from app.errors import InputError, ServiceUnavailableError
from tests.app.catalog.web_catalog import component, location, make_processor, open_catalog
from tests.app.scm.web_server import web_server


@pytest.fixture
def site():
    with web_server() as server:
        yield server


@pytest.fixture
def processor(site, tmp_path):
    return make_processor(site, tmp_path)


@pytest.fixture
def dry_runs(processor):
    return DryRuns(processor)


def publish(site, path, *documents):
    return site.answer(path, "---\n".join(documents).encode())


def names(entities):
    return [entity["metadata"]["name"] for entity in entities]


def complaint(dry_runs, target):
    with pytest.raises(InputError) as raised:
        dry_runs.location("url", target)
    return str(raised.value)


# -- what it answers ------------------------------------------------------------------------------


def test_the_location_comes_first_and_of_several_children_the_last(dry_runs, site):
    publish(site, "/leaf.yaml", component("leaf-a"), component("leaf-b"))
    target = publish(
        site, "/tree.yaml", component("first"), location("sub", "leaf.yaml"), component("last")
    )

    root, *others = dry_runs.location("url", target)

    assert root["spec"] == {"type": "url", "target": target}
    assert names(others) == ["last", "sub", "leaf-b", "leaf-a", "first"]


def test_entities_are_shown_as_they_would_be_served_but_for_what_depends_on_others(dry_runs, site):
    target = publish(site, "/web.yaml", component("Web"))

    _, web = dry_runs.location("url", target)

    assert web == {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {
            "name": "Web",
            "namespace": "default",
            "annotations": {
                "backstage.io/managed-by-location": f"url:{target}",
                "backstage.io/managed-by-origin-location": f"url:{target}",
                "backstage.io/view-url": target,
            },
        },
        "spec": {"type": "service", "lifecycle": "production", "owner": "team-a"},
    }


def test_a_target_that_may_be_missing_may_be_missing(dry_runs, site):
    target = publish(site, "/tree.yaml", location("sub", "nowhere.yaml", presence="optional"))

    assert names(dry_runs.location("url", target))[1:] == ["sub"]


def test_a_location_that_contains_itself_says_nothing_new(dry_runs, site):
    target = publish(site, "/tree.yaml", location("sub", "tree.yaml"), component("web"))

    # Once as the content of the root, and once more as its own.
    assert complaint(dry_runs, target) == "Duplicate nested entity: component:default/web"

    target = publish(site, "/loop.yaml", location("loop", "loop.yaml"))
    assert names(dry_runs.location("url", target))[1:] == ["loop"]


def test_nothing_is_kept(database, site, tmp_path):
    with open_catalog(database, site, tmp_path) as catalog:
        target = catalog.publish("/web.yaml", component("web"))
        catalog.dry_runs.location("url", target)

        assert catalog.rows("SELECT id FROM emission") == []
        assert catalog.rows("SELECT ref_id FROM refresh") == []
        assert not catalog.registered.exists("url", target)


# -- what it refuses ------------------------------------------------------------------------------


def test_a_root_that_is_missing_is_an_error(dry_runs, site):
    target = f"{site.url}/nowhere.yaml"

    message = f"Unable to read url, no matching files found for {target}"
    assert complaint(dry_runs, target) == f"NotFoundError: {message}"


def test_all_that_is_wrong_with_a_file_is_told(dry_runs, site):
    target = publish(site, "/bad.yaml", "kind: {}\n", "- a\n", component("web"), "text\n")

    assert complaint(dry_runs, target) == (
        "TypeError: <root> must have required property 'apiVersion' - missingProperty: apiVersion, "
        "Error: Expected object at root, got object, Error: Expected object at root, got string"
    )


def test_of_the_kinds_that_are_refused_the_first_is_told_and_last(dry_runs, site):
    user = "apiVersion: backstage.io/v1alpha1\nkind: User\nmetadata: {name: %s}\n"
    target = publish(site, "/bad.yaml", user % "a", user % "b", "- a\n")
    place = f"url:{target}"

    assert complaint(dry_runs, target) == (
        f"Error: Expected object at root, got object, NotAllowedError: Entity user:default/a at "
        f"{place}, originated at {place}, is not of an allowed kind for that location"
    )


def test_all_targets_are_looked_at_before_a_location_is_refused(dry_runs, site):
    publish(site, "/list.yaml", "- a\n")
    target = publish(site, "/tree.yaml", location("sub", "nowhere.yaml", "list.yaml", "gone.yaml"))

    missing = "NotFoundError: Unable to read url, no matching files found for"
    assert complaint(dry_runs, target) == (
        f"{missing} {site.url}/nowhere.yaml, Error: Expected object at root, got object, "
        f"{missing} {site.url}/gone.yaml"
    )


def test_an_entity_that_is_not_valid_is_an_error(dry_runs, site):
    target = publish(site, "/bad.yaml", component("web"), component("no good"), component("last"))

    assert complaint(dry_runs, target).startswith(
        "InputError: Policy check failed for component:default/no good; caused by Error: "
        '"metadata.name" is not valid; expected a string'
    )


def test_the_same_entity_twice_is_an_error_however_it_is_written(dry_runs, site):
    publish(site, "/leaf.yaml", component("WEB"))
    target = publish(site, "/tree.yaml", location("sub", "leaf.yaml"), component("web"))

    assert complaint(dry_runs, target) == "Duplicate nested entity: component:default/web"


@pytest.mark.parametrize("kind", ["file", "unheard-of"])
def test_only_urls_are_read(dry_runs, site, kind):
    target = publish(site, "/tree.yaml", location("sub", "/etc/passwd", type=kind))

    message = 'InputError: Registered locations must be of an allowed type ["url"]'
    assert complaint(dry_runs, target) == message


def test_what_may_not_be_read_is_not_read(dry_runs, site):
    target = publish(site, "/tree.yaml", location("sub", "https://elsewhere.example/x.yaml"))

    assert "Reading from 'https://elsewhere.example/x.yaml' is not allowed" in complaint(
        dry_runs, target
    )


# -- what it may cost -----------------------------------------------------------------------------


def chain(site, length):
    """Publish locations each of which leads to the next."""
    for number in range(length):
        publish(site, f"/{number}.yaml", location(f"l{number}", f"{number + 1}.yaml"))
    publish(site, f"/{length}.yaml", component("end"))
    return f"{site.url}/0.yaml"


def limited(processor, **limits):
    return DryRuns(processor, DryRunLimits(**limits))


def test_depth_is_limited(processor, site):
    target = chain(site, 4)

    assert names(limited(processor, depth=5).location("url", target))[-1] == "end"
    assert complaint(limited(processor, depth=4), target) == (
        "A dry run reads at most 4 levels of locations"
    )


def test_what_is_read_is_limited(processor, site):
    target = chain(site, 4)

    assert names(limited(processor, reads=5).location("url", target))[-1] == "end"
    assert complaint(limited(processor, reads=4), target) == (
        "Error: Unable to read url, a dry run reads at most 4 times"
    )
    assert complaint(limited(processor, bytes=200), target) == (
        "Error: Unable to read url, a dry run reads at most 200 bytes"
    )


def test_placeholders_count_as_well(processor, site):
    site.answer("/text", b"text")
    holders = component("web", a="{$text: ./text}", b="{$text: ./text}", c="{$text: ./text}")
    target = publish(site, "/web.yaml", holders)

    assert limited(processor, reads=4).location("url", target)[1]["spec"]["c"] == "text"
    assert complaint(limited(processor, reads=3), target).endswith(
        "Placeholder $text could not read location ./text, "
        "InputError: a dry run reads at most 3 times"
    )


def test_the_time_is_limited(processor, site):
    target = chain(site, 1)

    assert complaint(limited(processor, seconds=0), target) == (
        "Error: Unable to read url, a dry run reads for at most 0 seconds"
    )
    assert site.requests == []


def test_the_answer_is_limited(processor, site):
    target = publish(site, "/web.yaml", *(component(f"web-{n}") for n in range(9)))

    assert len(limited(processor, entities=10).location("url", target)) == 10
    assert complaint(limited(processor, entities=9), target) == (
        "A dry run answers at most 9 entities"
    )


def test_only_so_many_run_at_once(processor, site):
    arrived, go_on = threading.Event(), threading.Event()

    def wait(handler):
        arrived.set()
        go_on.wait(20)
        handler.send(component("web").encode())

    target = site.answer_with("/slow.yaml", wait)
    dry_runs = limited(processor, turns=1, patience=0.01)
    found = []
    thread = threading.Thread(target=lambda: found.extend(dry_runs.location("url", target)))
    thread.start()
    arrived.wait(20)

    with pytest.raises(ServiceUnavailableError, match=r"^Too many dry runs at once"):
        dry_runs.location("url", target)

    go_on.set()
    thread.join()
    assert names(found)[1:] == ["web"]
    # A turn comes back, also after a failure.
    for _ in range(2):
        complaint(dry_runs, f"{site.url}/nowhere.yaml")


def test_others_wait_for_their_turn(processor, site):
    target = publish(site, "/web.yaml", component("web"))
    dry_runs, found = limited(processor, turns=1), []

    def run():
        found.append(names(dry_runs.location("url", target))[1:])

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [["web"]] * 8


def test_the_limits_of_files_hold(processor, site):
    small = replace(processor, limits=replace(processor.limits, documents=2))
    target = publish(site, "/web.yaml", *(component(f"web-{n}") for n in range(3)))

    assert "more than 2 documents in one file" in complaint(DryRuns(small), target)
