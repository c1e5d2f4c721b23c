"""Reading from a real database: every read sees what was committed before it."""

import threading

import orjson
import pytest

from app.bootstrap.catalog import join_catalog
from app.catalog import reading
from app.catalog.cursors import Listing
from app.catalog.questions import ListRequest, PageRequest
from app.catalog.reading import CatalogReader
from app.config import load_config
from app.errors import NotFoundError
from app.model.query import EVERYTHING, Order, equals
from app.settings import read_settings
from tests.builders import ListIngestor, api, component

COMPONENTS = equals("kind", "component")


class Platform:
    """The catalog as it is joined at start, and its read side."""

    def __init__(self, database, folder):
        settings = read_settings(load_config((), {}, folder))
        self.catalog = join_catalog(settings, database)
        self.reader = CatalogReader(self.catalog.snapshots)

    def holds(self, *entities):
        self.catalog.ingest.source("git", ListIngestor(entities))

    def components(self, **parts):
        listing = Listing(expression=COMPONENTS, order=(Order("metadata.name"),))
        body = orjson.loads(self.reader.page(PageRequest(listing, **parts)).body)
        return [item["metadata"]["name"] for item in body["items"]], body["totalItems"]


@pytest.fixture
def platform(database, tmp_path):
    found = Platform(database, tmp_path)
    found.holds(component("web"), component("shop"), api("rest"))
    yield found
    held = getattr(found.catalog.snapshots._held, "sql", None)
    if held is not None:
        held.close()


def test_a_page_shows_what_was_committed_before_it(platform):
    assert platform.components() == (["shop", "web"], 2)
    platform.holds(component("web"), component("cart"), api("rest"))
    assert platform.components() == (["cart", "web"], 2)
    platform.holds(api("rest"))
    assert platform.components(limit=1) == ([], 0)


def test_lookups_show_it_too(platform):
    reader = platform.reader
    document = orjson.loads(reader.by_name("Component", "Default", "WEB"))
    uid = document["metadata"]["uid"]
    assert orjson.loads(reader.by_uid(uid)) == document
    refs = ["api:default/rest", "component:default/nope", "component:default/web"]
    items = orjson.loads(reader.by_refs(refs, COMPONENTS))["items"]
    assert items == [None, None, document]

    platform.holds(component("shop"))

    assert orjson.loads(reader.by_refs(refs))["items"] == [None, None, None]
    for look in (lambda: reader.by_name("component", "default", "web"), lambda: reader.by_uid(uid)):
        with pytest.raises(NotFoundError):
            look()


def test_facets_show_it_too(platform):
    def kinds():
        facets = orjson.loads(platform.reader.facets(["kind"], EVERYTHING).body)["facets"]
        return {entry["value"]: entry["count"] for entry in facets["kind"]}

    assert kinds() == {"API": 1, "Component": 2}
    platform.holds(component("web"))
    assert kinds() == {"Component": 1}


@pytest.mark.parametrize("text", ["\0", "a\0b", "ä\U0001f600", ""])
def test_no_name_upsets_the_database(platform, text):
    reader = platform.reader
    with pytest.raises(NotFoundError):
        reader.by_name(text, text, text)
    with pytest.raises(NotFoundError):
        reader.by_uid(text)
    with pytest.raises(NotFoundError):
        reader.ancestry(text, text, text)
    for condition in (EVERYTHING, COMPONENTS):
        assert reader.by_refs([text, "api:x/y"], condition) == b'{"items":[null,null]}'
    listing = Listing(expression=equals(text, text), order=(Order(text),))
    assert orjson.loads(reader.page(PageRequest(listing)).body)["items"] == []


def test_a_list_that_is_sent_by_and_by_is_of_one_moment(platform, monkeypatch):
    monkeypatch.setattr(reading, "LONG", -1)
    before = platform.reader.entities(ListRequest(COMPONENTS))
    platform.holds(component("new"))
    after = platform.reader.entities(ListRequest(COMPONENTS))

    def names(reply):
        return {item["metadata"]["name"] for item in orjson.loads(b"".join(reply.body))}

    assert names(before) == {"web", "shop"}
    assert names(after) == {"new"}
    assert before.revision < after.revision


def test_pieces_may_be_read_and_closed_by_other_threads(platform, monkeypatch):
    monkeypatch.setattr(reading, "LONG", -1)
    pieces = iter(platform.reader.entities(ListRequest()).body)
    read = [next(pieces)]
    thread = threading.Thread(target=lambda: read.extend(pieces))
    thread.start()
    thread.join()
    assert len(orjson.loads(b"".join(read))) == 3

    given_up = platform.reader.entities(ListRequest()).body
    thread = threading.Thread(target=given_up.close)
    thread.start()
    thread.join()
