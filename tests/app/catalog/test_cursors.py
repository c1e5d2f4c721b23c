"""Cursors: what clients read in them, and what is refused."""

import base64

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.cursors import MAX_CURSOR, Cursor, Listing, TextFilter, Window, page_cursors
from app.catalog.predicates import compile_predicate
from app.errors import InputError
from app.model.query import NOTHING, AllOf, Contains, In, Order

UID = "8f0c"
KIND = {"kind": "component"}


def listing(**parts):
    query = parts.pop("query", None)
    return Listing(query, compile_predicate({} if query is None else query), **parts)


def parts_of(text):
    return orjson.loads(base64.b64decode(text))


def encoded(parts):
    return base64.b64encode(orjson.dumps(parts)).decode()


INVALID_X = 'query: Validation error: Invalid at "$x", expected a field or one of $all, $any, $not'
GOOD = {
    "orderFields": [{"field": "metadata.name", "order": "asc"}],
    "isPrevious": False,
    "orderFieldValues": ["a", UID],
    "firstSortFieldValues": ["a", UID],
    "totalItems": 3,
}


def test_clients_find_in_a_cursor_what_they_look_for():
    cursor = Cursor(
        listing(query=KIND, order=(Order("spec.profile.displayName"),), text=TextFilter()),
        values=("ada", UID),
        first=("aaron", "11"),
        total_items=7,
    )

    assert parts_of(cursor.encode()) == {
        "orderFields": [{"field": "spec.profile.displayName", "order": "asc"}],
        "isPrevious": False,
        "query": KIND,
        "fullTextFilter": {"term": ""},
        "orderFieldValues": ["ada", UID],
        "firstSortFieldValues": ["aaron", "11"],
        "totalItems": 7,
    }


def test_a_listing_without_a_filter_has_no_query_so_that_clients_go_on_with_get():
    assert "query" not in parts_of(Cursor(Listing(), (UID,), (UID,)).encode())


TEXTS = st.text(st.characters(codec="utf-8"), max_size=6)
LISTINGS = st.builds(
    listing,
    query=st.none()
    | st.builds(
        lambda key, value: {"x" + key.replace("\n", "").replace("\r", ""): value}, TEXTS, TEXTS
    ),
    order=st.lists(st.builds(Order, TEXTS, st.sampled_from(["asc", "desc"])), max_size=2).map(
        tuple
    ),
    text=st.none()
    | st.builds(TextFilter, TEXTS, st.none() | st.lists(TEXTS, max_size=2).map(tuple)),
)


@st.composite
def cursors(draw):
    found = draw(LISTINGS)
    values = st.tuples(TEXTS, TEXTS) if found.order else st.tuples(TEXTS)
    return Cursor(
        found,
        draw(values),
        draw(st.none() | values),
        draw(st.integers(0, 10**6)),
        is_previous=draw(st.booleans()),
    )


@given(cursors())
def test_a_cursor_survives_the_journey(cursor):
    assert Cursor.decode(cursor.encode()) == cursor


@given(cursors())
def test_a_cursor_survives_a_client_that_does_not_encode_plus_signs(cursor):
    text = cursor.encode()
    assert Cursor.decode(text.replace("+", " ").rstrip("=")) == cursor
    assert Cursor.decode(text.replace("+", "-").replace("/", "_")) == cursor


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"orderFields": None}, "Expected orderFields to be an array"),
        (
            {"orderFields": [{"field": "a"}]},
            "Expected orderFields[0] to be a field and an order that is asc or desc",
        ),
        (
            {"orderFields": ["a"]},
            "Expected orderFields[0] to be a field and an order that is asc or desc",
        ),
        (
            {"orderFields": [{"field": "a", "order": ["asc"]}]},
            "Expected orderFields[0] to be a field and an order that is asc or desc",
        ),
        ({"isPrevious": 0}, "Expected isPrevious to be a boolean"),
        ({"orderFieldValues": "a"}, "Expected orderFieldValues to be an array of strings"),
        ({"orderFieldValues": ["a", None]}, "Expected orderFieldValues to be an array of strings"),
        ({"orderFieldValues": ["a"]}, "Expected orderFieldValues to be a value and a uid"),
        ({"orderFields": []}, "Expected orderFieldValues to be a uid"),
        ({"firstSortFieldValues": 1}, "Expected firstSortFieldValues to be an array of strings"),
        ({"totalItems": "3"}, "Expected totalItems to be a number"),
        ({"totalItems": True}, "Expected totalItems to be a number"),
        ({"query": "x"}, "Expected query to be an object"),
        ({"query": None}, "Expected query to be an object"),
        (
            {"query": {"$x": 1}},
            'query: Validation error: Invalid at "$x", expected a field or one of $all, $any, $not',
        ),
        ({"fullTextFilter": {}}, "Expected fullTextFilter to be an object with a term"),
        (
            {"fullTextFilter": {"term": "", "fields": "a"}},
            "Expected fullTextFilter.fields to be an array of strings",
        ),
        ({"filter": {"key": "a"}}, "filter is not supported, please start from the first page"),
    ],
)
def test_a_cursor_that_was_tampered_with_is_refused_with_the_reason(change, message):
    with pytest.raises(InputError) as refused:
        Cursor.decode(encoded(GOOD | change))
    assert str(refused.value) == f"Malformed cursor: {message}"


NO_CURSORS = ["xx", "abc", "%%%", "!", "=", encoded([]), encoded(1), "e30" * 90_000]
NO_CURSORS += [base64.b64encode(data).decode() for data in (b"[" * 50_000, b"\xff{}")]


@pytest.mark.parametrize("text", NO_CURSORS)
def test_what_is_no_cursor_at_all_is_refused(text):
    with pytest.raises(InputError, match=r"^Malformed cursor: "):
        Cursor.decode(text)


def test_a_cursor_is_not_looked_at_if_it_is_too_long():
    with pytest.raises(InputError, match="longer than"):
        Cursor.decode("A" * (MAX_CURSOR + 1))


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_text_is_a_cursor_or_is_refused(data):
    for text in (data.decode("latin-1"), base64.b64encode(data).decode()):
        with pytest.raises(InputError, match=r"^Malformed cursor: "):
            Cursor.decode(text)


def test_without_a_total_in_the_cursor_the_total_is_zero():
    assert (
        Cursor.decode(encoded({k: v for k, v in GOOD.items() if k != "totalItems"})).total_items
        == 0
    )


# -- what a listing asks for ---------------------------------------------------------------------


def test_only_the_first_order_field_counts_and_case_does_not():
    found = listing(order=(Order("spec.Type", "desc"), Order("metadata.name")))
    assert found.sorting == Order("spec.type", "desc")


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"text": TextFilter("  ")}, In("kind", ("component",))),
        (
            {"text": TextFilter(" SVC ")},
            AllOf((In("kind", ("component",)), Contains("svc", ("metadata.uid",)))),
        ),
        (
            {"text": TextFilter("a"), "order": (Order("Spec.X"),)},
            AllOf((In("kind", ("component",)), Contains("a", ("spec.x",)))),
        ),
        (
            {"text": TextFilter("a", ("B", "c")), "order": (Order("x"),)},
            AllOf((In("kind", ("component",)), Contains("a", ("b", "c")))),
        ),
        ({"text": TextFilter("a", ())}, NOTHING),
    ],
)
def test_text_is_looked_for_in_the_fields_given_or_the_order_field_or_the_uid(parts, expected):
    assert listing(query=KIND, **parts).selection() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TextFilter("a"), True),
        (TextFilter("a", ("spec.x",)), True),
        (TextFilter("a", ("spec.X",)), False),
        (TextFilter("a", ("spec.x", "b")), False),
        (TextFilter(""), False),
        (None, False),
    ],
)
def test_text_in_the_order_field_alone_is_about_the_sorted_value_itself(text, expected):
    assert listing(order=(Order("spec.X"),), text=text).searches_sorted_values is expected


# -- the cursors beside a page -------------------------------------------------------------------


def beside(here, rows, *, has_more):
    cursors = page_cursors(here, Listing(), rows, 9, has_more=has_more)
    return {name: Cursor.decode(text) for name, text in cursors.items()}


def test_the_first_page_leads_on_but_not_back():
    found = beside(None, [("1",), ("2",)], has_more=True)
    assert found == {"nextCursor": Cursor(Listing(), ("2",), ("1",), 9)}


def test_a_page_in_the_middle_leads_both_ways():
    here = Cursor(Listing(), ("2",), ("1",), 9)
    found = beside(here, [("3",), ("4",)], has_more=True)
    assert found == {
        "nextCursor": Cursor(Listing(), ("4",), ("1",), 9),
        "prevCursor": Cursor(Listing(), ("3",), ("1",), 9, is_previous=True),
    }


def test_going_back_to_the_first_page_there_is_a_way_forward_only():
    here = Cursor(Listing(), ("3",), ("1",), 9, is_previous=True)
    assert beside(here, [("1",), ("2",)], has_more=False).keys() == {"nextCursor"}


def test_an_empty_page_leads_nowhere():
    assert beside(Cursor(Listing(), ("3",), ("1",), 9, is_previous=True), [], has_more=False) == {}


# -- the legacy listing --------------------------------------------------------------------------


def test_after_names_the_window_that_follows():
    assert Window(offset=1, limit=2).after() == "eyJsaW1pdCI6Miwib2Zmc2V0IjozfQ=="
    assert Window(limit=7).moved("eyJsaW1pdCI6Miwib2Zmc2V0IjozfQ==") == Window(3, 2)
    assert Window(offset=4).after() is None


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_windows_follow_each_other(offset, limit):
    window = Window(offset, limit)
    assert Window().moved(window.after()) == Window(offset + limit, limit)


@pytest.mark.parametrize(
    ("after", "message"),
    [
        ("!!!", "Malformed after cursor, could not be parsed"),
        (encoded(None), "Malformed after cursor, could not be parsed"),
        (encoded({"limit": "2"}), "Malformed after cursor, limit was not an number"),
        (encoded({"limit": 0}), "Malformed after cursor, limit was not an number"),
        (encoded({"limit": 1.5}), "Malformed after cursor, limit was not an number"),
        (encoded({"offset": -1}), "Malformed after cursor, offset was not a number"),
        (encoded({"offset": None}), "Malformed after cursor, offset was not a number"),
        (encoded({"offset": True}), "Malformed after cursor, offset was not a number"),
    ],
)
def test_a_malformed_after_is_refused_in_backstages_words(after, message):
    with pytest.raises(InputError) as refused:
        Window().moved(after)
    assert str(refused.value) == message
