"""The `Link` to the next window, character for character as Node's `URLSearchParams` writes it."""

import pytest

from app.catalog.replies import next_link


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/entities", "/entities?after=A%3D"),
        ("/entities?offset=3", "/entities?after=A%3D"),
        ("/entities?a=1&after=x&b=2&after=y&c", "/entities?a=1&after=A%3D&b=2&c="),
        ("/entities/?filter=kind=api,x", "/entities/?filter=kind%3Dapi%2Cx&after=A%3D"),
        ("/entities?b=%20~*-._!%27()", "/entities?b=+%7E*-._%21%27%28%29&after=A%3D"),
        (
            "/entities?d=%zz&&e=+&f=%ff&g=a%2Bb",
            "/entities?d=%25zz&e=+&f=%EF%BF%BD&g=a%2Bb&after=A%3D",
        ),
    ],
)
def test_the_query_is_kept_but_for_the_place_in_the_list(url, expected):
    assert next_link(url, "A=") == f'<{expected}>; rel="next"'
