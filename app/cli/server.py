"""Calling a running server, Callboard's or Backstage's, with the requests of Backstage's client.

A token goes to the server that was named and nowhere else: redirects are reported, not followed.
"""

from __future__ import annotations

import base64
import binascii
import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode

import orjson
from urllib3 import BaseHTTPResponse, PoolManager
from urllib3.exceptions import HTTPError

from app.cli.event_text import read_events
from app.errors import (
    AuthenticationError,
    CallboardError,
    ConflictError,
    InputError,
    NotAllowedError,
    NotFoundError,
    ServiceUnavailableError,
    UpstreamError,
)
from app.model.ref import EntityRef
from app.scm.http import why

# Backstage's client asks for no more at once.
REFS_AT_ONCE = 1000
PAGE = 500
# Longer bodies are compressed.
PACKED_FROM = 64 * 1024
_REDIRECTS = {301, 302, 303, 307, 308}
_FINE = {HTTPStatus.OK, HTTPStatus.ACCEPTED}
_GUEST = "/api/auth/guest/refresh"
_ERRORS: Mapping[int, type[CallboardError]] = {
    HTTPStatus.BAD_REQUEST: InputError,
    HTTPStatus.UNAUTHORIZED: AuthenticationError,
    HTTPStatus.FORBIDDEN: NotAllowedError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.CONFLICT: ConflictError,
    HTTPStatus.SERVICE_UNAVAILABLE: ServiceUnavailableError,
}
_NEEDS_TOKEN = "it wants a token: give one with --token or in CALLBOARD_TOKEN"  # noqa: S105
Parameters: TypeAlias = Mapping[str, Any] | Sequence[tuple[str, Any]]


@dataclass(slots=True)
class Server:
    """One server, and the token it is called with: the given one, or that of the guest."""

    url: str
    pool: PoolManager = field(repr=False)
    token: str = field(default="", repr=False)
    _is_signed_in: bool = False

    def entity(self, ref: EntityRef) -> Mapping[str, Any]:
        """Get an entity; raises `NotFoundError`."""
        path = "/".join(quote(part, safe="") for part in (ref.kind, ref.namespace, ref.name))
        found: Mapping[str, Any] = self._call("GET", f"/api/catalog/entities/by-name/{path}")
        return found

    def entities(self, query: Query) -> Iterator[Page]:
        """Yield pages of entities until there are no more, or as many as were asked for."""
        left = query.limit
        path = f"/api/catalog/entities/by-query?{urlencode(query.parameters())}"
        page = Page.of(self._call("GET", path))
        while True:
            left = left and max(left - len(page.items), 0)
            yield page
            if not page.cursor or left == 0:
                return
            page = self._next_page(query, page.cursor, left)

    def _next_page(self, query: Query, cursor: str, left: int | None) -> Page:
        """Go on as Backstage's client does: cursors that hold a query are posted."""
        limit = min(left or PAGE, PAGE)
        if _holds_query(cursor):
            body = {"cursor": cursor, "limit": limit, "fields": list(query.fields)}
            body = {name: value for name, value in body.items() if value != []}
            return Page.of(self._call("POST", "/api/catalog/entities/by-query", body))
        values = [("cursor", cursor), ("limit", limit)]
        fields = [("fields", ",".join(query.fields))] if query.fields else []
        path = f"/api/catalog/entities/by-query?{urlencode([*values, *fields])}"
        return Page.of(self._call("GET", path))

    def existing(self, refs: Sequence[str]) -> Iterator[set[str]]:
        """Yield, batch by batch, which of these entities exist."""
        for start in range(0, len(refs), REFS_AT_ONCE):
            batch = list(refs[start : start + REFS_AT_ONCE])
            body = {"entityRefs": batch, "fields": ["kind"]}
            items = self._call("POST", "/api/catalog/entities/by-refs", body).get("items", ())
            yield {ref for ref, item in zip(batch, items, strict=True) if item is not None}

    def graph(self, method: str, path: str, parameters: Parameters = (), body: Any = None) -> Any:
        """Call what only Callboard has: an endpoint below `/api/graph`.

        Answers its JSON, None if there is none; raises what it refuses.
        """
        return self._call(method, _graph_path(path, parameters), body)

    @staticmethod
    def quoted(text: str) -> str:
        """Write a text as one segment of a path."""
        return quote(text, safe="")

    def events(
        self, path: str, parameters: Parameters = (), last_id: str = ""
    ) -> Iterator[Mapping[str, str]]:
        """Yield the events of a stream below `/api/graph`, after `last_id`, until it ends."""
        if not self.token or self._is_signed_in:
            # A stream ends with its token, so the guest's is asked for anew each time.
            self._sign_in()
        headers = {"accept": "text/event-stream"} | ({"last-event-id": last_id} if last_id else {})
        response = self._send("GET", _graph_path(path, parameters), headers=headers, is_stream=True)
        try:
            if response.status != HTTPStatus.OK:
                raise self._refused(response)
            yield from read_events(response.stream())
        except HTTPError as error:
            raise UpstreamError(self.url, why(error)) from error
        finally:
            response.close()

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        if not self.token and not self._is_signed_in:
            self._sign_in()
        response = self._send(method, path, body)
        if response.status == HTTPStatus.NO_CONTENT:
            return None
        if response.status not in _FINE:
            raise self._refused(response)
        return self._json(response)

    def _sign_in(self) -> None:
        """Become the guest if the server has one; one that lets everybody in needs no token."""
        self._is_signed_in, self.token = True, ""
        response = self._send("GET", _GUEST)
        if response.status == HTTPStatus.OK:
            identity = self._json(response).get("backstageIdentity") or {}
            self.token = str(identity.get("token") or "")

    def _send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] = {},
        *,
        is_stream: bool = False,
    ) -> BaseHTTPResponse:
        headers = {"accept": "application/json", "user-agent": "callboard", **headers}
        headers |= {"authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= {} if body is None else {"content-type": "application/json"}
        data = None if body is None else orjson.dumps(body)
        if data is not None and len(data) > PACKED_FROM:
            data = gzip.compress(data, 6)
            headers["content-encoding"] = "gzip"
        try:
            return self.pool.request(
                method,
                self.url + path,
                body=data,
                headers=headers,
                redirect=False,
                retries=False,
                preload_content=not is_stream,
            )
        except HTTPError as error:
            raise UpstreamError(self.url, f"{why(error)}; is the server running?") from error

    def _json(self, response: BaseHTTPResponse) -> Any:
        try:
            return orjson.loads(response.data)
        except orjson.JSONDecodeError:
            raise UpstreamError(
                self.url, "it does not answer with JSON; is it Backstage?"
            ) from None

    def _refused(self, response: BaseHTTPResponse) -> CallboardError:
        message = _message(response.data)
        if response.status == HTTPStatus.UNAUTHORIZED and not self.token:
            message = _NEEDS_TOKEN
        if response.status in _REDIRECTS:
            where = response.headers.get("location", "another place")
            return UpstreamError(self.url, f"it redirects to {where}; give that as --server")
        if not message:
            return UpstreamError(self.url, f"it answered {response.status} {response.reason}")
        kind = _ERRORS.get(response.status)
        return kind(message) if kind else UpstreamError(self.url, message)


@dataclass(frozen=True, slots=True)
class Query:
    """What `by-query` is asked: filters of which one has to match, an order, and how many."""

    filters: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    limit: int | None = None

    def parameters(self) -> list[tuple[str, Any]]:
        """Write it as the parameters of the first request."""
        return [
            *(("filter", one) for one in self.filters),
            *(("orderField", one if "," in one else f"{one},asc") for one in self.order),
            *([("fields", ",".join(self.fields))] if self.fields else []),
            ("limit", PAGE if self.limit is None else min(self.limit, PAGE)),
        ]


@dataclass(frozen=True, slots=True)
class Page:
    """A page of entities, how many there are in all, and the cursor of the next page."""

    items: Sequence[Mapping[str, Any]]
    total: int
    cursor: str

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Page:
        """Read an answer of `by-query`."""
        cursor = (answer.get("pageInfo") or {}).get("nextCursor", "")
        return cls(answer.get("items", ()), int(answer.get("totalItems", 0)), str(cursor))


def _holds_query(cursor: str) -> bool:
    try:
        return "query" in orjson.loads(base64.b64decode(cursor, validate=True))
    except (binascii.Error, orjson.JSONDecodeError, TypeError):
        return False


def _message(data: bytes) -> str:
    """Take the message out of an error as Backstage writes it."""
    try:
        return str(orjson.loads(data)["error"]["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""


def _graph_path(path: str, parameters: Parameters) -> str:
    query = f"?{urlencode(parameters)}" if parameters else ""
    return f"/api/graph/{path}{query}"
