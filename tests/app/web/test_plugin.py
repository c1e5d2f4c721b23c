"""What every plugin serves, and what it does with paths and methods it does not know."""

from __future__ import annotations

import pytest
from flask import request

from app.web.plugin import unserved_plugins

from .plugins import SERVICE, USER, barrier, client, error_of, plugin


@pytest.fixture
def ask():
    routes = plugin()
    routes.add_url_rule("/entities", "list", lambda: {"query": dict(request.args)})
    routes.add_url_rule("/entities", "add", dict, methods=["POST"])
    routes.add_url_rule("/by-name/<kind>/<name>", "get", lambda kind, name: [kind, name])
    return client(routes)


def is_empty_404(response) -> bool:
    return (response.status_code, response.data, response.content_type) == (404, b"", None)


@pytest.mark.parametrize("path", ["", "/", "/nope", "/entities/x/y", "/entities//"])
def test_an_unknown_path_is_empty_to_known_callers(ask, path):
    assert is_empty_404(ask.get(f"/api/catalog{path}", headers=USER))


@pytest.mark.parametrize("path", ["", "/", "/nope", "/entities/x/y"])
def test_an_unknown_path_is_refused_to_all_others(ask, path):
    response = ask.get(f"/api/catalog{path}?a=b")

    assert error_of(response)[0] == 401
    assert response.get_json()["request"]["url"] == f"{path or '/'}?a=b"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "PROPFIND"])
def test_an_unknown_method_is_as_an_unknown_path(ask, method):
    assert is_empty_404(ask.open("/api/catalog/entities", method=method, headers=USER))
    assert ask.open("/api/catalog/entities", method=method).status_code == 401


@pytest.mark.parametrize("path", ["/", "/nope", "/api", "/api/nope", "/api/nope/x", "/apicatalog"])
def test_what_belongs_to_no_plugin_is_empty_to_everybody(ask, path):
    assert is_empty_404(ask.get(path))


def test_a_slash_at_the_end_does_not_matter_and_never_redirects(ask):
    assert ask.get("/api/catalog/entities/", headers=USER).status_code == 200


def test_slashes_are_not_merged(ask):
    assert is_empty_404(ask.get("/api/catalog//entities", headers=USER))


def test_views_may_answer_plain_values(ask):
    response = ask.get("/api/catalog/by-name/component/x", headers=USER)

    assert response.data == b'["component","x"]'
    assert response.content_type == "application/json; charset=utf-8"


def test_head_is_get_without_its_body(ask):
    get = ask.get("/api/catalog/entities?a=b", headers=USER)
    head = ask.head("/api/catalog/entities?a=b", headers=USER)

    assert head.status_code == 200
    assert head.data == b""
    for name in ("Content-Length", "Content-Type", "ETag"):
        assert head.headers[name] == get.headers[name]


def test_options_meets_the_barrier(ask):
    assert error_of(ask.options("/api/catalog/entities"))[0] == 401


def test_options_names_the_methods_of_a_path(ask):
    response = ask.options("/api/catalog/entities", headers=USER)

    assert response.status_code == 200
    assert response.headers["Allow"] == "GET,HEAD,POST"
    assert response.text == "GET,HEAD,POST"
    assert is_empty_404(ask.options("/api/catalog/nope", headers=USER))


def test_keys_are_open_to_everybody_even_before_the_start():
    from app.web.lifecycle import Lifecycle

    response = client(plugin(lifecycle=Lifecycle())).get(
        "/api/catalog/.backstage/auth/v1/jwks.json"
    )

    assert response.get_json() == {"keys": [{"kid": "catalog"}]}


def test_a_user_gets_a_cookie(ask):
    response = ask.get("/api/catalog/.backstage/auth/v1/cookie", headers=USER)

    assert response.get_json() == {"expiresAt": "2026-11-23T22:00:00.000Z"}
    assert response.headers["Set-Cookie"] == "auth=ada"


def test_a_user_with_a_cookie_keeps_it(ask):
    ask.set_cookie("backstage-auth", "limited")

    response = ask.get("/api/catalog/.backstage/auth/v1/cookie", headers=USER)

    assert response.status_code == 200
    assert "Set-Cookie" not in response.headers


def test_a_service_gets_no_cookie(ask):
    response = ask.get("/api/catalog/.backstage/auth/v1/cookie", headers=SERVICE)

    assert error_of(response) == (
        403,
        "NotAllowedError",
        "This endpoint does not allow 'service' credentials",
    )


def test_a_cookie_is_taken_back(ask):
    response = ask.delete("/api/catalog/.backstage/auth/v1/cookie", headers=USER)

    assert (response.status_code, response.data, response.content_type) == (204, b"", None)
    assert response.headers["Set-Cookie"] == "auth="
    assert ask.delete("/api/catalog/.backstage/auth/v1/cookie").status_code == 401


def test_a_plugin_that_is_not_served_keeps_its_barrier():
    ask = client(*unserved_plugins(["scaffolder", "search"], barrier()))

    assert error_of(ask.get("/api/search/query"))[0] == 401
    assert is_empty_404(ask.get("/api/scaffolder/v2/actions", headers=USER))
    restricted = {"Authorization": "Bearer restricted"}
    assert error_of(ask.get("/api/scaffolder/v2/actions", headers=restricted))[0] == 403
