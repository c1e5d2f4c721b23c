"""The wire names of what history and undoing are asked."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from app.graph.history.service import HistoryRequest

DEFAULT_LIMIT = 50
MOST = 500


class HistoryQuery(Schema):
    """The query string of an entity's history."""

    limit = fields.Integer(load_default=DEFAULT_LIMIT, validate=validate.Range(1, MOST))
    cursor = fields.String(load_default=None)
    summary = fields.Boolean(load_default=False)


class DiffQuery(Schema):
    """The query string of a diff."""

    since = fields.String(data_key="from", load_default=None)
    until = fields.String(data_key="to", load_default=None)


class UndoQuery(Schema):
    """The query string of undoing something."""

    is_dry_run = fields.Boolean(data_key="dryRun", load_default=False)


def history_request(limit: int, cursor: str | None, summary: bool) -> HistoryRequest:  # noqa: FBT001
    """Make a request from a `HistoryQuery`."""
    return HistoryRequest(limit, cursor, summary)


def diff_moments(since: str | None, until: str | None) -> tuple[str | None, str | None]:
    """Answer what to compare."""
    return since, until


def dry_run(is_dry_run: bool) -> bool:  # noqa: FBT001
    """Tell whether only to look."""
    return is_dry_run
