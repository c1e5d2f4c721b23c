"""The list of hosts that may be read means what it means to Backstage."""

from __future__ import annotations

import pytest
from ada_url import URL

from app.errors import ConfigError
from app.scm.hosts import AllowedHost, AllowList


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("example.com", "https://example.com/a"),
        ("example.com", "http://EXAMPLE.com:80/a"),
        ("*.example.com", "https://a.b.example.com/x"),
        ("127.0.0.1:8719", "http://127.0.0.1:8719/a"),
        ("127.0.0.1:8719", "http://127.1:8719/a"),
        ("example.com:443", "https://example.com/"),
        ("example.com:8000-9000", "https://example.com:8500/"),
        ("[::1]:8080", "http://[::1]:8080/"),
    ],
)
def test_a_host_is_permitted(host, url):
    assert AllowList.parse([{"host": host}]).permits(URL(url))


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("example.com", "https://example.com:8443/a"),
        ("example.com", "https://evil-example.com/a"),
        ("*.example.com", "https://example.com/x"),
        ("*.example.com", "https://evilexample.com/x"),
        ("example.com", "https://example.com.evil.org/"),
        ("example.com", "https://evil.org/?example.com"),
        ("example.com", "https://evil.org#example.com"),
        ("example.com", "https://example.com@evil.org/"),
        ("example.com:443", "http://example.com/"),
        ("example.com:8000-9000", "https://example.com/"),
        ("example.com", "ftp://example.com/"),
        ("example.com", "file://example.com/etc/passwd"),
    ],
)
def test_a_host_is_not_permitted(host, url):
    assert not AllowList.parse([{"host": host}]).permits(URL(url))


def test_nothing_is_permitted_by_default():
    assert not AllowList().permits(URL("https://example.com/"))


def test_paths_are_prefixes_of_the_path_that_is_really_asked_for():
    allow = AllowList.parse([{"host": "example.com", "paths": ["/public/", "/one.yaml"]}])

    assert allow.permits(URL("https://example.com/public/a"))
    assert allow.permits(URL("https://example.com//public/a"))
    assert allow.permits(URL("https://example.com/one.yaml?x=1"))
    assert not allow.permits(URL("https://example.com/private/a"))
    assert not allow.permits(URL("https://example.com/public/../private/a"))
    assert not allow.permits(URL("https://example.com/public/%2e%2e/private/a"))


@pytest.mark.parametrize("host", ["example.com:0", "a:b", "a:9-8", "a:70000", "", "prod.*.a", "*"])
def test_an_entry_that_makes_no_sense_is_refused(host):
    with pytest.raises(ConfigError, match=r"^backend\.reading\.allow: "):
        AllowedHost.parse({"host": host})
