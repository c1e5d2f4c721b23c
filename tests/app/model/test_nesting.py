"""How deep JSON is nested."""

import pytest

from app.model.nesting import is_deeper


@pytest.mark.parametrize(
    ("value", "depth"),
    [
        (1, 0),
        ("text", 0),
        ({"a": 1}, 1),
        ([[], {"a": "b"}], 2),
        ({"a": [{"b": 1}], "c": {"d": 2}}, 3),
        ([[[["deep"]]], 1], 4),
    ],
)
def test_it_is_deeper_than_less(value, depth):
    assert not is_deeper(value, depth)
    assert depth == 0 or is_deeper(value, depth - 1)
