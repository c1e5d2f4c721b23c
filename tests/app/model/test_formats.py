"""Names, keys, tags and URLs have the formats of the contract."""

import pytest

from app.model import formats


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (
            formats.API_VERSION,
            ["v1", "1", "a.b/v1", "backstage.io/v1alpha1", "a--b/x", f"{'a' * 63}/V"],
            ["", "v-1", "A/v1", "a/b/c", "/v1", "a/", "a..b/v1", f"{'a' * 64}/v", "v" * 64, "v1\n"],
        ),
        (formats.KIND, ["A", "aB1", "k" * 63], ["", "1a", "a-b", "k" * 64, "Ä", "a\n"]),
        (
            formats.NAME,
            ["a", "A.b_c-d", "9", "x" * 63, "a--b"],
            ["", "-a", "a-", "a.", "a b", "x" * 64, "é", "a\n"],
        ),
        (formats.NAMESPACE, ["a", "a-b", "a--b", "1"], ["", "A", "a-", "a.b", "x" * 64, "a\n"]),
        (formats.KEY, ["a", "a/b", "x.y-z/A_b"], ["", "a/b/c", "A/b", "a/", "/a", "a/-"]),
        (formats.LABEL_VALUE, ["", "a", "A.b"], ["a b", "-", "x" * 64]),
        (
            formats.TAG,
            ["a", "c++", "c#", "node:20", "a-b"],
            ["", "A", "a.b", "a--b", "-a", "x" * 64],
        ),
        (
            formats.URL,
            [
                *("https://x", "http://x.y:80/z?a#b", "mailto:a@b", "HTTP://X", "http:x", "a:b"),
                *(
                    "https://ex.org/é",
                    "http://[::1]",
                    "http://127.0.0.1/",
                    "file:///x",
                    " http://x ",
                ),
            ],
            ["", "x", "//x", "/x", "http://", "https://a b", "http://1.2.3.999", "http://x:99999"],
        ),
        (formats.NON_EMPTY, ["a", " a ", "\x85", "\x1c"], ["", " ", "\t\n", "\u3000", "\ufeff"]),
    ],
    ids=lambda value: getattr(value, "expectation", ""),
)
def test_a_format_is_met_by_the_good_only(rule, good, bad):
    assert [text for text in good if not rule.is_met_by(text)] == []
    assert [text for text in bad if rule.is_met_by(text)] == []


def test_a_subdomain_has_at_most_253_characters():
    label = "a" * 63

    assert formats.is_key(f"{label}.{label}.{label}.{'a' * 61}/x")
    assert not formats.is_key(f"{label}.{label}.{label}.{'a' * 62}/x")
