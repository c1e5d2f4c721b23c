"""Query strings, read as Express' parser reads them, but without its nesting."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

# As many parameters as Express looks at.
MAX_PARAMETERS = 1000
_ARRAY = re.compile(r"\[\d*\]")


class Nested:
    """The value of `name[key]=…`: an object, which no parameter of ours takes."""


NESTED: Final = Nested()


def parse_query(raw: str) -> dict[str, list[str | Nested]]:
    """Read a raw query string into the values of each name, in the order names first appear.

    `name[]=` and `name[0]=` are `name=`. A value that is not valid percent-encoded UTF-8 stays as
    it is.
    """
    found: dict[str, list[str | Nested]] = {}
    for part in raw.split("&", MAX_PARAMETERS)[:MAX_PARAMETERS]:
        name, _, text = part.partition("=")
        value: str | Nested = text
        if "%" in part or "+" in part or not part.isascii():
            name, value = _decode(name), _decode(text)
        if "[" in name:
            name, bracket, key = name.partition("[")
            if not _ARRAY.fullmatch(bracket + key):
                value = NESTED
        if name:
            values = found.get(name)
            if values is None:
                found[name] = [value]
            else:
                values.append(value)
    return found


def _decode(text: str) -> str:
    if "%" not in text and "+" not in text and text.isascii():
        return text
    plain = text.replace("+", " ")
    try:
        return unquote_to_bytes(plain.encode("latin-1")).decode()
    except UnicodeError:
        return plain
