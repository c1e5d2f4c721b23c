"""Cross-origin requests, as npm's `cors` answers them."""

from __future__ import annotations

import pytest

from app.settings import CorsSettings

from .plugins import USER, client, error_of, header_names, plugin

APP = "http://localhost:3000"
SETTINGS = CorsSettings(
    origin=(APP, "https://*.example.org", "https://{a,b}.test"),
    methods=("GET", "HEAD", "PATCH", "POST", "PUT", "DELETE"),
    credentials=True,
)


def ask(settings: CorsSettings | None = SETTINGS):
    routes = plugin()
    routes.add_url_rule("/entities", "list", dict)
    return client(routes, cors=settings)


def preflight(origin: str | None, settings: CorsSettings | None = SETTINGS, **headers: str):
    sent = {"Access-Control-Request-Method": "POST", **headers}
    if origin is not None:
        sent["Origin"] = origin
    return ask(settings).options("/api/catalog/entities", headers=sent)


def cors_headers(response) -> dict[str, str]:
    wanted = ("Access-Control", "Vary")
    return {name: value for name, value in response.headers if name.startswith(wanted)}


def test_a_preflight_from_the_app_is_answered_at_once():
    response = preflight(APP, **{"Access-Control-Request-Headers": "authorization, content-type"})

    assert (response.status_code, response.data, response.content_type) == (204, b"", None)
    assert cors_headers(response) == {
        "Access-Control-Allow-Origin": APP,
        "Vary": "Origin, Access-Control-Request-Headers",
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Methods": "GET,HEAD,PATCH,POST,PUT,DELETE",
        "Access-Control-Allow-Headers": "authorization, content-type",
    }


def test_a_preflight_from_elsewhere_meets_the_barrier():
    response = preflight("https://evil.example")

    assert error_of(response)[0] == 401
    assert cors_headers(response) == {"Vary": "Accept-Encoding"}


@pytest.mark.parametrize("path", ["/api/nope", "/nope", "/api/catalog/nope"])
def test_a_preflight_is_answered_whatever_its_path(path):
    assert ask().options(path, headers={"Origin": APP}).status_code == 204


def test_a_plain_request_is_told_that_the_answer_depends_on_the_origin():
    response = ask().get("/api/catalog/entities", headers={"Origin": APP, **USER})

    assert cors_headers(response) == {
        "Access-Control-Allow-Origin": APP,
        "Access-Control-Allow-Credentials": "true",
        "Vary": "Origin, Accept-Encoding",
    }


def test_without_an_origin_there_are_no_headers():
    assert cors_headers(ask().get("/api/catalog/entities", headers=USER)) == {
        "Vary": "Accept-Encoding"
    }
    assert error_of(preflight(None))[0] == 401


def test_errors_carry_the_headers_too():
    response = ask().get("/api/catalog/entities", headers={"Origin": APP})

    assert response.status_code == 401
    assert response.headers["Access-Control-Allow-Origin"] == APP


@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [
        ("https://portal.example.org", True),
        ("HTTPS://Portal.Example.ORG", True),
        ("https://a.b.example.org", True),
        ("https://example.org", False),
        ("http://portal.example.org", False),
        ("https://portal.example.org.evil.test", False),
        ("https://evil.test/portal.example.org", False),
        ("https://b.test", True),
        ("https://c.test", False),
        ("http://localhost:3001", False),
        ("null", False),
        ("", False),
    ],
)
def test_origins_are_matched_by_pattern(origin, is_allowed):
    assert (preflight(origin).status_code == 204) == is_allowed


def test_two_stars_are_no_more_than_one():
    settings = CorsSettings(origin=("https://**.example.org", "**"))

    assert preflight("https://portal.example.org", settings).status_code == 204
    assert preflight("https://other.test", settings).status_code == 401


def test_without_patterns_every_origin_is_welcome():
    settings = CorsSettings()
    response = ask(settings).get("/api/catalog/entities", headers=USER)

    assert cors_headers(response)["Access-Control-Allow-Origin"] == "*"
    assert "Origin" not in cors_headers(response)["Vary"]
    answered = preflight(None, settings)
    assert answered.status_code == 204
    assert cors_headers(answered) == {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "GET,HEAD,PUT,PATCH,POST,DELETE",
        "Vary": "Access-Control-Request-Headers",
    }


def test_without_settings_there_is_no_cors():
    assert error_of(preflight(APP, None))[0] == 401
    response = ask(None).get("/api/catalog/entities", headers={"Origin": APP, **USER})
    assert not any(name.startswith("Access-Control") for name in header_names(response))


def test_every_setting_has_its_header():
    settings = CorsSettings(
        origin=(APP,),
        allowed_headers=("X-A", "X-B"),
        exposed_headers=("ETag", "Link"),
        max_age=600,
        options_success_status=200,
    )

    response = preflight(APP, settings)

    assert response.status_code == 200
    assert response.headers["Content-Length"] == "0"
    assert cors_headers(response) == {
        "Access-Control-Allow-Origin": APP,
        "Vary": "Origin",
        "Access-Control-Allow-Methods": "GET,HEAD,PUT,PATCH,POST,DELETE",
        "Access-Control-Allow-Headers": "X-A,X-B",
        "Access-Control-Expose-Headers": "ETag,Link",
        "Access-Control-Max-Age": "600",
    }
    plain = ask(settings).get("/api/catalog/entities", headers={"Origin": APP, **USER})
    assert plain.headers["Access-Control-Expose-Headers"] == "ETag,Link"


def test_a_preflight_may_be_let_through_with_its_headers():
    settings = CorsSettings(origin=(APP,), preflight_continue=True)

    response = preflight(APP, settings, Authorization="Bearer ada")

    assert response.status_code == 200
    assert response.text == "GET,HEAD"
    assert response.headers["Access-Control-Allow-Methods"] == "GET,HEAD,PUT,PATCH,POST,DELETE"
