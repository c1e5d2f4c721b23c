"""Arguments, and the words in which they are refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from flask import Flask, request
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import EXCLUDE, INCLUDE, Schema, ValidationError, fields, validate

from app.errors import InputError
from app.web.arguments import BodyReader, Delimited, QueryReader


class PageSchema(Schema):
    """The query of a page, much as the catalog declares it."""

    wanted = Delimited(fields.String(), data_key="fields", load_default=None)
    limit = fields.Integer(validate=validate.Range(min=0, max=500), load_default=20)
    filters = fields.List(fields.String(), data_key="filter", load_default=())
    cursor = fields.String(validate=validate.Length(min=1), load_default="")
    total = fields.String(
        data_key="totalItems", validate=validate.OneOf(["include", "exclude"]), load_default=""
    )
    share = fields.Float(load_default=0.5)
    dry = fields.Boolean(load_default=False)


@dataclass(frozen=True)
class Page:
    wanted: list[str] | None
    limit: int
    filters: list[str]
    cursor: str
    total: str
    share: float
    dry: bool


PAGE = QueryReader(PageSchema, Page)


def refusal(raw: str, reader: QueryReader[Any] = PAGE) -> str:
    with pytest.raises(InputError) as raised:
        reader.read_string(raw)
    return str(raised.value)


def test_what_is_left_out_has_its_default():
    assert PAGE.read_string("") == Page(None, 20, (), "", "", 0.5, dry=False)


def test_values_are_coerced_to_their_types():
    page = PAGE.read_string("limit=7&share=0.25&dry=true&totalItems=exclude&cursor=abc")

    assert page == Page(None, 7, (), "abc", "exclude", 0.25, dry=True)


def test_a_list_takes_every_value_of_its_name():
    assert PAGE.read_string("filter=a&filter=b,c").filters == ["a", "b,c"]
    assert PAGE.read_string("filter[]=a&filter[1]=b").filters == ["a", "b"]


def test_a_delimited_list_is_split_at_commas():
    assert PAGE.read_string("fields=kind,metadata.name&fields=spec").wanted == [
        "kind",
        "metadata.name",
        "spec",
    ]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("shape=round", "Unknown query parameter 'shape'"),
        ("limit=1&shape=&size=2", "Unknown query parameter 'shape'"),
        ("filter=", "Empty value found for query parameter 'filter'"),
        ("filter", "Empty value found for query parameter 'filter'"),
        ("cursor=&limit=x", "Empty value found for query parameter 'cursor'"),
        ("limit=ten", "request/query/limit must be integer"),
        ("limit=1.5", "request/query/limit must be integer"),
        ("limit=1&limit=2", "request/query/limit must be integer"),
        ("limit[a]=1", "request/query/limit must be integer"),
        ("limit=NaN", "request/query/limit must be integer"),
        ("limit=Infinity", "request/query/limit must be integer"),
        ("limit=-1", "request/query/limit must be >= 0"),
        ("limit=501", "request/query/limit must be <= 500"),
        ("share=x", "request/query/share must be number"),
        ("dry=1", "request/query/dry must be boolean"),
        ("cursor=a&cursor=b", "request/query/cursor must be string"),
        ("filter=a&filter[b]=c", "request/query/filter/1 must be string"),
        (
            "totalItems=maybe",
            "request/query/totalItems must be equal to one of the allowed values: include, exclude",
        ),
        ("cursor=a&cursor=b&limit=x", "request/query/limit must be integer"),
    ],
)
def test_the_first_mistake_is_told_in_the_words_of_the_validator(raw, message):
    assert refusal(raw) == message


def test_an_empty_value_among_others_is_left_to_the_route():
    assert PAGE.read_string("filter=&filter=a").filters == ["", "a"]


@pytest.mark.parametrize(
    ("text", "number"), [("007", 7), ("1e2", 100), ("0x10", 16), ("%205", 5), ("10.0", 10)]
)
def test_an_integer_is_whatever_javascript_takes_for_one(text, number):
    assert PAGE.read_string(f"limit={text}").limit == number


class FacetSchema(Schema):
    facets = fields.List(fields.String(), data_key="facet", required=True)
    limit = fields.Integer()


def test_what_is_required_is_asked_for_before_the_rest_is_looked_at():
    assert refusal("limit=x", QueryReader(FacetSchema, dict)) == (
        "request/query must have required property 'facet'"
    )


class Ref(fields.Field[str]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if ":" not in value:
            raise ValidationError("must be a ref")
        return str(value).lower()


class Shouted(fields.String):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        return str(super()._deserialize(value, *args, **kwargs)).upper()


class CustomSchema(Schema):
    ref = Ref()
    word = Shouted(validate=validate.Length(max=3))


def test_fields_of_our_own_load_their_values():
    custom = QueryReader(CustomSchema, dict)

    assert custom.read_string("ref=A:B&word=hey") == {"ref": "a:b", "word": "HEY"}
    assert refusal("ref=x", custom) == "request/query/ref must be a ref"
    assert "word" in refusal("word=long", custom)


class LenientSchema(Schema):
    class Meta(Schema.Meta):
        unknown = EXCLUDE


class OrderSchema(LenientSchema):
    field = fields.String(required=True)
    order = fields.String(required=True, validate=validate.OneOf(["asc", "desc"]))


class StrictSchema(Schema):
    name = fields.String(required=True)


class BodySchema(LenientSchema):
    refs = fields.List(fields.String(), data_key="entityRefs", required=True)
    limit = fields.Float()
    count = fields.Integer()
    query = fields.Dict()
    orders = fields.List(fields.Nested(OrderSchema), data_key="orderBy")
    strict = fields.Nested(StrictSchema)
    labels = fields.Dict(values=fields.String())
    anything = fields.Raw(allow_none=True)
    note = fields.String(allow_none=True, validate=validate.Regexp("^a"))
    some = fields.List(fields.Integer(), validate=validate.Length(min=1))
    flag = fields.Boolean()
    part = fields.Float(
        validate=validate.Range(min=0, max=1, min_inclusive=False, max_inclusive=False)
    )
    word = fields.String(validate=[validate.Length(max=2), validate.ContainsOnly("ab")])


BODY = BodyReader(BodySchema, dict)
APP = Flask("test")


def read(body: Any, reader: BodyReader[Any] = BODY, **options: Any) -> Any:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    given = {"data": data, "method": "POST", "content_type": "application/json", **options}
    with APP.test_request_context("/", **given):
        return reader.read(request._get_current_object())


def body_refusal(body: Any, reader: BodyReader[Any] = BODY, **options: Any) -> str:
    with pytest.raises(InputError) as raised:
        read(body, reader, **options)
    return str(raised.value)


def test_a_body_is_loaded_by_attribute_and_what_is_unknown_is_dropped():
    loaded = read(
        {
            "entityRefs": ["a:b/c"],
            "orderBy": [{"field": "x", "order": "asc", "more": 1}],
            "count": 3.0,
            "query": {"kind": "x"},
            "anything": None,
            "note": None,
            "zzz": 1,
        }
    )

    assert loaded == {
        "refs": ["a:b/c"],
        "orders": [{"field": "x", "order": "asc"}],
        "count": 3.0,
        "query": {"kind": "x"},
        "anything": None,
        "note": None,
    }


def test_a_schema_may_keep_what_it_does_not_name():
    class OpenSchema(Schema):
        class Meta(Schema.Meta):
            unknown = INCLUDE

        name = fields.String(load_default=lambda: "nobody")

    assert read({"age": 3}, BodyReader(OpenSchema, dict)) == {"age": 3, "name": "nobody"}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"entityRefs": None}, "/entityRefs must be array"),
        ({"entityRefs": ["a", 1]}, "/entityRefs/1 must be string"),
        ({"limit": "1"}, "/limit must be number"),
        ({"limit": True}, "/limit must be number"),
        ({"count": 1.5}, "/count must be integer"),
        ({"query": [1]}, "/query must be object"),
        ({"query": "x"}, "/query must be object"),
        ({"orderBy": [{"field": "x"}]}, "/orderBy/0 must have required property 'order'"),
        (
            {"orderBy": [{"field": "x", "order": "up"}]},
            "/orderBy/0/order must be equal to one of the allowed values: asc, desc",
        ),
        ({"strict": {"name": "x", "a": 1}}, "/strict must NOT have additional properties"),
        ({"labels": {"a": 1}}, "/labels/a must be string"),
        ({"note": "b"}, '/note must match pattern "^a"'),
        ({"some": []}, "/some must NOT have fewer than 1 items"),
        ({"flag": "true"}, "/flag must be boolean"),
        ({"part": 0}, "/part must be > 0"),
        ({"part": 1}, "/part must be < 1"),
        ({"word": "aba"}, "/word must NOT have more than 2 characters"),
        ({"word": "c"}, "/word One or more of the choices you made was not in: a, b."),
    ],
)
def test_nothing_in_a_body_is_coerced(more, message):
    assert body_refusal({"entityRefs": [], **more}) == f"request/body{message}"


def test_a_body_has_to_be_an_object_with_what_is_required():
    assert body_refusal([]) == "request/body must be object"
    assert body_refusal({}) == "request/body must have required property 'entityRefs'"


def test_everything_wrong_before_the_route_is_an_input_error():
    assert body_refusal(b"{bad") == "Expected property name or '}' in JSON at position 1"
    assert body_refusal(b'{"entityRefs":') == "Unexpected end of JSON input"
    assert body_refusal({"entityRefs": ["x" * 150_000]}) == "request entity too large"
    assert body_refusal(b"{}", content_type="text/plain") == "unsupported media type text/plain"
    assert body_refusal(b"{}", content_type="Text/Plain; charset=UTF-8") == (
        "unsupported media type text/plain; charset=UTF-8"
    )


def test_a_plugin_may_take_larger_bodies():
    reader = BodyReader(BodySchema, dict, limit=1_000_000)

    assert len(read({"entityRefs": ["x" * 150_000]}, reader)["refs"][0]) == 150_000


def test_a_body_that_is_not_required_may_be_left_out_with_its_type():
    class NothingSchema(Schema):
        limit = fields.Integer(load_default=20)

    optional = BodyReader(NothingSchema, dict, required=False)

    assert read(b"", optional, content_type=None) == {"limit": 20}
    assert body_refusal(b"x", optional, content_type="text/plain") == (
        "unsupported media type text/plain"
    )
    assert body_refusal(b"", content_type=None) == "unsupported media type undefined"


@given(st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_any_value_is_loaded_or_refused(value):
    names = ("entityRefs", "limit", "query", "orderBy", "strict", "labels", "note", "some")
    for name in names:
        try:
            read({"entityRefs": [], name: value})
        except InputError as error:
            assert str(error).startswith("request/body/")  # noqa: PT017
