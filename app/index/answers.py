"""The answers that a base, its overlay and its columns give, and what is remembered of them.

Nothing here locks or waits: `EntityIndex` holds its lock, and has seen to it (`lacking`) that every
text that is needed is there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyroaring import FrozenBitMap

from app.index.arrays import U32, Mask, mask
from app.index.base import Base
from app.index.blobs import key_hash, term_hash
from app.index.columns import Column, Field, make_column
from app.index.evaluate import Evaluator
from app.index.facets import count_values
from app.index.library import Library, Wanted
from app.index.listing import SortField, sort_rows
from app.index.overlay import Overlay, present_texts
from app.index.recent import Recent
from app.index.text import from_utf8, utf8
from app.index.views import (
    Cut,
    Marks,
    Page,
    View,
    field_view,
    read_ids,
    read_page,
    ref_view,
    uid_view,
)
from app.model.query import Expression, FacetCount, Order

_MATCHES, _MASKS, _FACETS, _VIEWS = 64, 8, 64, 16


class Answers:
    """Everything that can be asked of the entities as they are now."""

    def __init__(self, base: Base, overlay: Overlay, library: Library) -> None:
        self.base = base
        self.overlay = overlay
        self.library = library
        empty = make_column(base, "", {}, {})

        def column(name: str) -> Column:
            return library.columns.get(name, empty)

        # Not a method: in a circle of references these large arrays would stay for a while.
        self._column = column
        self._evaluator = Evaluator(base, overlay, column)
        self.changed()

    def changed(self) -> None:
        """Forget the answers that a change may have made wrong."""
        self._matches: Recent[Expression, FrozenBitMap] = Recent(_MATCHES)
        self._views: Recent[str, View] = Recent(_VIEWS)
        # Identities are good keys as long as what they belong to is kept beside the value.
        self._masks: Recent[tuple[int, int], tuple[Mask, object, object]] = Recent(_MASKS)
        self._facets: Recent[tuple[str, int], tuple[list[FacetCount], object]] = Recent(_FACETS)

    def lacking(self, wanted: Wanted) -> tuple[Wanted, dict[int, list[str]]]:
        """Tell which columns, and which texts of which touched entities, have to be read first."""
        lacking = self.library.lacking(wanted)
        if lacking:  # what nobody in the base has needs no column
            known = [name for name in lacking.keys if not Field.of(self.base, name).is_unknown]
            lacking = Wanted(
                lacking.columns.intersection(known), lacking.facets.intersection(known)
            )
        return lacking, self.overlay.lacking_texts(wanted.keys) if self.overlay else {}

    def column_seeds(self, name: str) -> dict[bytes, int]:
        """Collect the texts that are known of a column, with their terms."""
        column = self._column(name)
        seeds = dict(zip(column.texts.all(), column.terms.tolist(), strict=True))
        key = key_hash(name)
        for values in self.overlay.texts(name).values():
            seeds |= {
                utf8(value): term_hash(key, value) for value, _ in values if value is not None
            }
        return seeds

    def facet_seeds(self, name: str) -> set[str]:
        """Collect the texts that are known of a facet."""
        facet = self.library.facets.get(name)
        seeds = {from_utf8(text) for text in facet.values.all()} if facet else set()
        for values in self.overlay.texts(name).values():
            seeds |= {original for _, original in values if original is not None}
        return seeds

    def everyone(self) -> FrozenBitMap:
        """All entities."""
        return self._evaluator.everyone()

    def match(self, expression: Expression) -> FrozenBitMap:
        """Find the entities that match."""
        found = self._matches.get(expression)
        if found is None:
            found = self._matches.put(expression, self._evaluator.evaluate(expression))
        return found

    def contains_id(self, owner: int) -> bool:
        """Tell whether an entity exists."""
        if owner in self.overlay.rows:
            return self.overlay.rows[owner] is not None
        return owner in self.base.entities.all

    def ids_of(self, refs: Sequence[str]) -> list[int | None]:
        """Find entities by ref."""
        found = self.base.entities.ids_of(refs)
        if self.overlay:
            rows, by_ref = self.overlay.rows, self.overlay.ids_by_ref
            for place, ref in enumerate(refs):
                if ref in by_ref:
                    found[place] = by_ref[ref]
                elif found[place] in rows:
                    found[place] = None
        return found

    def id_of_uid(self, uid: str) -> int | None:
        """Find an entity by uid."""
        if uid in self.overlay.ids_by_uid:
            return self.overlay.ids_by_uid[uid]
        owner = self.base.entities.id_of_uid(uid)
        return None if owner in self.overlay.rows else owner

    def page(self, selection: FrozenBitMap, order: Order | None, cut: Cut) -> Page:
        """Read a page; see `EntityIndex.page`."""
        view = self._by_uid() if order is None else self._by_field(order.key)
        is_descending = order is not None and order.direction == "desc"
        marks = self._marks(view, selection)
        return read_page(view, selection, marks, cut, is_descending=is_descending)

    def ids_in_order(self, selection: FrozenBitMap, order: Order | None) -> U32:
        """List all entries; see `EntityIndex.ids_in_order`."""
        view = self._by_uid() if order is None else self._by_field(order.key)
        ids = self._ids(view, selection)
        return ids[::-1] if order is not None and order.direction == "desc" else ids

    def by_ref(self, selection: FrozenBitMap) -> U32:
        """List the selected entities by ref."""
        return self._ids(self._view("ref", lambda: ref_view(self.base, self.overlay)), selection)

    def sorted_ids(self, selection: FrozenBitMap, orders: Sequence[Order]) -> U32:
        """List the selected entities by several fields; see `EntityIndex.sorted_ids`."""
        fields = [
            SortField(order.key, self._column(order.key), order.direction == "desc")
            for order in orders
        ]
        return sort_rows(self.base, self.overlay, self._ids(self._by_uid(), selection), fields)

    def total(self, selection: FrozenBitMap, order: Order | None) -> int:
        """Count the selected entities that there are, and that have a value to be sorted by."""
        if order is None:
            return selection.intersection_cardinality(self.everyone())
        view = self._by_field(order.key)
        extras = {owner for _, owner in view.extras if owner in selection}
        owners = self._column(order.key).owners
        return view.chosen(selection).intersection_cardinality(owners) + len(extras)

    def facet(self, name: str, selection: FrozenBitMap | None) -> list[FacetCount]:
        """Count the values of a key among all entities, or the selected."""
        key = (name, id(selection))
        known = self._facets.get(key)
        if known is None:
            known = self._facets.put(key, (self._count(name, selection), selection))
        return list(known[0])

    def _count(self, name: str, selection: FrozenBitMap | None) -> list[FacetCount]:
        facet = self.library.facets.get(name)
        if facet is None:
            return count_values(None, None, self.overlay.texts(name), selection)
        texts = present_texts(name, facet.patches, self.overlay)
        hidden = self.overlay.touched
        if facet.patches:
            hidden |= FrozenBitMap(facet.patches)
        if selection is None:
            everyone = self.base.entities.all
            chosen = self._mask(everyone, hidden) if hidden else None
        else:
            chosen = self._mask(selection, hidden)
        return count_values(facet, chosen, texts, selection)

    def _by_uid(self) -> View:
        return self._view("uid", lambda: uid_view(self.base, self.overlay))

    def _by_field(self, name: str) -> View:
        column = self._column(name)
        return self._view(f"={name}", lambda: field_view(self.base, self.overlay, name, column))

    def _view(self, name: str, make: Callable[[], View]) -> View:
        return self._views.get(name) or self._views.put(name, make())

    def _ids(self, view: View, selection: FrozenBitMap) -> U32:
        return read_ids(view, selection, self._marks(view, selection))

    def _marks(self, view: View, selection: FrozenBitMap) -> Marks:
        return lambda: self._mask(selection, view.hidden)

    def _mask(self, selection: FrozenBitMap, hidden: FrozenBitMap) -> Mask:
        key = (id(selection), id(hidden))
        known = self._masks.get(key)
        if known is None:
            chosen = selection - hidden if hidden else selection
            made = mask(chosen, self.base.entities.size)
            known = self._masks.put(key, (made, selection, hidden))
        return known[0]
