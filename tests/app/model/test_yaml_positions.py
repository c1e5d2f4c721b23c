"""Fields are found where their authors wrote them."""

import pytest

from app.model.yaml_positions import find_place

TEXT = """\
kind: A
metadata: &m
  labels:
    a/b: x
    "c~d": y
    1: z
  links:
    - url: u
    - {url: v, tags: [a, b]}
? [odd]
: w
spec: *m
"""


@pytest.mark.parametrize(
    ("pointer", "place"),
    [
        ("", (11, 1)),
        ("/kind", (11, 7)),
        ("/metadata/labels/a~1b", (14, 10)),
        ("/metadata/labels/c~0d", (15, 12)),
        ("/metadata/labels/1", (16, 8)),
        ("/metadata/labels", (13, 3)),
        ("/metadata/links/0/url", (18, 12)),
        ("/metadata/links/1", (19, 7)),
        ("/metadata/links/1/tags/1", (19, 26)),
        ("/metadata/links/7", (17, 3)),
        ("/metadata/nope/nope", (12, 1)),
        ("/spec", (22, 7)),
        ("/spec/labels", (22, 7)),
        ("/nope", (11, 1)),
    ],
)
def test_a_pointer_leads_to_a_line_and_a_column(pointer, place):
    assert find_place(TEXT, 11, 11, pointer) == place


def test_only_the_document_that_starts_there_is_searched():
    assert find_place("a: 1\n---\na: 2\n", 1, 3, "/a") == (3, 4)
    assert find_place("a: 1\n", 1, 2, "/a") is None
    assert find_place("a\n", 1, 1, "") == (1, 1)
