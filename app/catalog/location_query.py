"""Questions about registered locations: predicates over their four fields, and cursors.

The language is that of entities (`app.catalog.predicates`), the meaning is Backstage's for
locations, which differs: `$all` and `$any` of nothing match nothing, `$contains` never matches, and
a group that says nothing (`{}`) is as if it were not there, even below `$not`.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeAlias

import orjson

from app.catalog.cursors import base64_json
from app.catalog.reading import storable
from app.catalog.registered_store import RegisteredLocation
from app.errors import InputError
from app.index.text import scalar_text
from app.model.nesting import is_deeper

Matcher: TypeAlias = Callable[[RegisteredLocation], bool]

DEFAULT_LIMIT = 1000
MOST = 1 << 31
"""A larger limit is as good as this one, and must not overflow anything."""
MAX_DEPTH = 50
MAX_PARTS = 10_000

_FIELDS = {"id": "id", "type": "type", "target": "target", "entityref": "entity_ref"}
_GROUPS = ("$all", "$any", "$not")


@dataclass(frozen=True, slots=True)
class LocationQuery:
    """A page of registered locations; without `matches` they are all meant."""

    limit: int = DEFAULT_LIMIT
    after: str = ""
    predicate: Mapping[str, Any] | None = None
    matches: Matcher | None = None

    def cursor(self, last: RegisteredLocation) -> str:
        """Write the cursor to the page after the one that ends with `last`."""
        parts: dict[str, Any] = {"limit": self.limit, "afterId": last.id}
        if self.predicate is not None:
            parts["query"] = self.predicate
        return b64encode(orjson.dumps(parts)).decode("ascii")


def first_page(limit: float, predicate: Mapping[str, Any] | None) -> LocationQuery:
    """Ask for the first page; raises `InputError`."""
    if limit < 1 or not float(limit).is_integer():
        raise InputError("Limit must be a positive integer >= 1")
    matches = None if predicate is None else compile_predicate(predicate, "Invalid query")
    return LocationQuery(min(int(limit), MOST), "", predicate, matches)


def page_at(cursor: str) -> LocationQuery:
    """Ask for the page that a cursor leads to; raises `InputError` whatever is wrong with it."""
    if not cursor:
        raise InputError("Cursor cannot be empty")
    try:
        parts = base64_json(cursor)
    except ValueError:
        raise InputError("Malformed cursor, unknown encoding") from None
    limit, after, predicate = parts.get("limit"), parts.get("afterId", ""), parts.get("query")
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise _malformed('Expected an integer that is at least 1 at "limit"')
    if not isinstance(after, str) or not storable(after):
        raise _malformed('Expected string at "afterId"')
    matches = None
    if "query" in parts:
        if not isinstance(predicate, dict):
            raise InputError("Query must be an object")
        matches = compile_predicate(predicate, "Malformed cursor")
    return LocationQuery(min(limit, MOST), after, predicate, matches)


def _malformed(complaint: str) -> InputError:
    return InputError(f"Malformed cursor: Validation error: {complaint}")


# -- predicates -----------------------------------------------------------------------------------


def compile_predicate(predicate: Any, what: str) -> Matcher | None:
    """Turn a predicate into a function, or into None if it says nothing.

    Raises `InputError`, which begins with `what` if it is the shape that is wrong.
    """
    compiler = _Compiler(what)
    if is_deeper(predicate, 4 * MAX_DEPTH):
        raise compiler.too_deep()
    return compiler.compile(predicate)


@dataclass(slots=True)
class _Compiler:
    """Reads one predicate, counting what it meets: it is input from anyone who may read."""

    what: str
    left: int = MAX_PARTS

    def compile(self, predicate: Any, depth: int = 0) -> Matcher | None:
        self._count(depth)
        if not isinstance(predicate, dict):
            if _is_primitive(predicate):
                raise InputError("Invalid filter predicate, expected an object")
            raise self._error(f"Expected object, received {_type_name(predicate)}")
        group = next((key for key in predicate if key in _GROUPS), None)
        if group is None:
            return _all_of([self._field(key, predicate[key], depth) for key in predicate])
        if len(predicate) > 1:
            others = ", ".join(f"'{key}'" for key in predicate if key != group)
            raise self._error(f"Unrecognized key(s) in object: {others}")
        operand = predicate[group]
        if group == "$not":
            return _not(self.compile(operand, depth + 1))
        if not isinstance(operand, list):
            raise self._error(f'Expected array, received {_type_name(operand)} at "{group}"')
        if not operand:
            return _nothing
        parts = [self.compile(part, depth + 1) for part in operand]
        return _all_of(parts) if group == "$all" else _any_of(parts)

    def _count(self, depth: int) -> None:
        self.left -= 1
        if self.left < 0:
            raise self._error(f"more than {MAX_PARTS} conditions")
        if depth > MAX_DEPTH:
            raise self.too_deep()

    def _field(self, key: str, value: Any, depth: int) -> Matcher:
        self._count(depth)
        if key.startswith("$"):
            known = ", ".join(_GROUPS)
            raise self._error(f'Invalid at "{key}", expected a field or one of {known}')
        name = _FIELDS.get(key.lower())
        if name is None:
            raise InputError(
                "Invalid filter predicate, expected key to be 'id', 'type', 'target', or "
                f"'entityRef', got '{key}'"
            )
        if _is_primitive(value):
            return _is_one_of(name, [value])
        if isinstance(value, dict):
            found = _operation(name, value)
            if found is not None:
                return found
        operators = "$exists, $in, $contains, $hasPrefix"
        raise self._error(f'Expected a value or one of {operators} at "{key}"')

    def too_deep(self) -> InputError:
        return self._error(f"nested more than {MAX_DEPTH} levels deep")

    def _error(self, complaint: str) -> InputError:
        return InputError(f"{self.what}: Validation error: {complaint}")


def _operation(name: str, value: Mapping[str, Any]) -> Matcher | None:
    """Compile the first operator that fits, whatever else is there."""
    match value:
        case {"$exists": bool(exists)}:
            return _everything if exists else _nothing
        case {"$in": list(members)} if all(map(_is_primitive, members)):
            return _is_one_of(name, members, ignore_case=name != "id")
        case {"$contains": _}:
            return _nothing
        case {"$hasPrefix": str(prefix)}:
            return _has_prefix(name, prefix)
    return None


def _everything(_location: RegisteredLocation) -> bool:
    return True


def _nothing(_location: RegisteredLocation) -> bool:
    return False


def _all_of(parts: Iterable[Matcher | None]) -> Matcher | None:
    said = [part for part in parts if part is not None]
    return (lambda location: all(part(location) for part in said)) if said else None


def _any_of(parts: Iterable[Matcher | None]) -> Matcher | None:
    said = [part for part in parts if part is not None]
    return (lambda location: any(part(location) for part in said)) if said else None


def _not(part: Matcher | None) -> Matcher | None:
    return None if part is None else lambda location: not part(location)


def _is_one_of(name: str, values: Sequence[Any], *, ignore_case: bool = True) -> Matcher:
    get = attrgetter(name)
    texts = {text for text in map(scalar_text, values) if text is not None}
    if not ignore_case:
        return lambda location: get(location) in texts
    upper = {text.upper() for text in texts}
    return lambda location: get(location).upper() in upper


def _has_prefix(name: str, prefix: str) -> Matcher:
    get, upper = attrgetter(name), prefix.upper()
    return lambda location: get(location).upper().startswith(upper)


def _is_primitive(value: Any) -> bool:
    return isinstance(value, (str, bool, int, float))


def _type_name(value: Any) -> str:
    return "null" if value is None else "array" if isinstance(value, list) else "object"
