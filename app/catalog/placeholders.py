"""`$text`, `$json` and `$yaml`: file contents put in place of a reference (CONTRACT 1.6).

An object with exactly one of these keys, and a string, is replaced by what the file of that name
holds. Any other that has a key with `$` is left alone together with all that is inside of it, so
that JSON Schemas survive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.errors import CallboardError, InputError
from app.model import documents
from app.model.json_pointer import pointer_to
from app.model.yaml_wording import Fault
from app.scm.addresses import is_url
from app.scm.readers import Readers
from app.scm.reading import spoken

KEYS = ("$text", "$json", "$yaml")
MARKS = tuple(key.encode() for key in KEYS)
# How many placeholders one entity may have; each costs a read.
MAX_PLACEHOLDERS = 100
# How deep the data that one brings may be nested, on top of what it is put into.
MAX_DEPTH = 50
ELSEWHERE = "Placeholder may only reference files from the same repository as the entity"


class PlaceholderError(InputError):
    """A placeholder could not be filled in; `pointer` says which."""

    def __init__(self, message: str, pointer: str) -> None:
        """Say what went wrong with the placeholder at the JSON pointer."""
        super().__init__(message)
        self.pointer = pointer


@dataclass(slots=True)
class Placeholders:
    """Fills in the placeholders of the entities of one file, and remembers what it read."""

    readers: Readers
    base: str
    fingerprints: dict[str, str] = field(default_factory=dict)
    _budget: int = MAX_PLACEHOLDERS

    def entity(self, data: dict[str, Any]) -> dict[str, Any]:
        """Answer an entity with its placeholders replaced; raises `PlaceholderError`."""
        self._budget = MAX_PLACEHOLDERS
        filled: dict[str, Any] = self.fill(data)
        return filled

    def fill(self, value: Any, pointer: str = "") -> Any:
        """Answer `value` with its placeholders replaced; raises `PlaceholderError`."""
        if isinstance(value, list):
            return [self.fill(item, f"{pointer}/{place}") for place, item in enumerate(value)]
        if not isinstance(value, Mapping):
            return value
        if any(key.startswith("$") for key in value):
            key, target = next(iter(value.items()))
            if len(value) > 1 or key not in KEYS:
                return value
            return self._resolve(key, target, f"{pointer}/{key}")
        return {key: self.fill(item, pointer + pointer_to(key)) for key, item in value.items()}

    def _resolve(self, key: str, target: Any, pointer: str) -> Any:
        kind, _, base = self.base.partition(":")
        if not isinstance(target, str):
            raise PlaceholderError(
                f"Placeholder {key} expected a string value parameter, in the form of an absolute "
                "URL or a relative path",
                pointer,
            )
        if kind != "url" and not is_url(target):
            raise _no_url(key, target, base, "TypeError: Invalid URL", pointer)
        self._budget -= 1
        if self._budget < 0:
            raise PlaceholderError(
                f"Placeholder {key} is one too many: an entity may have {MAX_PLACEHOLDERS}", pointer
            )
        text = self._read(key, target, base, pointer)
        value = _PARSERS[key](text, key, target, pointer)
        if _is_deeper(value, MAX_DEPTH):
            message = f"Placeholder {key} found data at {target} that is nested too deeply"
            raise PlaceholderError(message, pointer)
        return value

    def _read(self, key: str, target: str, base: str, pointer: str) -> bytes:
        reader = self.readers.url
        try:
            url = reader.resolve(target, base)
            is_near = reader.same_repository(url, base)
        except CallboardError as error:
            raise _no_url(key, target, base, spoken(error), pointer) from error
        if not is_near:
            raise _no_url(key, target, base, f"Error: {ELSEWHERE}", pointer)
        try:
            # Until it is read, whatever is there counts as changed.
            self.fingerprints[f"url:{url}"] = ""
            reading = reader.read_file(url)
        except CallboardError as error:
            raise self._unreadable(key, target, error, pointer) from error
        if reading is None or not reading.contents:
            raise PlaceholderError(f"Placeholder {key} could not read location {target}", pointer)
        self.fingerprints[f"url:{url}"] = reading.fingerprint
        return reading.contents[0].data

    def _unreadable(
        self, key: str, target: str, error: CallboardError, pointer: str
    ) -> PlaceholderError:
        return PlaceholderError(
            f"Placeholder {key} could not read location {target}, {spoken(error)}", pointer
        )


def _no_url(key: str, target: str, base: str, why: str, pointer: str) -> PlaceholderError:
    message = f"Placeholder {key} could not form a URL out of {base} and {target}, {why}"
    return PlaceholderError(message, pointer)


def _text(data: bytes, _key: str, _target: str, _pointer: str) -> str:
    return data.decode("utf-8", errors="replace")


def _json(data: bytes, key: str, target: str, pointer: str) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        message = f"Placeholder {key} failed to parse JSON data at {target}, {error}"
        raise PlaceholderError(message, pointer) from error


def _yaml(data: bytes, key: str, target: str, pointer: str) -> Any:
    try:
        values = documents.values(data)
    except Fault as fault:
        message = f"Placeholder {key} found an error in the data at {target}, {fault.message}"
        raise PlaceholderError(message, pointer) from fault
    if len(values) != 1:
        raise PlaceholderError(
            f"Placeholder {key} expected to find exactly one document of data at {target}, "
            f"found {len(values)}",
            pointer,
        )
    return values[0]


def _is_deeper(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth + 1):
        inner = (v.values() if isinstance(v, dict) else v for v in level if type(v) in {dict, list})
        level = [item for items in inner for item in items]
        if not level:
            return False
    return True


_PARSERS: Mapping[str, Callable[[bytes, str, str, str], Any]] = {
    "$text": _text,
    "$json": _json,
    "$yaml": _yaml,
}
