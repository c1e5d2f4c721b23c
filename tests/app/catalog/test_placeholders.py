"""Placeholders: what replaces them, what they may read, and how they say that they could not."""

from __future__ import annotations

import orjson
import pytest

from app.catalog.placeholders import MAX_DEPTH, MAX_PLACEHOLDERS, PlaceholderError, Placeholders
from app.ports import Content, Reading
from app.scm.addresses import resolve_url
from app.scm.readers import ReaderSettings, open_readers
from tests.app.scm.web_server import web_server


@pytest.fixture
def site():
    with web_server() as site:
        yield site


@pytest.fixture
def readers(tmp_path):
    return open_readers(ReaderSettings(tmp_path, allow=[{"host": "127.0.0.1:1-65535"}]))


@pytest.fixture
def placeholders(readers, site):
    return Placeholders(readers, f"url:{site.url}/team/catalog.yaml")


def failure(placeholders, value):
    with pytest.raises(PlaceholderError) as raised:
        placeholders.entity({"spec": {"definition": value}})
    return raised.value


def test_each_is_replaced_by_what_its_file_holds(placeholders, site):
    site.answer("/team/a.txt", b"openapi: 3\n")
    site.answer("/team/a.json", b'{"a": [1, null]}')
    site.answer("/b.yaml", b"a: [yes, 2024-01-01]\n")

    filled = placeholders.entity(
        {
            "text": {"$text": "./a.txt"},
            "list": [{"$json": "a.json"}, {"deep": {"$yaml": "../b.yaml"}}],
            "absolute": {"$text": f"{site.url}/team/a.txt"},
        }
    )

    assert filled == {
        "text": "openapi: 3\n",
        "list": [{"a": [1, None]}, {"deep": {"a": ["yes", "2024-01-01"]}}],
        "absolute": "openapi: 3\n",
    }


@pytest.mark.parametrize(
    "value",
    [
        {"$ref": "#/components/a"},
        {"$text": "./a", "more": 1},
        {"$foo": {"$text": "./a"}},
        {"$schema": "x", "properties": {"a": {"$text": "./a"}}},
        {"$TEXT": "./a"},
        "$text: ./a",
        {},
        [],
        None,
    ],
)
def test_what_only_looks_like_one_is_left_alone(placeholders, site, value):
    assert placeholders.entity({"spec": value}) == {"spec": value}
    assert site.requests == []


@pytest.mark.parametrize("odd", [3, None, {"nested": 1}, ["./a"]])
def test_a_placeholder_wants_the_address_of_a_file(placeholders, site, odd):
    error = failure(placeholders, {"$text": odd})

    assert str(error) == (
        "Placeholder $text expected a string value parameter, in the form of an absolute URL or a "
        "relative path"
    )
    assert site.requests == []


def test_what_was_read_is_not_looked_through_again(placeholders, site):
    site.answer("/team/a.json", b'{"$text": "./b.txt"}')

    assert placeholders.entity({"spec": {"$json": "./a.json"}}) == {"spec": {"$text": "./b.txt"}}


def test_the_entity_that_was_given_is_not_changed(placeholders, site):
    site.answer("/team/a.txt", b"x")
    given = {"spec": {"a": {"$text": "a.txt"}}, "list": [{"b": 1}]}

    placeholders.entity(given)

    assert given == {"spec": {"a": {"$text": "a.txt"}}, "list": [{"b": 1}]}


def test_what_was_read_is_remembered_with_its_fingerprint(placeholders, readers, site):
    url = site.answer("/team/a.txt", b"x", etag='"7"')

    placeholders.entity({"spec": {"$text": "a.txt"}})

    assert list(placeholders.fingerprints) == [f"url:{url}"]
    site.answer("/team/a.txt", b"", 304)
    assert readers.url.read(url, placeholders.fingerprints[f"url:{url}"]) is None


def test_what_could_not_be_read_is_remembered_as_changed(placeholders, site):
    failure(placeholders, {"$text": "absent.txt"})

    assert placeholders.fingerprints == {f"url:{site.url}/team/absent.txt": ""}


def test_a_failure_says_which_one_it_was(placeholders):
    error = failure(placeholders, [{"a/b~c": {"$text": "absent.txt"}}])

    assert error.pointer == "/spec/definition/0/a~1b~0c/$text"
    assert str(error).startswith("Placeholder $text could not read location absent.txt, NotFound")


def test_a_server_may_not_be_reached_that_is_not_allowed(placeholders):
    error = failure(placeholders, {"$text": "https://internal.example/secret"})

    assert "Placeholder $text could not read location https://internal.example/secret" in str(error)
    assert "is not allowed" in str(error)


def test_a_file_on_this_machine_has_no_placeholders(readers, tmp_path):
    (tmp_path / "a.txt").write_text("secret")
    placeholders = Placeholders(readers, f"file:{tmp_path}/catalog.yaml")

    error = failure(placeholders, {"$text": "./a.txt"})

    assert str(error) == (
        f"Placeholder $text could not form a URL out of {tmp_path}/catalog.yaml and ./a.txt, "
        "TypeError: Invalid URL"
    )
    assert "could not read" in str(failure(placeholders, {"$text": f"file://{tmp_path}/a.txt"}))


@pytest.mark.parametrize(
    ("key", "body", "message"),
    [
        ("$json", b"{oops", "Placeholder $json failed to parse JSON data at a.x, "),
        ("$json", b"", "Placeholder $json failed to parse JSON data at a.x, "),
        ("$json", b'"\\ud800"', "Placeholder $json failed to parse JSON data at a.x, "),
        ("$yaml", b"a: [", "Placeholder $yaml found an error in the data at a.x, "),
        ("$yaml", b"a: 1\n---\nb: 2\n", "exactly one document of data at a.x, found 2"),
        ("$yaml", b"", "exactly one document of data at a.x, found 0"),
    ],
)  # fmt: skip
def test_data_that_is_not_what_it_should_be_is_refused(placeholders, site, key, body, message):
    site.answer("/team/a.x", body)

    assert message in str(failure(placeholders, {key: "a.x"}))


@pytest.mark.parametrize("key", ["$json", "$yaml"])
def test_data_may_only_be_nested_so_deeply(placeholders, site, key):
    site.answer("/team/a.x", b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    placeholders.entity({"spec": {key: "a.x"}})

    site.answer("/team/b.x", b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2))
    assert "nested too deeply" in str(failure(placeholders, {key: "b.x"}))

    site.answer("/team/c.x", b'{"a":' * 900 + b"1" + b"}" * 900)
    failure(placeholders, {key: "c.x"})


def test_text_that_is_no_utf_8_is_read_as_far_as_it_is(placeholders, site):
    site.answer("/team/a.txt", b"caf\xe9")

    assert placeholders.entity({"spec": {"$text": "a.txt"}}) == {"spec": "caf\ufffd"}


def test_an_entity_may_have_so_many_and_the_next_one_as_many_again(placeholders, site):
    site.answer("/team/a.txt", b"x")
    many = {"spec": [{"$text": "a.txt"}] * MAX_PLACEHOLDERS}

    for _ in range(2):
        assert placeholders.entity(many)["spec"] == ["x"] * MAX_PLACEHOLDERS

    error = failure(placeholders, [{"$text": "a.txt"}] * (MAX_PLACEHOLDERS + 1))
    assert "one too many" in str(error)


def test_only_what_can_be_written_as_json_comes_out(placeholders, site):
    site.answer("/team/a.json", b'{"big": 123456789012345678901234567890, "text": "\\u0000"}')

    filled = placeholders.entity({"spec": {"$json": "a.json"}})

    assert orjson.loads(orjson.dumps(filled))["spec"]["text"] == "\0"


class Forge:
    """A source of files in repositories, as an integration would bring it."""

    def serves(self, url):
        return url.hostname == "forge.example"

    def search(self, url, fingerprint=""):
        return Reading((Content(f"url:{url}", b"from the forge"),), "1")

    fetch = search

    def resolve(self, target, base):
        return resolve_url(target, base)

    def repository(self, url):
        return "/".join(url.split("/")[:5])


def test_a_file_of_another_repository_is_refused_in_the_words_of_backstage(tmp_path):
    readers = open_readers(ReaderSettings(tmp_path), Forge())
    base = "https://forge.example/o/r/blob/main/catalog.yaml"
    placeholders = Placeholders(readers, f"url:{base}")
    other = "https://forge.example/o/secret/blob/main/a.txt"

    assert placeholders.entity({"a": {"$text": "./a.txt"}}) == {"a": "from the forge"}
    assert str(failure(placeholders, {"$text": other})) == (
        f"Placeholder $text could not form a URL out of {base} and {other}, Error: Placeholder may "
        "only reference files from the same repository as the entity"
    )
