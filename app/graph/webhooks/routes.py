"""`/api/graph/webhooks`: how far the webhooks are, and what could not be delivered."""

from __future__ import annotations

from flask import Blueprint, Response, request
from marshmallow import Schema, fields, validate

from app.catalog.permissions import Check, Permission, everyone_may
from app.catalog.reading import storable
from app.catalog.schemas import NoQuery
from app.errors import NotAllowedError, NotFoundError
from app.graph.webhooks.service import WebhookService
from app.web.arguments import QueryReader
from app.web.responses import empty, json_response

MOST_LETTERS = 500
_NO_QUERY: QueryReader[object] = QueryReader(NoQuery, dict)
# Any number with so many digits is one that a database can hold.
_DIGITS = 18
_LETTERS = "/webhooks/<name>/dead-letters"
_LETTER = f"{_LETTERS}/<id>"


class LettersQuery(Schema):
    """The query string of the list of dead letters."""

    after = fields.Integer(load_default=0, validate=validate.Range(min=0, max=(1 << 53) - 1))
    limit = fields.Integer(load_default=100, validate=validate.Range(min=1, max=MOST_LETTERS))


def add_webhook_routes(
    routes: Blueprint, webhooks: WebhookService, may: Check = everyone_may
) -> None:
    """Add the endpoints; `may` tells whether a caller has a permission."""
    letters_query: QueryReader[dict[str, int]] = QueryReader(LettersQuery, dict)

    def require(permission: Permission) -> None:
        if not may(request, permission):
            raise NotAllowedError

    @routes.get("/webhooks")
    def get_webhooks() -> Response:
        _NO_QUERY.read(request)
        require(Permission.INGESTION_READ)
        return json_response({"items": webhooks.all()})

    @routes.get(_LETTERS)
    def get_dead_letters(name: str) -> Response:
        wanted = letters_query.read(request)
        require(Permission.INGESTION_READ)
        if not storable(name):
            raise NotFoundError("No webhook has such a name")
        items, following = webhooks.letters(name, wanted["after"], wanted["limit"])
        more = {} if following is None else {"next": following}
        return json_response({"items": items, **more})

    @routes.post(f"{_LETTER}/retry")
    def retry_dead_letter(name: str, id: str) -> Response:  # noqa: A002
        _NO_QUERY.read(request)
        require(Permission.INGESTION_MANAGE)
        return json_response(webhooks.retry(name, _number(name, id)), 202)

    @routes.delete(_LETTER)
    def delete_dead_letter(name: str, id: str) -> Response:  # noqa: A002
        _NO_QUERY.read(request)
        require(Permission.INGESTION_MANAGE)
        webhooks.forget(name, _number(name, id))
        return empty(204)


def _number(name: str, letter_id: str) -> int:
    is_number = letter_id.isascii() and letter_id.isdigit() and len(letter_id) <= _DIGITS
    if not (is_number and storable(name)):
        raise NotFoundError(f"Webhook '{name}' has no dead letter {letter_id}")
    return int(letter_id)
