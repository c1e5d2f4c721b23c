"""Compiled schemas say yes or no, and then what is wrong."""

import pytest

from app.errors import ConfigError
from app.model.json_schema import CompiledSchema


def test_a_valid_value_has_no_error():
    schema = CompiledSchema({"type": "object", "required": ["a"]})

    assert schema.is_valid({"a": 1})
    assert schema.first_error({"a": 1}) is None
    assert not schema.is_valid({})
    error = schema.first_error({})
    assert error is not None
    assert error.text_with_params == ("<root> must have required property 'a' - missingProperty: a")


def test_resources_may_be_referred_to():
    schema = CompiledSchema({"allOf": [{"$ref": "Thing"}]}, {"Thing": {"type": "string"}})

    assert schema.is_valid("a")
    error = schema.first_error(1)
    assert error is not None
    assert error.text == "<root> must be string"


@pytest.mark.parametrize(
    "schema",
    [{"type": "no such"}, {"properties": 5}, {"pattern": "("}, {"$ref": "http://x/y"}],
)
def test_what_is_no_schema_or_points_elsewhere_is_a_configuration_error(schema):
    with pytest.raises(ConfigError, match="not a JSON Schema"):
        CompiledSchema(schema)


def test_what_only_the_quick_check_understands_is_still_an_error():
    embedded = {"$id": "http://example.com/other", "properties": {"a/b": {"type": "string"}}}
    schema = CompiledSchema(
        {"$ref": "http://example.com/other", "definitions": {"x": embedded}},
    )

    error = schema.first_error({"a/b": 5})

    assert error is not None
    assert error.text == '/a~1b 5 is not of type "string"'
