"""Entities and questions for the index, small and odd."""

from __future__ import annotations

from hypothesis import strategies as st

from app.model.query import (
    AllOf,
    AnyOf,
    Contains,
    Expression,
    Has,
    HasPrefix,
    IdIn,
    In,
    Not,
    Order,
)

WORDS = [
    "a", "A", "b", "ab", "aB", "abc", "true", "TRUE", "", " ", "1", "c++", "x_y", "50%", "\\",
    "Zebra",
    "zebra", "Straße", "ΣΑΣ", "σας", "İ", "\ue000", "\U0001f600", "\uffff", "é",
    "y" * 200, "Y" * 200, "y" * 201, "\U0001f600" * 100, "\U0001f600" * 101,
]  # fmt: skip
KEYS = ["type", "Type", "tags", "a", "a.b", "b", "x/y.z", "owner", "k" * 190, "K" * 210]

words = st.sampled_from(WORDS)
scalars = st.one_of(
    words,
    words,
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.25, -0.0, 1e21, 10**22, 2**53 + 1, 1e-7]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=8,
)
maps = st.dictionaries(st.sampled_from(KEYS), values, max_size=4)
optional = st.one_of(st.none(), words)
relations = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["ownedBy", "partOf"]),
            "targetRef": st.sampled_from(["group:default/a", "group:default/b", "system:x/y"]),
        }
    ),
    max_size=3,
)


@st.composite
def entities(draw: st.DrawFn, name: str = "n", uid: str = "u") -> dict[str, object]:
    metadata: dict[str, object] = {"name": name, "uid": uid, "etag": "e"}
    namespace = draw(st.sampled_from([None, "default", "other"]))
    if namespace is not None:
        metadata["namespace"] = namespace
    for key, strategy in (
        ("title", words),
        ("tags", st.lists(words, max_size=4)),
        ("labels", st.dictionaries(st.sampled_from(KEYS), words, max_size=2)),
    ):
        if draw(st.booleans()):
            metadata[key] = draw(strategy)
    entity: dict[str, object] = {
        "kind": draw(st.sampled_from(["Component", "API", "component"])),
        "metadata": metadata,
        "spec": draw(maps),
        "status": {"items": []},
    }
    if draw(st.booleans()):
        entity["relations"] = draw(relations)
    return entity


keys = st.sampled_from(
    [
        "kind",
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "metadata.title",
        "metadata.tags",
        "metadata.tags.ab",
        "metadata.tags.true",
        "metadata.tags.σας",
        "relations.ownedby",
        "spec",
        "spec.type",
        "spec.tags",
        "spec.tags.a",
        "spec.a",
        "spec.a.b",
        "spec.a.true",
        "spec.x/y.z",
        "spec.owner",
        "status",
        "nothing",
    ]
)
common_keys = st.sampled_from(["metadata.title", "metadata.tags", "metadata.tags.ab", "spec.type"])
terms = st.one_of(
    words,
    st.text("ab%_\\ey ", min_size=1, max_size=4),
    st.sampled_from(["e", "default", "component", "n1", "\u03c3", "\U0001f600"]),
).map(str.lower)
lowered = st.one_of(words.map(str.lower), st.sampled_from(["component", "api", "default", "n1"]))
orders = st.builds(Order, keys, st.sampled_from(["asc", "desc"]))

expressions: st.SearchStrategy[Expression] = st.recursive(
    st.one_of(
        st.builds(Has, keys),
        st.builds(In, keys, st.lists(lowered, max_size=3).map(tuple)),
        st.builds(
            HasPrefix, keys, st.sampled_from(["", "a", "ab", "y", "t", "n1", "\ue000", "\u03c3"])
        ),
        st.builds(Contains, terms, st.lists(keys, max_size=2).map(tuple)),
        st.builds(IdIn, st.lists(st.integers(0, 20), max_size=6).map(tuple)),
    ),
    lambda parts: st.one_of(
        st.builds(Not, parts),
        st.builds(AllOf, st.lists(parts, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(parts, max_size=3).map(tuple)),
    ),
    max_leaves=4,
)
