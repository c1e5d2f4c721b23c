"""Sending what the catalog answers: entity tags that save the work, links to the next window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote_plus

from flask import Request, Response, request

from app.catalog.reading import Reply, Unless
from app.catalog.remembered import Remembered
from app.model.query import EVERYTHING, Expression
from app.web.requests import Environ, raw_url, relative_url
from app.web.responses import is_fresh, json_bytes, json_stream, not_modified, weak_etag


def everything(_request: Request) -> Expression:
    """Let every caller see everything."""
    return EVERYTHING


@dataclass(frozen=True, slots=True)
class Sight:
    """What callers see, and of which graph.

    `of` tells what a caller is held to. `lineage` tells databases apart: revisions count from the
    beginning in each, and a tag from one must not stand for an answer from another.
    """

    of: Callable[[Request], Expression] = everything
    lineage: str = ""
    remembered: Remembered = field(default_factory=Remembered)

    def reply(self, answer: Callable[[Expression, Unless], Reply | None]) -> Response:
        """Send an answer that depends on request, caller and revision only."""
        seen = self.of(request)
        tag = _Tag(request.environ, self.lineage, seen, self.remembered)
        return tag.respond(answer(seen, tag.is_known))


class _Tag:
    """The entity tag of the answer to one request, and the answer itself if it is still known."""

    __slots__ = ("_environ", "_known", "_remembered", "_source", "value")

    def __init__(
        self, environ: Environ, lineage: str, seen: Expression, remembered: Remembered
    ) -> None:
        self._environ = environ
        self._remembered = remembered
        self._known: Reply | None = None
        self._source = (lineage, raw_url(environ), "" if seen == EVERYTHING else repr(seen))
        self.value = ""

    def is_known(self, revision: int) -> bool:
        """Tell whether the caller, or this process, has the answer of this revision."""
        self.value = weak_etag(revision, *self._source)
        if is_fresh(self._environ, self.value):
            return True
        if self._environ["REQUEST_METHOD"] == "GET":
            self._known = self._remembered.find(self._source, revision)
        return self._known is not None

    def respond(self, reply: Reply | None) -> Response:
        headers, method = {}, self._environ["REQUEST_METHOD"]
        if reply is None:
            if self._known is None:
                return not_modified(self.value)
            reply = self._known
        elif method == "GET" and self.value:
            self._remembered.keep(self._source, reply)
        # A body is not part of the source; and an answer the graph was not asked for has no tag.
        if self.value and method != "POST":
            headers["ETag"] = weak_etag(reply.revision, *self._source)
        if reply.after is not None:
            headers["Link"] = next_link(relative_url(self._environ), reply.after)
        body = reply.body
        if isinstance(body, bytes):
            return json_bytes(body, headers=headers)
        if method == "HEAD":
            body.close()
            return json_stream(iter(()), headers=headers)
        return json_stream(body, headers=headers)


def next_link(url: str, after: str) -> str:
    """Write the `Link` to the window that follows, the query as Node's `URLSearchParams` does."""
    path, _, query = url.partition("?")
    given = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] != "offset"]
    pairs = [pair for pair in given if pair[0] != "after"]
    place = next((n for n, pair in enumerate(given) if pair[0] == "after"), len(pairs))
    pairs.insert(place, ("after", after))
    encoded = "&".join(f"{_form_encoded(name)}={_form_encoded(value)}" for name, value in pairs)
    return f'<{path}?{encoded}>; rel="next"'


def _form_encoded(text: str) -> str:
    return quote_plus(text, safe="*").replace("~", "%7E")
