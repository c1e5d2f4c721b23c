"""Parts of a path as routes get them: decoded, also where a slash was part of a name."""

from __future__ import annotations

from werkzeug.routing import Map
from werkzeug.routing.converters import PathConverter, UnicodeConverter

from app.web.asgi import ENCODED_SLASH


class Segment(UnicodeConverter):
    """One segment."""

    def to_python(self, value: str) -> str:
        """Answer it with the slashes that were encoded."""
        return value.replace(ENCODED_SLASH, "/")


class Segments(PathConverter):
    """All segments that are left."""

    def to_python(self, value: str) -> str:
        """Answer them with the slashes that were encoded."""
        return value.replace(ENCODED_SLASH, "/")


def use_segments(routes: Map) -> None:
    """Have all rules that are added from now on take parts of a path this way."""
    routes.converters = {
        **routes.converters,
        "default": Segment,
        "string": Segment,
        "path": Segments,
    }
