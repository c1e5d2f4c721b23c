"""The read side: pages, lists, lookups, counts, and what callers may see of them."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.catalog import reading
from app.catalog.cursors import Cursor, Listing, TextFilter, Window
from app.catalog.projection import parse_fields
from app.catalog.questions import ListRequest, PageRequest
from app.catalog.reading import CatalogReader, Pieces
from app.errors import NotAllowedError, NotFoundError
from app.model.query import NOTHING, AnyOf, In, Order, equals
from tests.app.catalog.graph import Graph, entity

COMPONENTS = equals("kind", "component")
APIS = equals("kind", "api")
BY_NAME = Order("metadata.name")


@pytest.fixture
def graph():
    return Graph().put(
        entity("Component", "web", tags=["java", "go"], spec={"type": "website"}),
        entity("Component", "API-server", tags=["go"], spec={"type": "Service"}),
        entity("Component", "batch", spec={"type": "service"}, namespace="other"),
        entity("API", "rest", title="REST", spec={"type": "openapi"}),
        entity("API", "grpc", spec={"type": "grpc"}),
    )


@pytest.fixture
def catalog(graph):
    return CatalogReader(graph)


def page(catalog, listing=None, **parts):
    visible = parts.pop("visible", AnyOf((COMPONENTS, APIS)))
    reply = catalog.page(PageRequest(listing or Listing(), **parts), visible)
    return orjson.loads(reply.body)


def names(body):
    items = body["items"] if isinstance(body, dict) else body
    return [item["metadata"]["name"] for item in items]


def follow(catalog, body, way="nextCursor", **parts):
    cursor = Cursor.decode(body["pageInfo"][way])
    return page(catalog, cursor.listing, cursor=cursor, **parts)


# -- pages ---------------------------------------------------------------------------------------


def test_a_page_is_ordered_by_uid_if_nothing_else_is_asked(catalog):
    assert names(page(catalog)) == ["grpc", "rest", "batch", "API-server", "web"]


def test_a_page_holds_documents_byte_for_byte(catalog, graph):
    body = catalog.page(PageRequest(Listing(expression=equals("metadata.name", "rest")))).body
    document = graph.documents[graph.ids["api:default/rest"]]
    assert body == b'{"items":[' + document + b'],"totalItems":1,"pageInfo":{}}'


def test_an_order_is_by_lower_case_and_leaves_out_who_lacks_the_field(catalog):
    body = page(catalog, Listing(order=(BY_NAME,)))
    assert names(body) == ["API-server", "batch", "grpc", "rest", "web"]
    body = page(catalog, Listing(order=(Order("metadata.TITLE"),)))
    assert (names(body), body["totalItems"]) == (["rest"], 1)


def test_entities_with_several_values_occur_once_for_each_and_are_counted_once(catalog):
    body = page(catalog, Listing(order=(Order("metadata.tags", "desc"),)))
    assert names(body) == ["web", "web", "API-server"] or names(body)[0] == "web"
    assert sorted(names(body)) == ["API-server", "web", "web"]
    assert body["totalItems"] == 2


def test_text_in_the_order_field_shows_only_the_values_it_is_in(catalog):
    listing = Listing(order=(Order("metadata.tags"),), text=TextFilter(" JAV "))
    assert names(page(catalog, listing)) == ["web"]
    listing = Listing(order=(Order("metadata.tags"),), text=TextFilter("jav", ("metadata.TAGS",)))
    assert names(page(catalog, listing)) == ["web", "web"]


def test_pages_lead_forwards_and_back_with_the_total_of_the_first(catalog, graph):
    listing = Listing(query={"kind": "component"}, expression=COMPONENTS, order=(BY_NAME,))
    first = page(catalog, listing, limit=1)
    graph.put(entity("Component", "zzz"))
    second = follow(catalog, first, limit=1)
    third = follow(catalog, second, limit=5)
    back = follow(catalog, third, "prevCursor", limit=1)
    start = follow(catalog, back, "prevCursor", limit=1)

    assert [names(p) for p in (first, second, third)] == [["API-server"], ["batch"], ["web", "zzz"]]
    assert [names(p) for p in (back, start)] == [["batch"], ["API-server"]]
    assert [p["totalItems"] for p in (first, second, third, back)] == [3, 3, 3, 3]
    ways = [sorted(p["pageInfo"]) for p in (first, second, third, back, start)]
    both_ways = ["nextCursor", "prevCursor"]
    assert ways == [["nextCursor"], both_ways, ["prevCursor"], both_ways, ["nextCursor"]]


def test_limit_zero_only_counts(catalog, graph):
    assert page(catalog, limit=0) == {"items": [], "totalItems": 5, "pageInfo": {}}
    assert graph.read == 0


def test_totals_may_be_left_out(catalog):
    body = page(catalog, limit=2, counts_total=False)
    assert body["totalItems"] == 0
    assert Cursor.decode(body["pageInfo"]["nextCursor"]).total_items == 0


def test_an_offset_skips_entries(catalog):
    body = page(catalog, Listing(order=(BY_NAME,)), offset=3, limit=1)
    assert (names(body), body["totalItems"]) == (["rest"], 5)
    assert names(page(catalog, offset=50)) == []


def test_fields_reduce_every_entity(catalog):
    body = page(catalog, Listing(order=(BY_NAME,)), limit=1, fields=parse_fields(["kind"]))
    assert body["items"] == [{"kind": "Component"}]


def test_a_cursor_does_not_show_more_than_its_holder_may_see(catalog):
    first = page(catalog, Listing(order=(BY_NAME,)), limit=1)
    assert names(follow(catalog, first, visible=APIS)) == ["grpc", "rest"]


KINDS = st.sampled_from(["Component", "API"])
VALUES = st.lists(st.sampled_from(["a", "B", "c", "_"]), max_size=3, unique=True)


@given(
    st.lists(st.tuples(KINDS, VALUES), max_size=8),
    st.sampled_from([(), (Order("metadata.tags"),), (Order("metadata.tags", "desc"),)]),
    st.integers(1, 4),
)
@settings(max_examples=60)
def test_walking_forwards_and_back_shows_everything_in_order(given_entities, order, limit):
    graph = Graph().put(
        *(entity(kind, f"n{at}", tags=tags) for at, (kind, tags) in enumerate(given_entities))
    )
    catalog = CatalogReader(graph)
    listing = Listing({"kind": "component"}, COMPONENTS, order)
    whole = names(page(catalog, listing))

    body = page(catalog, listing, limit=limit)
    forwards, last = list(names(body)), body
    while "nextCursor" in last["pageInfo"]:
        last = follow(catalog, last, limit=limit)
        forwards += names(last)
    backwards = names(last)
    while "prevCursor" in last["pageInfo"]:
        last = follow(catalog, last, "prevCursor", limit=limit)
        backwards = names(last) + backwards

    assert forwards == whole
    assert backwards == whole
    lines = [
        (tag.lower(), graph.uid(f"component:default/n{at}"), f"n{at}")
        for at, (kind, tags) in enumerate(given_entities)
        if kind == "Component"
        for tag in (tags if order else [""])
    ]
    lines.sort(reverse=bool(order) and order[0].direction == "desc")
    assert whole == [name for _, _, name in lines]


# -- the legacy listing --------------------------------------------------------------------------


def entities(catalog, **parts):
    visible = parts.pop("visible", AnyOf((COMPONENTS, APIS)))
    return catalog.entities(ListRequest(**parts), visible)


def body_of(reply):
    return orjson.loads(reply.body if isinstance(reply.body, bytes) else b"".join(reply.body))


def test_everything_is_listed_by_uid(catalog):
    assert names(body_of(entities(catalog))) == ["grpc", "rest", "batch", "API-server", "web"]


def test_only_the_first_order_counts_without_a_window(catalog):
    found = entities(catalog, order=(Order("Spec.Type"), Order("metadata.name", "desc")))
    assert names(body_of(found))[:2] == ["grpc", "rest"]
    assert sorted(names(body_of(found))[2:4]) == ["API-server", "batch"]
    assert names(body_of(entities(catalog, order=(Order("metadata.title"),)))) == ["rest"]


def test_a_window_is_ordered_by_ref(catalog):
    reply = entities(catalog, window=Window(limit=3))
    assert names(body_of(reply)) == ["grpc", "rest", "API-server"]
    assert Window().moved(reply.after) == Window(3, 3)


def test_the_last_window_leads_nowhere(catalog):
    assert entities(catalog, window=Window(2, 3)).after is None
    assert entities(catalog, window=Window(2)).after is None
    assert names(body_of(entities(catalog, window=Window(9, 3)))) == []


def test_a_window_is_ordered_by_all_fields_and_those_without_come_last(catalog):
    order = (Order("metadata.title"), Order("metadata.name", "desc"))
    found = entities(catalog, order=order, window=Window())
    assert names(body_of(found)) == ["rest", "web", "grpc", "batch", "API-server"]


def test_a_window_knows_no_fields_in_camel_case(catalog):
    found = entities(catalog, order=(Order("metadata.Name"),), window=Window())
    assert names(body_of(found)) == ["grpc", "rest", "batch", "API-server", "web"]


@pytest.mark.parametrize("count", [0, 1, 3, 4, 7])
@pytest.mark.parametrize("fields", [None, ["metadata.name"]])
def test_a_long_list_is_sent_by_and_by(monkeypatch, count, fields):
    monkeypatch.setattr(reading, "LONG", -1)
    graph = Graph().put(*(entity("Component", f"c{at}") for at in range(count)))
    expected = [graph.documents[at] for at in range(count, 0, -1)]
    projection = fields and parse_fields(fields)
    if projection:
        expected = [projection.reduce(document) for document in expected]

    reply = CatalogReader(graph).entities(ListRequest(fields=projection))

    assert isinstance(reply.body, Pieces)
    assert graph.opened == 1
    assert b"".join(reply.body) == b"[" + b",".join(expected) + b"]"
    assert graph.opened == 0


def test_a_long_page_is_sent_by_and_by(monkeypatch, graph, catalog):
    monkeypatch.setattr(reading, "LONG", 2)
    reply = catalog.page(PageRequest(Listing(order=(BY_NAME,)), limit=4))
    body = orjson.loads(b"".join(reply.body))
    assert names(body) == ["API-server", "batch", "grpc", "rest"]
    assert body["totalItems"] == 5
    assert list(body["pageInfo"]) == ["nextCursor"]


def test_what_is_sent_by_and_by_may_be_given_up(monkeypatch, graph, catalog):
    monkeypatch.setattr(reading, "LONG", 2)
    for read in (0, 1):
        reply = catalog.entities(ListRequest())
        pieces = iter(reply.body)
        for _ in range(read):
            next(pieces)
        reply.body.close()
        assert graph.opened == 0


# -- lookups -------------------------------------------------------------------------------------


def test_refs_keep_their_order_repeats_and_gaps(catalog):
    refs = ["api:default/rest", "component:default/none", "api:default/grpc", "api:default/rest"]
    items = orjson.loads(catalog.by_refs(refs))["items"]
    assert [item and item["metadata"]["name"] for item in items] == ["rest", None, "grpc", "rest"]


def test_refs_are_compared_as_they_are_written(catalog):
    refs = ["API:default/rest", "rest", "api:rest", "component:default/API-server"]
    assert catalog.by_refs(refs) == b'{"items":[null,null,null,null]}'
    items = orjson.loads(catalog.by_refs(["component:default/api-server"]))["items"]
    assert items[0]["metadata"]["name"] == "API-server"


def test_refs_that_do_not_match_are_gaps(catalog):
    refs = ["api:default/rest", "component:default/web", "api:default/none", "api:default/rest"]
    items = orjson.loads(catalog.by_refs(refs, APIS, parse_fields(["kind"])))["items"]
    assert items == [{"kind": "API"}, None, None, {"kind": "API"}]
    assert orjson.loads(catalog.by_refs(refs, visible=COMPONENTS))["items"][1]
    assert catalog.by_refs(refs, APIS, visible=COMPONENTS) == b'{"items":[null,null,null,null]}'


def test_no_refs_are_no_items(catalog, graph):
    assert catalog.by_refs([], APIS) == b'{"items":[]}'
    assert graph.asked == 0


def test_a_name_may_be_written_in_any_case(catalog, graph):
    document = catalog.by_name("COMPONENT", "Default", "Api-Server")
    assert document == graph.documents[graph.ids["component:default/api-server"]]
    assert graph.asked == 0


def test_a_name_that_is_not_there_is_named_as_it_was_written(catalog):
    with pytest.raises(NotFoundError) as raised:
        catalog.by_name("Component", "Else", "Web")
    assert str(raised.value) == (
        "No entity named 'Web' found, with kind 'Component' in namespace 'Else'"
    )


def test_an_entity_is_found_by_its_uid(catalog, graph):
    uid = graph.uid("api:default/rest")
    assert orjson.loads(catalog.by_uid(uid.upper()))["metadata"]["name"] == "rest"
    assert orjson.loads(catalog.by_uid(uid, APIS))["metadata"]["name"] == "rest"
    with pytest.raises(NotFoundError, match=r"^No entity with uid Nope$"):
        catalog.by_uid("Nope")


@pytest.mark.parametrize("visible", [COMPONENTS, NOTHING])
def test_what_may_not_be_seen_is_not_there(catalog, graph, visible):
    with pytest.raises(NotFoundError):
        catalog.by_name("api", "default", "rest", visible)
    with pytest.raises(NotFoundError):
        catalog.by_uid(graph.uid("api:default/rest"), visible)


# -- ancestry ------------------------------------------------------------------------------------


@pytest.fixture
def family():
    graph = Graph().put(entity("Location", "root"))
    graph.put(entity("Location", "one"), parent="location:default/root")
    graph.put(entity("Location", "two"), parent="location:default/root")
    graph.put(entity("Component", "web"), parent="location:default/one")
    graph.put(entity("Component", "web"), parent="location:default/two")
    return graph


def ancestry(graph, **parts):
    body = orjson.loads(CatalogReader(graph).ancestry("Component", "default", "WEB", **parts))
    assert body["rootEntityRef"] == "component:default/web"
    return [
        (
            item["entity"]["metadata"]["name"],
            [ref.split("/")[1] for ref in item["parentEntityRefs"]],
        )
        for item in body["items"]
    ]


def test_ancestry_goes_from_the_entity_to_the_roots_last_parent_first(family):
    assert ancestry(family) == [
        ("web", ["one", "two"]),
        ("two", ["root"]),
        ("root", []),
        ("one", ["root"]),
    ]


def test_emitters_without_an_entity_are_no_ancestors(family):
    family.remove("location:default/two")
    assert ancestry(family) == [("web", ["one"]), ("one", ["root"]), ("root", [])]


def test_a_circle_of_emitters_ends(family):
    family.emitters[family.ids["location:default/root"]] = [family.ids["component:default/web"]]
    assert len(ancestry(family)) == 4


def test_ancestors_that_may_not_be_seen_hide_all_above_them(family):
    seen = In("metadata.name", ("web", "one", "root"))
    assert ancestry(family, visible=seen) == [("web", ["one", "two"]), ("one", ["root"])]


def test_ancestry_of_what_may_not_be_seen_is_forbidden_and_of_nothing_not_found(family):
    catalog = CatalogReader(family)
    for visible in (NOTHING, APIS):
        with pytest.raises(NotAllowedError) as refused:
            catalog.ancestry("component", "default", "web", visible)
        assert str(refused.value) == ""
    with pytest.raises(NotFoundError, match=r"^No such entity component:default/none$"):
        catalog.ancestry("Component", "Default", "None")


# -- counts --------------------------------------------------------------------------------------


def test_facets_keep_the_case_of_values_and_of_the_names_asked_for(catalog):
    body = orjson.loads(catalog.facets(["Spec.Type", "nope"], COMPONENTS).body)
    assert body == {
        "facets": {
            "Spec.Type": [
                {"value": "Service", "count": 1},
                {"value": "service", "count": 1},
                {"value": "website", "count": 1},
            ],
            "nope": [],
        }
    }


def test_facets_count_only_what_may_be_seen(catalog):
    counts = orjson.loads(catalog.facets(["kind"], visible=APIS).body)["facets"]["kind"]
    assert counts == [{"value": "API", "count": 2}]


# -- who may not read, and who knows already -----------------------------------------------------


def test_those_who_may_not_read_get_empty_answers(catalog, graph):
    empty = {"items": [], "totalItems": 0, "pageInfo": {}}
    assert page(catalog, visible=NOTHING) == empty
    assert entities(catalog, visible=NOTHING).body == b"[]"
    assert catalog.by_refs(["api:default/rest"], visible=NOTHING) == b'{"items":[null]}'
    assert catalog.facets(["kind"], visible=NOTHING).body == b'{"facets":{"kind":[]}}'
    assert graph.asked == graph.read == 0


def test_whoever_has_the_answer_already_costs_no_reading(catalog, graph):
    asked = []

    def knows(revision):
        asked.append(revision)
        return True

    assert catalog.page(PageRequest(Listing()), unless=knows) is None
    assert catalog.entities(ListRequest(), unless=knows) is None
    assert catalog.facets(["kind"], unless=knows) is None
    assert asked == [graph.seq] * 3
    assert graph.read == 0


def test_a_reply_says_of_which_revision_it_is(catalog, graph):
    assert catalog.page(PageRequest(Listing())).revision == 5
    graph.remove("api:default/rest")
    assert catalog.entities(ListRequest()).revision == 6
    assert catalog.facets(["kind"]).revision == 6
