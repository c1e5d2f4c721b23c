"""The wire names of what may be asked of the past: those of the catalog, and `asOf`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from marshmallow import Schema, fields

from app.catalog import schemas
from app.catalog.questions import PageRequest
from app.catalog.schemas import FacetsRequest


class AsOfQuery(Schema):
    """An endpoint whose only parameter is the moment."""

    as_of = fields.String(data_key="asOf", load_default=None)


class PastPageQuery(schemas.PageQuery):
    """The query string of `GET /entities/by-query`."""

    as_of = fields.String(data_key="asOf", load_default=None)


class PastFacetsQuery(schemas.FacetsQuery):
    """The query string of `GET /entity-facets`."""

    as_of = fields.String(data_key="asOf", load_default=None)


@dataclass(frozen=True, slots=True)
class PastPage:
    """A page, and of when."""

    as_of: str | None
    page: PageRequest


@dataclass(frozen=True, slots=True)
class PastFacets:
    """Facets, and of when."""

    as_of: str | None
    facets: FacetsRequest


def as_of_text(as_of: str | None) -> str | None:
    """Answer the moment alone."""
    return as_of


def past_page(as_of: str | None, **given: Any) -> PastPage:
    """Make the request of a page from a `PastPageQuery`."""
    return PastPage(as_of, schemas.page_from_query(**given))


def past_facets(as_of: str | None, **given: Any) -> PastFacets:
    """Make a request of facets from a `PastFacetsQuery`."""
    return PastFacets(as_of, schemas.facets_from_query(**given))
