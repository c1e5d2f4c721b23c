"""`/api/graph`, the entities: what the catalog answers, and with `asOf` what it answered then."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flask import Blueprint, Response, request

from app.catalog import schemas
from app.catalog.questions import PageRequest
from app.catalog.reading import CatalogReader
from app.catalog.replies import Sight
from app.catalog.schemas import FacetsRequest
from app.errors import InputError
from app.graph.past import schemas as past_schemas
from app.graph.past.snapshots import Past
from app.web.arguments import BodyReader, QueryReader
from app.web.responses import json_bytes


@dataclass(frozen=True, slots=True)
class _Times:
    """Readers of the present and of the past."""

    past: Past

    def reader(self, seq: int | None) -> CatalogReader:
        return CatalogReader(self.past.live if seq is None else self.past.at(seq))

    def seq(self, as_of: str | None) -> int | None:
        return None if as_of is None else self.past.resolve(as_of)

    def of_page(self, as_of: str | None, page: PageRequest) -> tuple[int | None, PageRequest]:
        """Tell of when a page is; a cursor stays where its listing began."""
        seq = self.seq(as_of)
        if page.cursor is None:
            return seq, replace(page, listing=replace(page.listing, as_of=seq))
        began = page.cursor.listing.as_of
        if as_of is not None and seq != began:
            when = "of the present" if began is None else f"as of {began}"
            raise InputError(f"The cursor belongs to a listing {when}; leave asOf out to go on")
        return began, page


def add_past_routes(routes: Blueprint, past: Past, sight: Sight) -> None:
    """Add the endpoints; `sight` tells what callers see."""
    times = _Times(past)
    _list_routes(routes, times, sight)
    _facet_routes(routes, times, sight)
    as_of_query = QueryReader(past_schemas.AsOfQuery, past_schemas.as_of_text)

    @routes.get("/entities/by-name/<kind>/<namespace>/<name>")
    def get_past_entity(kind: str, namespace: str, name: str) -> Response:
        reader = times.reader(times.seq(as_of_query.read(request)))
        return json_bytes(reader.by_name(kind, namespace, name, sight.of(request)))


def _list_routes(routes: Blueprint, times: _Times, sight: Sight) -> None:
    page_query = QueryReader(past_schemas.PastPageQuery, past_schemas.past_page)
    page_body = BodyReader(schemas.PageBody, schemas.page_from_body, required=False)
    as_of_query = QueryReader(past_schemas.AsOfQuery, past_schemas.as_of_text)

    def answer(as_of: str | None, page: PageRequest) -> Response:
        seq, wanted = times.of_page(as_of, page)
        reader = times.reader(seq)
        return sight.reply(lambda seen, unless: reader.page(wanted, seen, unless))

    @routes.get("/entities/by-query")
    def get_past_entities() -> Response:
        wanted = page_query.read(request)
        return answer(wanted.as_of, wanted.page)

    @routes.post("/entities/by-query")
    def query_past_entities() -> Response:
        wanted = page_body.read(request)
        return answer(as_of_query.read(request), wanted)


def _facet_routes(routes: Blueprint, times: _Times, sight: Sight) -> None:
    facets_query = QueryReader(past_schemas.PastFacetsQuery, past_schemas.past_facets)
    facets_body = BodyReader(schemas.FacetsBody, schemas.facets_from_body)
    as_of_query = QueryReader(past_schemas.AsOfQuery, past_schemas.as_of_text)

    def answer(as_of: str | None, wanted: FacetsRequest) -> Response:
        reader = times.reader(times.seq(as_of))
        return sight.reply(
            lambda seen, unless: reader.facets(wanted.facets, wanted.expression, seen, unless)
        )

    @routes.get("/entity-facets")
    def get_past_facets() -> Response:
        wanted = facets_query.read(request)
        return answer(wanted.as_of, wanted.facets)

    @routes.post("/entity-facets")
    def query_past_facets() -> Response:
        wanted = facets_body.read(request)
        return answer(as_of_query.read(request), wanted)
