"""Why an entity changed: the small JSON object kept with every change.

`source`, `location` and `line` say where new content was read; `by` names the entity whose relation
changed a peer; `actor` and `request` name a caller of the API.
"""

from __future__ import annotations

import orjson


def cause(**parts: object) -> str:
    """Make a cause of the parts that are known."""
    return orjson.dumps({name: value for name, value in parts.items() if value}).decode()
