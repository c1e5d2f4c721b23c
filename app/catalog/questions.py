"""What the listings ask of the index: whose documents to answer, and the JSON around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from app.catalog.cursors import Cursor, Listing, Window, page_cursors
from app.catalog.projection import Projection
from app.index.index import EntityIndex
from app.model.query import EVERYTHING, Expression, Order, Position, both

DEFAULT_LIMIT = 200

_PAGE_HEAD = b'{"items":['


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One page of a listing: the first, or the one that a cursor leads to."""

    listing: Listing
    limit: int = DEFAULT_LIMIT
    offset: int = 0
    counts_total: bool = True
    cursor: Cursor | None = None
    fields: Projection | None = None


@dataclass(frozen=True, slots=True)
class ListRequest:
    """The legacy listing: everything in order, or a window of it."""

    expression: Expression = EVERYTHING
    order: tuple[Order, ...] = ()
    window: Window | None = None
    fields: Projection | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Whose documents go between `head` and `tail`, at which revision of the graph.

    `after` leads to the next window of the legacy listing.
    """

    ids: list[int]
    head: bytes
    tail: bytes
    revision: int
    after: str | None = None


def find_page(index: EntityIndex, request: PageRequest, visible: Expression) -> Found:
    """Find a page among what the caller may see."""
    listing, cursor = request.listing, request.cursor
    order = listing.sorting
    selection = index.match(both(visible, listing.selection()))
    total: int | float = 0
    if cursor is not None:
        total = cursor.total_items
    elif request.counts_total:
        total = index.total(selection, order)
    if request.limit <= 0:
        return Found([], _PAGE_HEAD, page_tail(total), index.seq)
    page = index.page(
        selection,
        order,
        request.limit,
        0 if cursor else request.offset,
        None if cursor is None else _position(cursor, order),
        listing.text_term if listing.searches_sorted_values else None,
    )
    ends = [_sort_values(entry) for entry in (page.entries[:1] + page.entries[-1:])]
    cursors = page_cursors(cursor, listing, ends, total, has_more=page.has_more)
    ids = [entry[0] for entry in page.entries]
    return Found(ids, _PAGE_HEAD, page_tail(total, cursors), index.seq)


def find_list(index: EntityIndex, request: ListRequest, visible: Expression) -> Found:
    """Find the legacy listing, or a window of it, among what the caller may see."""
    selection = index.match(both(visible, request.expression))
    if request.window is None:
        first = request.order[0] if request.order else None
        if first is not None:
            first = Order(first.key.lower(), first.direction)
        return Found(index.ids_in_order(selection, first).tolist(), b"[", b"]", index.seq)
    if request.order:
        # As in Backstage a field is looked up as it is written, so none in camel case is found.
        known = [field for field in request.order if field.key == field.key.lower()]
        ids = index.sorted_ids(selection, known)
    else:
        ids = index.by_ref(selection)
    window = request.window
    rest = ids[window.offset :]
    chosen = rest if window.limit is None else rest[: window.limit]
    after = window.after() if len(rest) > len(chosen) else None
    return Found(chosen.tolist(), b"[", b"]", index.seq, after)


def page_tail(total: float, cursors: dict[str, str] | None = None) -> bytes:
    """Write what follows the entities of a page."""
    return b'],"totalItems":%b,"pageInfo":%b}' % (orjson.dumps(total), orjson.dumps(cursors or {}))


def _position(cursor: Cursor, order: Order | None) -> Position:
    value = None if order is None else cursor.values[0]
    return Position(value, cursor.values[-1], cursor.is_previous)


def _sort_values(entry: Sequence[int | str | None]) -> tuple[str, ...]:
    return tuple(part for part in entry[1:] if isinstance(part, str))
