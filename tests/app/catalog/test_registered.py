"""Registering locations: what they lead to appears, follows them, and goes with them."""

from __future__ import annotations

import hashlib

import pytest

from app.catalog.commands import CatalogCommands
from app.catalog.location_query import first_page, page_at
from app.catalog.locations import generated
from app.catalog.registered import MAX_TARGET
from app.catalog.runs import BATCH
from app.errors import ConflictError, InputError, NotFoundError
from app.model.entity import CatalogFile
from tests.app.catalog.web_catalog import component, location, open_catalog
from tests.app.scm.web_server import web_server
from tests.builders import ListIngestor

UNKNOWN = "99999999-0000-4000-8000-000000000000"


@pytest.fixture
def site():
    with web_server() as server:
        yield server


@pytest.fixture
def catalog(database, site, tmp_path):
    with open_catalog(database, site, tmp_path) as catalog:
        yield catalog


@pytest.fixture
def registered(catalog):
    return catalog.registered


def sha1(text):
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


# -- registering ----------------------------------------------------------------------------------


def test_what_a_registered_location_holds_is_served_once_it_was_read(catalog, registered):
    target = catalog.publish("/web.yaml", component("web"))

    made = registered.register("url", target)

    assert made.entity_ref == f"location:default/generated-{sha1(f'url:{target}')}"
    assert catalog.served() == {}
    assert catalog.work() == 1
    served = catalog.served()
    assert sorted(served) == ["component:default/web", made.entity_ref]
    assert served[made.entity_ref]["spec"] == {"type": "url", "target": target}
    annotations = served["component:default/web"]["metadata"]["annotations"]
    assert annotations["backstage.io/managed-by-origin-location"] == f"url:{target}"


def test_a_target_that_cannot_be_read_is_registered_and_not_served(catalog, registered):
    made = registered.register("url", f"{catalog.site.url}/nowhere.yaml")
    catalog.work()

    assert catalog.served() == {}
    assert registered.all() == [made]

    catalog.publish("/nowhere.yaml", component("late"))
    registered.register(made.type, made.target, "refresh")
    catalog.work()

    assert sorted(catalog.served()) == ["component:default/late", made.entity_ref]


def test_a_location_is_registered_once(registered):
    registered.register("url", "https://example.org/a.yaml")

    with pytest.raises(ConflictError, match=r"^Location url:https://example.org/a.yaml already ex"):
        registered.register("url", "https://example.org/a.yaml")


def test_what_is_known_may_be_read_again_instead(database, site, tmp_path):
    with open_catalog(database, site, tmp_path, on_conflict="refresh") as catalog:
        target = catalog.publish("/web.yaml", component("web"))
        made = catalog.registered.register("url", target)
        catalog.work()
        catalog.publish("/web.yaml", component("shop"))

        assert catalog.registered.register("url", target) == made
        assert catalog.work() == 1
        assert catalog.names() == ["shop"]
        with pytest.raises(ConflictError):
            catalog.registered.register("url", target, "reject")


def test_registering_again_brings_back_what_was_deleted_by_hand(catalog, registered):
    made = registered.register("url", catalog.publish("/web.yaml", component("web")))
    catalog.work()
    commands = CatalogCommands(catalog.ingest.writer, catalog.ingest.stitcher)
    commands.delete(catalog.served()[made.entity_ref]["metadata"]["uid"])
    assert catalog.served() == {}

    registered.register(made.type, made.target, "refresh")
    catalog.work()

    assert catalog.names() == ["web"]


@pytest.mark.parametrize(
    ("location_type", "target", "complaint"),
    [
        ("file", "/etc/passwd", 'Registered locations must be of an allowed type ["url"]'),
        ("", "https://example.org", 'Registered locations must be of an allowed type ["url"]'),
        ("url", " ", ("Unable to parse location ref 'url: ', expected '<type>:<target>', "
                      "e.g. 'url:https://host/path'")),
        ("url", "javascript:alert(1)",
         "Invalid location ref 'url:javascript:alert(1)', target is a javascript: URL"),
        ("url", "https://example.org/\0", "The target of a location may not have NUL characters"),
        ("url", "https://é.org/" + "é" * (MAX_TARGET // 2),
         "The target of a location may have at most 2000 bytes"),
    ],
)  # fmt: skip
def test_only_urls_are_registered(registered, location_type, target, complaint):
    for attempt in (
        lambda: registered.register(location_type, target),
        lambda: registered.move(UNKNOWN, location_type, target),
    ):
        with pytest.raises(InputError) as raised:
            attempt()
        assert str(raised.value) == complaint
    assert registered.all() == []


def test_a_location_whose_entity_was_deleted_is_restored_at_the_next_start(catalog, registered):
    target = catalog.publish("/web.yaml", component("web"))
    made = registered.register("url", target)
    kept = registered.register("url", catalog.publish("/b.yaml", component("b")))
    catalog.work()
    before = catalog.served()
    CatalogCommands(catalog.ingest.writer, catalog.ingest.stitcher).delete(
        before[made.entity_ref]["metadata"]["uid"]
    )
    catalog.work()
    assert made.entity_ref not in catalog.served()

    assert registered.restore() == 1
    catalog.work()

    assert sorted(catalog.served()) == sorted(before)
    assert catalog.served()[kept.entity_ref] == before[kept.entity_ref]
    assert registered.restore() == 0


def test_what_was_moved_is_restored_as_it_is_now(catalog, registered):
    made = registered.register("url", catalog.publish("/a.yaml", component("a")))
    moved = registered.move(made.id, "url", catalog.publish("/b.yaml", component("b")))
    catalog.work()
    uid = catalog.served()[moved.entity_ref]["metadata"]["uid"]
    CatalogCommands(catalog.ingest.writer, catalog.ingest.stitcher).delete(uid)

    assert registered.restore() == 1
    catalog.work()

    assert sorted(catalog.served()) == ["component:default/b", moved.entity_ref]


def test_the_longest_target_can_be_registered(registered):
    # Random text does not compress, which is what an index entry of PostgreSQL may count on.
    text = "".join(sha1(str(number)) for number in range(60))
    target = f"https://example.org/{text}"[:MAX_TARGET]

    registered.register("url", target)

    assert registered.exists("url", target)


# -- finding --------------------------------------------------------------------------------------


def test_locations_are_found_by_id_and_by_target(registered):
    a, b = (registered.register("url", f"https://example.org/{name}") for name in "ab")

    assert registered.all() == sorted([a, b])
    assert registered.get(a.id) == a
    assert registered.exists("url", b.target)
    assert not registered.exists("url", "https://example.org/c")


@pytest.mark.parametrize("location_id", [UNKNOWN, "nope", "a\0b"])
def test_an_unknown_id_is_said_to_be_unknown(registered, location_id):
    for attempt in (
        lambda: registered.get(location_id),
        lambda: registered.remove(location_id),
        lambda: registered.move(location_id, "url", "https://example.org/a"),
    ):
        with pytest.raises(NotFoundError) as raised:
            attempt()
        assert str(raised.value) == f"Found no location with ID {location_id}"


def test_a_query_goes_from_page_to_page(registered):
    made = [registered.register("url", f"https://example.org/{n}/{n % 2}") for n in range(7)]
    query, found = first_page(3, None), []

    while query:
        page = registered.query(query)
        assert page.total == 7
        found.append(page.items)
        query = page_at(page.next_cursor) if page.next_cursor else None

    assert [len(items) for items in found] == [3, 3, 1]
    assert [item for items in found for item in items] == sorted(made)


def test_a_query_with_a_predicate_counts_what_matches(registered):
    made = [registered.register("url", f"https://example.org/{n % 2}/{n}") for n in range(7)]
    wanted = {"$not": {"target": {"$hasPrefix": "HTTPS://example.org/0"}}}

    first = registered.query(first_page(2, wanted))
    second = registered.query(page_at(first.next_cursor))

    assert (first.total, second.total) == (3, 3)
    assert first.items + second.items == sorted(made[1::2])
    assert second.next_cursor is None


def test_an_entity_leads_to_the_location_it_came_from(catalog, registered):
    catalog.publish("/leaf.yaml", component("leaf"))
    made = registered.register("url", catalog.publish("/tree.yaml", location("tree", "leaf.yaml")))
    catalog.work()

    assert registered.of_entity("Component", "Default", "LEAF") == made
    assert registered.of_entity(*made.entity_ref.replace("/", ":").split(":")) == made


def test_an_entity_that_leads_nowhere_is_told_apart(catalog, registered):
    catalog.publish("/leaf.yaml", component("leaf"))
    made = registered.register("url", f"{catalog.site.url}/leaf.yaml")
    with pytest.raises(NotFoundError, match=r"^found no origin annotation for ref location:defaul"):
        registered.of_entity("location", "default", made.entity_ref.partition("/")[2])

    catalog.work()
    with pytest.raises(NotFoundError, match=r"^found no entity for ref component:default/nope$"):
        registered.of_entity("Component", "default", "nope")
    with pytest.raises(NotFoundError, match=r"^found no entity for ref component:default/a\0b$"):
        registered.of_entity("component", "default", "a\0b")
    # A relation mentions it, nothing more.
    with pytest.raises(NotFoundError, match=r"^found no entity for ref group:default/team-a$"):
        registered.of_entity("group", "default", "team-a")

    catalog.publish("/elsewhere.yaml", component("leaf"))
    registered.move(made.id, "url", f"{catalog.site.url}/elsewhere.yaml")
    with pytest.raises(NotFoundError) as raised:
        registered.of_entity("component", "default", "leaf")
    origin = f"type url and target {catalog.site.url}/leaf.yaml"
    assert str(raised.value) == f"Found no location with {origin}"


# -- moving ---------------------------------------------------------------------------------------


def test_a_moved_location_keeps_its_id_and_its_entity(catalog, registered):
    a, b = (catalog.publish(f"/{name}.yaml", component(name)) for name in "ab")
    made = registered.register("url", a)
    catalog.work()
    uid = catalog.served()[made.entity_ref]["metadata"]["uid"]

    moved = registered.move(made.id, "url", b)
    catalog.work()

    assert moved == made._replace(target=b)
    assert registered.get(made.id) == moved
    entity = catalog.served()[made.entity_ref]
    assert entity["spec"] == {"type": "url", "target": b}
    assert entity["metadata"]["uid"] == uid
    assert entity["metadata"]["annotations"]["backstage.io/managed-by-location"] == f"url:{b}"
    assert catalog.names() == ["b"]


def test_what_a_moved_location_left_behind_becomes_an_orphan_if_orphans_are_kept(
    database, site, tmp_path
):
    with open_catalog(database, site, tmp_path, keeps_orphans=True) as catalog:
        a, b = (catalog.publish(f"/{name}.yaml", component(name)) for name in "ab")
        made = catalog.registered.register("url", a)
        catalog.work()
        catalog.registered.move(made.id, "url", b)
        catalog.work()

        assert catalog.names() == ["a", "b"]
        annotations = catalog.served()["component:default/a"]["metadata"]["annotations"]
        assert annotations["backstage.io/orphan"] == "true"


def test_a_location_that_moves_to_what_cannot_be_read_leaves_all_as_it_was(catalog, registered):
    made = registered.register("url", catalog.publish("/a.yaml", component("a")))
    catalog.work()

    registered.move(made.id, "url", f"{catalog.site.url}/nowhere.yaml")
    catalog.work()

    assert catalog.names() == ["a"]
    (item,) = catalog.served()[made.entity_ref]["status"]["items"]
    assert item["message"].startswith("NotFoundError: Unable to read url, no matching files found")


def test_a_location_that_was_moved_is_not_taken_for_a_file_that_a_source_brings(
    catalog, registered
):
    one = catalog.publish("/one.yaml", component("one"))
    two = catalog.publish("/two.yaml", component("two"))
    made = registered.register("url", one)
    registered.move(made.id, "url", two)
    catalog.work()

    text = component("one").encode()
    catalog.ingest.source("git", ListIngestor([CatalogFile(f"url:{one}", text)]))

    assert catalog.names()[-1] == "two"
    assert "one" not in catalog.names()


def test_a_location_cannot_move_to_where_another_one_is(registered):
    a, b = (registered.register("url", f"https://example.org/{name}") for name in "ab")

    with pytest.raises(ConflictError, match=r"^Location url:.*/b already exists$"):
        registered.move(a.id, "url", b.target)
    # What is wrong first is said first.
    with pytest.raises(ConflictError):
        registered.move(UNKNOWN, "url", b.target)
    assert registered.move(a.id, "url", a.target) == a


def test_a_place_that_was_moved_away_from_can_be_registered_again(catalog, registered):
    a, b = (catalog.publish(f"/{name}.yaml", component(name)) for name in "ab")
    first = registered.register("url", a)
    registered.move(first.id, "url", b)

    second = registered.register("url", a)
    catalog.work()

    assert second.entity_ref != first.entity_ref
    assert catalog.names() == ["a", "b"]
    registered.remove(first.id)
    assert catalog.names() == ["a"]


# -- removing -------------------------------------------------------------------------------------


def test_a_removed_location_goes_at_once_with_all_it_led_to(catalog, registered):
    catalog.publish("/leaf.yaml", component("leaf"))
    other = registered.register("url", catalog.publish("/other.yaml", component("other")))
    tree = location("tree", "leaf.yaml") + "---\n" + component("web")
    made = registered.register("url", catalog.publish("/tree.yaml", tree))
    catalog.work()
    assert catalog.names() == ["leaf", "other", "web"]

    registered.remove(made.id, "user:default/ada")

    assert sorted(catalog.served()) == ["component:default/other", other.entity_ref]
    assert registered.all() == [other]
    causes = {row[0] for row in catalog.rows("SELECT cause FROM change WHERE operation = 'delete'")}
    assert causes == {f'{{"location":"url:{made.target}","actor":"user:default/ada"}}'}


def test_what_something_else_leads_to_as_well_stays(catalog, registered):
    leaf = catalog.publish("/leaf.yaml", component("leaf"))
    direct = registered.register("url", leaf)
    tree = registered.register("url", catalog.publish("/tree.yaml", location("tree", "leaf.yaml")))
    catalog.work()

    registered.remove(direct.id)
    assert catalog.names() == ["leaf"]
    registered.remove(tree.id)
    assert catalog.served() == {}


def test_orphans_are_not_kept_of_a_removed_location(database, site, tmp_path):
    with open_catalog(database, site, tmp_path, keeps_orphans=True) as catalog:
        target = catalog.publish("/web.yaml", component("web"))
        made = catalog.registered.register("url", target)
        catalog.work()

        catalog.registered.remove(made.id)

        assert catalog.served() == {}


def test_a_location_can_be_registered_again_after_it_was_removed(catalog, registered):
    target = catalog.publish("/web.yaml", component("web"))
    first = registered.register("url", target)
    catalog.work()
    registered.remove(first.id)

    second = registered.register("url", target)
    catalog.work()

    assert second.id != first.id
    assert second.entity_ref == first.entity_ref
    assert catalog.names() == ["web"]


def test_a_location_that_is_removed_before_it_was_read_leaves_nothing(catalog, registered):
    made = registered.register("url", catalog.publish("/web.yaml", component("web")))
    registered.remove(made.id)

    assert catalog.work() == 1
    assert catalog.served() == {}
    assert catalog.rows("SELECT id FROM emission") == []


def test_a_source_that_reads_the_same_location_keeps_it(catalog, registered):
    target = catalog.publish("/web.yaml", component("web"))
    made = registered.register("url", target)
    catalog.work()
    catalog.ingest.source("config", ListIngestor([generated("url", target)]))

    registered.remove(made.id)
    catalog.work()

    assert sorted(catalog.served()) == ["component:default/web", made.entity_ref]


def test_sources_that_are_swept_leave_registered_locations_alone(catalog, registered):
    registered.register("url", catalog.publish("/web.yaml", component("web")))
    catalog.work()

    catalog.ingest.source("config", ListIngestor([]))

    assert catalog.names() == ["web"]


def test_a_source_that_took_a_location_over_removes_what_it_holds_no_more(catalog, registered):
    tree = f"{component('web')}---\n{component('shop')}---\n{location('sub', 'leaf.yaml')}"
    target = catalog.publish("/tree.yaml", tree)
    leaves = f"{component('leaf')}---\n{component('bud')}"
    catalog.publish("/leaf.yaml", leaves)
    registered.register("url", target)
    catalog.work()
    config = ListIngestor([generated("url", target)])
    catalog.ingest.source("config", config)
    uid = catalog.served()["component:default/web"]["metadata"]["uid"]

    catalog.publish("/tree.yaml", f"{component('web')}---\n{location('sub', 'leaf.yaml')}")
    catalog.publish("/leaf.yaml", component("leaf"))
    catalog.ingest.source("config", config)
    assert catalog.names() == ["leaf", "web"]

    (made,) = registered.all()
    registered.remove(made.id)
    catalog.work()
    assert catalog.names() == ["leaf", "web"]
    assert catalog.served()["component:default/web"]["metadata"]["uid"] == uid
    assert {row[0] for row in catalog.rows("SELECT source FROM emission")} == {"config"}

    catalog.ingest.source("config", ListIngestor([]))
    assert catalog.served() == {}


# -- while it is read -----------------------------------------------------------------------------


@pytest.fixture
def reading(catalog, registered):
    """Register a location; what a test does next happens while it is read."""

    def begin(meanwhile, path="/slow.yaml", text=None):
        done = []

        def answer(handler):
            if not done:
                done.append(True)
                meanwhile(made)
            handler.send((text or component("slow")).encode())

        made = registered.register("url", catalog.site.answer_with(path, answer))
        catalog.work()
        return made

    return begin


def test_a_location_that_is_removed_while_it_is_read_leaves_nothing(catalog, registered, reading):
    reading(lambda made: registered.remove(made.id))

    assert catalog.served() == {}
    assert catalog.rows("SELECT id FROM emission") == []
    assert catalog.rows("SELECT ref_id FROM reading") == []


def test_a_location_that_is_moved_while_it_is_read_is_read_again(catalog, registered, reading):
    target = catalog.publish("/b.yaml", component("b"))
    made = reading(lambda made: registered.move(made.id, "url", target))

    assert catalog.names() == []
    assert catalog.work() == 1
    assert catalog.names() == ["b"]
    assert catalog.served()[made.entity_ref]["spec"]["target"] == target


def test_a_location_that_is_removed_half_way_through_leaves_nothing(catalog, registered, reading):
    many = "---\n".join(component(f"c-{n}") for n in range(2 * BATCH))
    gone = []

    def remove(_counts):
        if not gone and (found := registered.all()):
            gone.append(True)
            registered.remove(found[0].id)

    object.__setattr__(catalog.ingest, "progress", remove)
    reading(lambda _made: None, text=many)

    assert gone
    assert catalog.served() == {}
    assert catalog.rows("SELECT id FROM emission") == []
