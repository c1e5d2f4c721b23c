"""`/api/catalog` over HTTP: arguments in, answers and refusals out."""

import base64
from dataclasses import dataclass, field

import orjson
import pytest

from app.catalog import reading
from app.catalog.reading import CatalogReader
from app.catalog.routes import catalog_routes
from app.errors import NotFoundError
from app.model.query import EVERYTHING, equals
from tests.app.catalog.graph import Graph, entity
from tests.app.web.plugins import USER, application, barrier, error_of


@dataclass
class Commands:
    """Remembers what it was told."""

    told: list = field(default_factory=list)

    def refresh(self, ref):
        if ref.endswith("nope"):
            raise NotFoundError(f"Entity {ref} not found")
        self.told.append(("refresh", ref))

    def delete(self, uid, actor=""):
        self.told.append(("delete", uid, actor))

    def pending(self, owner=None):
        return [{"entity_id": "1", "owner": owner}]

    def failed(self, owner=None):
        return [{"entity_id": "2", "owner": owner}]

    def forget(self, entity_id, actor=""):
        self.told.append(("forget", entity_id, actor))


class Api:
    """A client whose requests carry credentials."""

    def __init__(self, graph, **options):
        self.commands = Commands()
        description = options.pop("description", lambda: b'{"openapi":"3.0.3"}')
        routes = catalog_routes(
            barrier(),
            CatalogReader(graph),
            self.commands,
            self.commands,
            description=description,
            **options,
        )
        self.client = application(routes).test_client()

    def get(self, path, method="GET", **headers):
        return self.client.open(f"/api/catalog{path}", method=method, headers={**USER, **headers})

    def post(self, path, body=None, **options):
        return self.client.post(f"/api/catalog{path}", json=body, headers=USER, **options)

    def delete(self, path):
        return self.client.delete(f"/api/catalog{path}", headers=USER)


@pytest.fixture
def graph():
    return Graph().put(
        entity("Component", "web", tags=["java"], spec={"type": "website"}),
        entity("Component", "Shop", spec={"type": "service"}),
        entity("Component", "cart", spec={"type": "Service"}),
        entity("API", "rest", spec={"type": "openapi"}),
    )


@pytest.fixture
def api(graph):
    return Api(graph)


def names(response):
    assert response.status_code == 200, response.data
    assert response.content_type == "application/json; charset=utf-8"
    body = response.get_json()
    items = body["items"] if isinstance(body, dict) else body
    return [item["metadata"]["name"] for item in items]


def refusal(response):
    status, name, message = error_of(response)
    assert (status, name) == (400, "InputError")
    return message


# -- by-query ------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [150, 300, 900])
def test_a_cursor_can_be_written_of_every_query_that_is_accepted(api, levels):
    junk = b"[" * levels + b"]" * levels
    body = b'{"limit":1,"query":{"kind":{"$exists":true,"junk":%b}}}' % junk
    url = "/api/catalog/entities/by-query"
    response = api.client.post(url, data=body, headers=USER, content_type="application/json")

    if levels < 200:
        assert response.get_json()["pageInfo"]["nextCursor"]
    else:
        assert "nested more than" in refusal(response)


def test_a_query_is_filtered_ordered_cut_and_reduced(api):
    response = api.get(
        "/entities/by-query?filter=kind=component&filter=kind=api&orderField=metadata.name,desc"
        "&limit=2&offset=1&fields=metadata.name"
    )
    body = response.get_json()
    cursor = orjson.loads(base64.b64decode(body["pageInfo"].pop("nextCursor")))

    assert body == {
        "items": [{"metadata": {"name": "Shop"}}, {"metadata": {"name": "rest"}}],
        "totalItems": 4,
        "pageInfo": {},
    }
    assert cursor["query"] == {"$any": [{"kind": "component"}, {"kind": "api"}]}
    assert cursor["fullTextFilter"] == {"term": ""}


@pytest.mark.parametrize("way", ["get", "post"])
def test_cursors_of_get_are_good_for_both(api, way):
    path = "/entities/by-query"
    first = api.get(f"{path}?filter=kind=component&orderField=metadata.name&limit=1").get_json()
    cursor = first["pageInfo"]["nextCursor"]

    if way == "get":
        response = api.get(f"{path}?cursor={cursor}&filter=kind=api&fields=metadata.name")
    else:
        body = {"cursor": cursor, "query": {"kind": "api"}, "fields": ["kind,metadata.name"]}
        response = api.post(path, body)

    assert names(response) == ["Shop", "web"]
    assert response.get_json()["totalItems"] == 3
    assert list(response.get_json()["pageInfo"]) == ["prevCursor"]


@pytest.mark.parametrize("way", ["get", "post"])
def test_cursors_of_post_are_good_for_both(api, way):
    order = [{"field": "metadata.name", "order": "asc"}]
    first = api.post("/entities/by-query", {"orderBy": order, "limit": 2.9}).get_json()
    cursor = first["pageInfo"]["nextCursor"]
    assert len(first["items"]) == 2
    assert "fullTextFilter" not in orjson.loads(base64.b64decode(cursor))

    if way == "get":
        response = api.get(f"/entities/by-query?cursor={cursor}")
    else:
        response = api.post("/entities/by-query", {"cursor": cursor})
    assert names(response) == ["Shop", "web"]


def test_a_body_is_not_necessary(api):
    assert len(names(api.client.post("/api/catalog/entities/by-query", headers=USER))) == 4


def test_unknown_properties_of_a_body_are_ignored(api):
    assert len(names(api.post("/entities/by-query", {"shape": 1, "limit": 1}))) == 1


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("fullTextFilterTerm=SHO&fullTextFilterFields=metadata.title,metadata.name", ["Shop"]),
        ("fullTextFilterTerm=sho&orderField=metadata.name,asc", ["Shop"]),
        ("fullTextFilterTerm=sho", []),
        ("fullTextFilterTerm=%20&orderField=metadata.name&limit=1", ["cart"]),
        ("fullTextFilterTerm=_h&fullTextFilterFields=metadata.name", ["Shop"]),
    ],
)
def test_text_is_looked_for(api, query, found):
    assert names(api.get(f"/entities/by-query?{query}")) == found


def test_totals_may_be_excluded(api):
    assert api.get("/entities/by-query?totalItems=exclude").get_json()["totalItems"] == 0
    body = api.post("/entities/by-query", {"totalItems": "exclude"}).get_json()
    assert (body["totalItems"], len(body["items"])) == (0, 4)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/entities/by-query?shape=round", "Unknown query parameter 'shape'"),
        ("/entities/by-query?filter=", "Empty value found for query parameter 'filter'"),
        ("/entities/by-query?cursor=", "Empty value found for query parameter 'cursor'"),
        ("/entities/by-query?limit=ten", "request/query/limit must be integer"),
        ("/entities/by-query?limit=-1", "request/query/limit must be >= 0"),
        ("/entities/by-query?offset=-1", "request/query/offset must be >= 0"),
        (
            "/entities/by-query?totalItems=x",
            "request/query/totalItems must be equal to one of the allowed values: include, exclude",
        ),
        (
            "/entities/by-query?orderField=metadata.name,up",
            "Invalid order field order, must be asc or desc",
        ),
        ("/entities/by-query?cursor=xx", "Malformed cursor: not base64-encoded JSON"),
        (
            "/entities/by-query?fields=a[0]",
            'Invalid field "a[0]", array type fields are not supported',
        ),
        ("/entities?foo=1", "Unknown query parameter 'foo'"),
        ("/entities?limit=0", "Invalid limit, must be greater than zero"),
        ("/entities?limit=abc", "request/query/limit must be integer"),
        (
            "/entities?order=name",
            'Invalid order parameter "name", expected "<asc or desc>:<field name>"',
        ),
        (
            "/entities?filter==x",
            (
                "Invalid filter, '=x' is not a valid statement "
                "(expected a string on the form a=b or a= or a)"
            ),
        ),
        (
            "/entities?limit=1" + "&order=asc:kind" * 21,
            "More than 20 order parameters cannot be given",
        ),
        ("/entities?after=!!!", "Malformed after cursor, could not be parsed"),
        ("/entities?after=", "Empty value found for query parameter 'after'"),
        ("/entity-facets", "request/query must have required property 'facet'"),
        ("/entity-facets?facet=", "Empty value found for query parameter 'facet'"),
        ("/entity-facets?facet=&facet=", "Missing facet parameter"),
        ("/entities/by-uid/x?a=b", "Unknown query parameter 'a'"),
        ("/entities/by-name/a/b/c?a=b", "Unknown query parameter 'a'"),
        ("/entities/by-name/a/b/c/ancestry?a=b", "Unknown query parameter 'a'"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_reason(api, path, message):
    response = api.get(path)
    assert refusal(response) == message
    assert response.get_json()["request"] == {"method": "GET", "url": path}


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/entities/by-query", {"cursor": ""}, "Cursor cannot be empty"),
        (
            "/entities/by-query",
            {"cursor": "e30="},
            "Malformed cursor: Expected orderFields to be an array",
        ),
        ("/entities/by-query", {"query": [1]}, "request/body/query must be object"),
        ("/entities/by-query", {"query": None}, "request/body/query must be object"),
        ("/entities/by-query", {"limit": "1"}, "request/body/limit must be number"),
        ("/entities/by-query", {"offset": -1}, "request/body/offset must be >= 0"),
        (
            "/entities/by-query",
            {"orderBy": [{"field": "a"}]},
            "request/body/orderBy/0 must have required property 'order'",
        ),
        (
            "/entities/by-query",
            {"query": {"a": None}},
            (
                "Invalid query: Validation error: "
                'Expected a string, number, boolean or object, received null at "a"'
            ),
        ),
        ("/entities/by-query?limit=1", {}, "Unknown query parameter 'limit'"),
        ("/entities/by-refs?fields=kind", {"entityRefs": []}, "Unknown query parameter 'fields'"),
        ("/entities/by-refs", {}, "request/body must have required property 'entityRefs'"),
        ("/entities/by-refs", {"entityRefs": [1]}, "request/body/entityRefs/0 must be string"),
        ("/entity-facets", {"facets": []}, "Missing or empty facets parameter"),
        ("/entity-facets", {"facets": [""]}, "Missing or empty facets parameter"),
        ("/entity-facets", {}, "request/body must have required property 'facets'"),
        ("/refresh", {}, "request/body must have required property 'entityRef'"),
        (
            "/refresh",
            {"entityRef": "component:default/web", "x": 1},
            "request/body must NOT have additional properties",
        ),
    ],
)
def test_a_body_that_makes_no_sense_is_refused_with_the_reason(api, path, body, message):
    assert refusal(api.post(path, body)) == message


def test_another_media_type_is_refused(api):
    response = api.client.post(
        "/api/catalog/entities/by-refs", data="a", content_type="text/plain", headers=USER
    )
    assert refusal(response) == "unsupported media type text/plain"


# -- the legacy listing --------------------------------------------------------------------------


def test_everything_is_listed_in_an_array(api):
    assert names(api.get("/entities")) == ["rest", "cart", "Shop", "web"]
    assert names(api.get("/entities?order=asc:metadata.Name")) == ["cart", "rest", "Shop", "web"]
    assert names(api.get("/entities?filter=metadata.tags.java")) == ["web"]


def test_windows_are_linked_and_the_last_one_is_not(api):
    path, found = "/entities?filter=kind=component&limit=2&offset=0&fields=metadata.name", []
    links = []
    while path:
        response = api.get(path)
        found.append(names(response))
        link = response.headers.get("Link")
        path = link and link.removeprefix("<").removesuffix('>; rel="next"')
        links.append(path)

    assert found == [["cart", "Shop"], ["web"]]
    assert links == [
        (
            "/entities?filter=kind%3Dcomponent&limit=2&fields=metadata.name"
            "&after=eyJsaW1pdCI6Miwib2Zmc2V0IjoyfQ%3D%3D"
        ),
        None,
    ]


def test_a_long_list_is_streamed_with_the_same_bytes(monkeypatch, graph, api):
    whole = api.get("/entities").data
    monkeypatch.setattr(reading, "LONG", 2)
    response = api.get("/entities")
    assert response.data == whole
    assert response.content_type == "application/json; charset=utf-8"
    assert response.headers["ETag"] == api.get("/entities", method="HEAD").headers["ETag"]
    assert api.get("/entities", method="HEAD").data == b""
    assert graph.opened == 0


# -- entity tags ---------------------------------------------------------------------------------

LISTS = ["/entities", "/entities?limit=2", "/entities/by-query", "/entity-facets?facet=kind"]


@pytest.mark.parametrize("path", LISTS)
def test_a_list_that_did_not_change_is_not_read_again(api, graph, path):
    etag = api.get(path).headers["ETag"]
    assert etag.startswith('W/"')
    read = graph.read

    response = api.get(path, **{"If-None-Match": etag})

    assert (response.status_code, response.data) == (304, b"")
    assert response.headers["ETag"] == etag
    assert graph.read == read


@pytest.mark.parametrize("path", LISTS)
def test_any_change_makes_a_list_new(api, graph, path):
    etag = api.get(path).headers["ETag"]
    graph.put(entity("API", "new"))
    assert api.get(path, **{"If-None-Match": etag}).status_code == 200


def test_tags_differ_by_request_caller_and_database(api, graph):
    def etag(api, path="/entities/by-query"):
        return api.get(path).headers["ETag"]

    others = [
        etag(api, "/entities/by-query?limit=7"),
        etag(Api(graph, lineage="other")),
        etag(Api(graph, visible=lambda _: equals("kind", "api"))),
    ]
    assert len({etag(api), *others}) == 4
    assert etag(Api(graph, lineage="", visible=lambda _: EVERYTHING)) == etag(api)


def test_single_entities_have_tags_too(api):
    response = api.get("/entities/by-name/component/default/web")
    again = api.get(
        "/entities/by-name/component/default/web", **{"If-None-Match": response.headers["ETag"]}
    )
    assert again.status_code == 304


# -- lookups -------------------------------------------------------------------------------------


def test_refs_are_looked_up_under_filter_and_query(api):
    refs = ["component:default/web", "component:default/shop", "api:default/rest", "x:y/z"]

    def found(path, **body):
        items = api.post(path, {"entityRefs": refs, **body}).get_json()["items"]
        return [item and item["metadata"]["name"] for item in items]

    path = "/entities/by-refs"
    assert found(path) == ["web", "Shop", "rest", None]
    assert found(f"{path}?filter=kind=component") == ["web", "Shop", None, None]
    query = {"spec.type": "website"}
    assert found(f"{path}?filter=kind=component", query=query) == ["web", None, None, None]
    body = {"entityRefs": refs[:1], "fields": ["kind,metadata.name"]}
    assert api.post(path, body).get_json() == {"items": [{}]}


def test_an_entity_is_found_by_name_and_by_uid(api, graph):
    by_name = api.get("/entities/by-name/COMPONENT/Default/shop")
    assert by_name.data == graph.documents[graph.ids["component:default/shop"]]
    assert api.get(f"/entities/by-uid/{graph.uid('component:default/shop')}").data == by_name.data


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "/entities/by-name/Component/default/Nope",
            "No entity named 'Nope' found, with kind 'Component' in namespace 'default'",
        ),
        ("/entities/by-uid/nope", "No entity with uid nope"),
        (
            "/entities/by-name/Component/Default/Nope/ancestry",
            "No such entity component:default/nope",
        ),
    ],
)
def test_what_is_not_there_is_named(api, path, message):
    assert error_of(api.get(path)) == (404, "NotFoundError", message)


def test_ancestry_names_the_root(api):
    body = api.get("/entities/by-name/component/default/web/ancestry").get_json()
    assert body["rootEntityRef"] == "component:default/web"
    assert [item["parentEntityRefs"] for item in body["items"]] == [[]]


# -- facets --------------------------------------------------------------------------------------


def test_facets_are_counted_by_get_and_post(api):
    expected = {
        "facets": {
            "spec.Type": [
                {"value": "Service", "count": 1},
                {"value": "service", "count": 1},
                {"value": "website", "count": 1},
            ],
            "kind": [{"value": "Component", "count": 3}],
        }
    }
    found = api.get("/entity-facets?facet=spec.Type&facet=&facet=kind&filter=kind=component")
    assert found.get_json() == expected
    body = {"facets": ["spec.Type", "kind"], "query": {"kind": "component"}}
    assert api.post("/entity-facets", body).get_json() == expected


# -- what callers see, and what they may do ------------------------------------------------------


def test_callers_are_held_to_what_they_may_see(graph):
    api = Api(graph, visible=lambda _: equals("kind", "api"))
    assert names(api.get("/entities/by-query")) == names(api.get("/entities")) == ["rest"]
    assert api.get("/entities/by-name/component/default/web").status_code == 404
    assert api.get("/entities/by-name/component/default/web/ancestry").status_code == 403


def test_nothing_is_served_without_credentials(api):
    for path in (
        "/entities",
        "/entities/by-query",
        "/openapi.json",
        "/entities/unprocessed/failed",
    ):
        assert api.client.get(f"/api/catalog{path}").status_code == 401


def test_an_entity_is_refreshed_whatever_the_case_of_its_ref(api):
    response = api.post("/refresh", {"entityRef": "Component:default/Web"})
    assert (response.status_code, response.data, response.content_type) == (200, b"", None)
    assert api.commands.told == [("refresh", "component:default/web")]


def test_refreshing_nothing_is_not_found(api):
    found = error_of(api.post("/refresh", {"entityRef": "component:default/nope"}))
    assert found == (404, "NotFoundError", "Entity component:default/nope not found")


def test_what_no_database_can_hold_is_not_asked_for(api):
    assert api.post("/refresh", {"entityRef": "component:default/\0"}).status_code == 404
    assert api.delete("/entities/by-uid/%00").status_code == 204
    assert api.commands.told == []


def test_a_token_in_a_refresh_is_verified(api):
    body = {"entityRef": "component:default/web", "authorizationToken": "wrong"}
    assert error_of(api.post("/refresh", body)) == (401, "AuthenticationError", "Illegal token")
    assert api.commands.told == []
    assert api.post("/refresh", {**body, "authorizationToken": "ci"}).status_code == 200


def test_an_entity_is_deleted_in_the_name_of_the_caller(api):
    response = api.delete("/entities/by-uid/some-uid")
    assert (response.status_code, response.data) == (204, b"")
    assert api.commands.told == [("delete", "some-uid", "user:default/ada")]


def test_unprocessed_entities_are_listed_and_forgotten(api):
    assert api.get("/entities/unprocessed/pending?owner=ada&x=y").get_json() == {
        "type": "pending",
        "entities": [{"entity_id": "1", "owner": "ada"}],
    }
    assert api.get("/entities/unprocessed/failed").get_json() == {
        "type": "failed",
        "entities": [{"entity_id": "2", "owner": None}],
    }
    assert api.delete("/entities/unprocessed/delete/7").status_code == 204
    assert api.commands.told == [("forget", "7", "user:default/ada")]


def test_the_plugin_describes_itself(api):
    assert api.get("/openapi.json").get_json() == {"openapi": "3.0.3"}
