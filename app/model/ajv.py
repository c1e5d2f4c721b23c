"""The first thing wrong with a value under a JSON Schema, in AJV's words and AJV's order.

Backstage reports only the first error of AJV, so the order is part of what people see: first what
holds for every type, then numbers, strings, arrays and objects, and keywords in a fixed order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import jsonschema_rs

from app.model.json_pointer import pointer_to

_DEEPEST = 300


@dataclass(frozen=True, slots=True)
class SchemaError:
    """One error: the JSON pointer of the value, AJV's message, and AJV's parameters as text."""

    pointer: str
    message: str
    params: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """The error without its parameters."""
        return f"{self.pointer or '<root>'} {self.message}"

    @property
    def text_with_params(self) -> str:
        """The error with its parameters."""
        return f"{self.text} - {', '.join(f'{name}: {value}' for name, value in self.params)}"


Errors: TypeAlias = Iterator[SchemaError]


@dataclass(frozen=True, slots=True)
class _Spot:
    """A value and the schema it is held to; `root` is the document that the schema stands in."""

    schema: Any
    value: Any
    at: str
    root: Any
    resources: Mapping[str, Any]
    depth: int = 0

    def down(self, schema: Any, value: Any, key: object) -> _Spot:
        """Go to a part of the value."""
        spot = replace(self, schema=schema, value=value, at=self.at + pointer_to(key))
        return replace(spot, depth=self.depth + 1)

    def under(self, schema: Any) -> _Spot:
        """Hold the same value to another schema."""
        return replace(self, schema=schema, depth=self.depth + 1)

    def error(self, message: str, **params: object) -> SchemaError:
        return SchemaError(self.at, message, tuple((name, text(p)) for name, p in params.items()))


def first_error(
    schema: Any, value: Any, resources: Mapping[str, Any] | None = None
) -> SchemaError | None:
    """Answer the first error, or None. `resources` are the schemas that a `$ref` may name."""
    return next(_errors(_Spot(schema, value, "", schema, resources or {})), None)


def text(value: object) -> str:
    """Turn a value into text as JavaScript does when it is put into a string."""
    if isinstance(value, (list, tuple)):
        return ",".join("" if item is None else text(item) for item in value)
    if isinstance(value, Mapping):
        return "[object Object]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def _errors(spot: _Spot) -> Errors:
    if spot.schema is False:
        yield spot.error("boolean schema is false")
    if not isinstance(spot.schema, Mapping) or spot.depth > _DEEPEST:
        return
    if "$ref" in spot.schema:
        yield from _errors(_referred(spot))
        return
    declared = spot.schema.get("type", ())
    types = [declared] if isinstance(declared, str) else list(declared)
    is_wrong = bool(types) and not any(is_type(spot.value, name) for name in types)
    # AJV looks at a single type together with the keywords of that type, at several beforehand.
    own_group = types[0] if len(types) == 1 and _has_any(spot, types[0]) else ""
    if is_wrong and not own_group:
        yield _type_error(spot, types)
    for group, checks in _CHECKS.items():
        if group and not is_type(spot.value, group):
            if is_wrong and own_group == group:
                yield _type_error(spot, types)
            continue
        for keyword, check in checks.items():
            if keyword in spot.schema:
                yield from check(spot, keyword)


def is_type(value: Any, name: str) -> bool:
    """Tell whether a value has a type of JSON Schema."""
    if name in ("number", "integer"):
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return is_number and (name == "number" or value == int(value))
    return type(value) is _TYPES.get(name)


def _has_any(spot: _Spot, group: str) -> bool:
    return any(keyword in spot.schema for keyword in _CHECKS.get(group, ()))


def _type_error(spot: _Spot, types: list[str]) -> SchemaError:
    return spot.error(f"must be {text(types)}", type=types)


def _referred(spot: _Spot) -> _Spot:
    """Follow a reference: into the same document, or to one of the resources by its `$id`."""
    base, _, fragment = str(spot.schema["$ref"]).partition("#")
    target = root = spot.resources.get(base) if base else spot.root
    if fragment.startswith("/"):
        for part in fragment.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            target = target.get(key) if isinstance(target, Mapping) else None
    elif fragment:
        definitions = (target or {}).get("definitions", {}).values()
        target = next((each for each in definitions if each.get("$id") == f"#{fragment}"), None)
    return replace(spot, schema=target, root=root, depth=spot.depth + 1)


def _is_valid(spot: _Spot) -> bool:
    return next(_errors(spot), None) is None


def _compared(spot: _Spot, keyword: str) -> Errors:
    limit, value = spot.schema[keyword], spot.value
    sign, holds = {
        "maximum": ("<=", value <= limit),
        "minimum": (">=", value >= limit),
        "exclusiveMaximum": ("<", value < limit),
        "exclusiveMinimum": (">", value > limit),
    }[keyword]
    if not holds:
        yield spot.error(f"must be {sign} {text(limit)}", comparison=sign, limit=limit)


def _multiple_of(spot: _Spot, keyword: str) -> Errors:
    factor = spot.schema[keyword]
    quotient = spot.value / factor
    if quotient != int(quotient):
        yield spot.error(f"must be multiple of {text(factor)}", multipleOf=factor)


def _sized(spot: _Spot, keyword: str) -> Errors:
    limit, size = spot.schema[keyword], len(spot.value)
    what = {"Length": "characters", "Items": "items"}.get(keyword[3:], "properties")
    if keyword.startswith("max") and size > limit:
        yield spot.error(f"must NOT have more than {text(limit)} {what}", limit=limit)
    if keyword.startswith("min") and size < limit:
        yield spot.error(f"must NOT have fewer than {text(limit)} {what}", limit=limit)


def _pattern(spot: _Spot, keyword: str) -> Errors:
    pattern = spot.schema[keyword]
    if not _matches(pattern, spot.value):
        yield spot.error(f'must match pattern "{pattern}"', pattern=pattern)


def _matches(pattern: str, value: str) -> bool:
    """Match as JavaScript does, in time that a hostile text cannot blow up."""
    return jsonschema_rs.Draft7Validator({"pattern": pattern}).is_valid(value)


def _const(spot: _Spot, keyword: str) -> Errors:
    if not _is_same(spot.value, spot.schema[keyword]):
        yield spot.error("must be equal to constant", allowedValue=spot.schema[keyword])


def _enum(spot: _Spot, keyword: str) -> Errors:
    allowed = spot.schema[keyword]
    if not any(_is_same(spot.value, each) for each in allowed):
        yield spot.error("must be equal to one of the allowed values", allowedValues=allowed)


def _is_same(one: Any, other: Any) -> bool:
    return jsonschema_rs.Draft7Validator({"const": one}).is_valid(other)


def _not(spot: _Spot, keyword: str) -> Errors:
    if _is_valid(spot.under(spot.schema[keyword])):
        yield spot.error("must NOT be valid")


def _any_of(spot: _Spot, keyword: str) -> Errors:
    branches = [spot.under(schema) for schema in spot.schema[keyword]]
    if not any(map(_is_valid, branches)):
        for branch in branches:
            yield from _errors(branch)
        yield spot.error("must match a schema in anyOf")


def _one_of(spot: _Spot, keyword: str) -> Errors:
    passing: list[int] = []
    failures: list[SchemaError] = []
    for index, schema in enumerate(spot.schema[keyword]):
        found = list(_errors(spot.under(schema)))
        failures += found
        if not found:
            passing.append(index)
        if len(passing) > 1:  # AJV does not look at the others either
            break
    if len(passing) != 1:
        yield from failures
        both = passing or None
        yield spot.error("must match exactly one schema in oneOf", passingSchemas=both)


def _all_of(spot: _Spot, keyword: str) -> Errors:
    for schema in spot.schema[keyword]:
        yield from _errors(spot.under(schema))


def _if(spot: _Spot, keyword: str) -> Errors:
    word = "then" if _is_valid(spot.under(spot.schema[keyword])) else "else"
    if word in spot.schema:
        found = list(_errors(spot.under(spot.schema[word])))
        if found:
            yield from found
            yield spot.error(f'must match "{word}" schema', failingKeyword=word)


def _unique_items(spot: _Spot, keyword: str) -> Errors:
    items = spot.value if spot.schema[keyword] else []
    for i in reversed(range(len(items))):
        for j in reversed(range(i)):
            if _is_same(items[i], items[j]):
                what = f"items ## {j} and {i} are identical"
                yield spot.error(f"must NOT have duplicate items ({what})", i=i, j=j)
                return


def _additional_items(spot: _Spot, keyword: str) -> Errors:
    tuple_schemas, schema = spot.schema.get("items"), spot.schema[keyword]
    if not isinstance(tuple_schemas, list):
        return
    count = len(tuple_schemas)
    if schema is False and len(spot.value) > count:
        yield spot.error(f"must NOT have more than {count} items", limit=count)
    for index, item in enumerate(spot.value[count:] if isinstance(schema, Mapping) else ()):
        yield from _errors(spot.down(schema, item, count + index))


def _items(spot: _Spot, keyword: str) -> Errors:
    schema = spot.schema[keyword]
    schemas = schema if isinstance(schema, list) else [schema] * len(spot.value)
    for index, (each, item) in enumerate(zip(schemas, spot.value, strict=False)):
        yield from _errors(spot.down(each, item, index))


def _contains(spot: _Spot, keyword: str) -> Errors:
    parts = [spot.down(spot.schema[keyword], item, i) for i, item in enumerate(spot.value)]
    if not any(map(_is_valid, parts)):
        for part in parts:
            yield from _errors(part)
        yield spot.error("must contain at least 1 valid item(s)", minContains=1)


def _required(spot: _Spot, keyword: str) -> Errors:
    for name in spot.schema[keyword]:
        if name not in spot.value:
            yield spot.error(f"must have required property '{name}'", missingProperty=name)


def _property_names(spot: _Spot, keyword: str) -> Errors:
    for name in spot.value:
        found = list(_errors(replace(spot.under(spot.schema[keyword]), value=name)))
        if found:
            yield from found
            yield spot.error("property name must be valid", propertyName=name)


def _additional_properties(spot: _Spot, keyword: str) -> Errors:
    known, schema = spot.schema.get("properties", {}), spot.schema[keyword]
    patterns = spot.schema.get("patternProperties", {})
    for name, item in spot.value.items():
        if name in known or any(_matches(pattern, name) for pattern in patterns):
            continue
        if schema is False:
            yield spot.error("must NOT have additional properties", additionalProperty=name)
        else:
            yield from _errors(spot.down(schema, item, name))


def _dependencies(spot: _Spot, keyword: str) -> Errors:
    present = {name: need for name, need in spot.schema[keyword].items() if name in spot.value}
    for name, need in present.items():
        for missing in need if isinstance(need, list) else ():
            if missing not in spot.value:
                what = "property" if len(need) == 1 else "properties"
                yield spot.error(
                    f"must have {what} {', '.join(need)} when property {name} is present",
                    property=name,
                    missingProperty=missing,
                    depsCount=len(need),
                    deps=", ".join(need),
                )
    for need in present.values():
        if not isinstance(need, list):
            yield from _errors(spot.under(need))


def _properties(spot: _Spot, keyword: str) -> Errors:
    for name, schema in spot.schema[keyword].items():
        if name in spot.value:
            yield from _errors(spot.down(schema, spot.value[name], name))


def _pattern_properties(spot: _Spot, keyword: str) -> Errors:
    for pattern, schema in spot.schema[keyword].items():
        for name, item in spot.value.items():
            if _matches(pattern, name):
                yield from _errors(spot.down(schema, item, name))


_TYPES: Mapping[str, type] = {
    "string": str,
    "boolean": bool,
    "null": type(None),
    "array": list,
    "object": dict,
}
_CHECKS: Mapping[str, Mapping[str, Callable[[_Spot, str], Errors]]] = {
    "": {
        "const": _const,
        "enum": _enum,
        "not": _not,
        "anyOf": _any_of,
        "oneOf": _one_of,
        "allOf": _all_of,
        "if": _if,
    },
    "number": {
        "maximum": _compared,
        "minimum": _compared,
        "exclusiveMaximum": _compared,
        "exclusiveMinimum": _compared,
        "multipleOf": _multiple_of,
    },
    "string": {"maxLength": _sized, "minLength": _sized, "pattern": _pattern},
    "array": {
        "maxItems": _sized,
        "minItems": _sized,
        "uniqueItems": _unique_items,
        "additionalItems": _additional_items,
        "items": _items,
        "contains": _contains,
    },
    "object": {
        "maxProperties": _sized,
        "minProperties": _sized,
        "required": _required,
        "propertyNames": _property_names,
        "additionalProperties": _additional_properties,
        "dependencies": _dependencies,
        "properties": _properties,
        "patternProperties": _pattern_properties,
    },
}
