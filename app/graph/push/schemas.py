"""The wire names of pushes: bodies, and the headers that may stand in for parts of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Request
from marshmallow import RAISE, Schema, fields, validate

from app.errors import InputError
from app.graph.push.pushed import Push
from app.graph.push.service import PushOptions, Receipt, problem_json

VERSION_HEADER, BASE_HEADER = "Callboard-Version", "Callboard-Base"
# JSON numbers beyond are not exact everywhere.
MAX_VERSION = 2**53 - 1


class PushQuery(Schema):
    """The query string of a push."""

    force = fields.Boolean(load_default=False)
    on_problem = fields.String(
        data_key="onProblem", load_default="refuse", validate=validate.OneOf(("refuse", "skip"))
    )


class FullBody(Schema):
    """The body of `PUT …/entities`: all there is."""

    class Meta(Schema.Meta):
        """Nothing but these."""

        unknown = RAISE

    version = fields.Integer(load_default=None)
    entities = fields.List(fields.Dict(), required=True)


class DeltaBody(Schema):
    """The body of `PATCH …/entities`: what differs from the version `base`."""

    class Meta(Schema.Meta):
        """Nothing but these."""

        unknown = RAISE

    version = fields.Integer(load_default=None)
    base = fields.Integer(load_default=None)
    upsert = fields.List(fields.Dict(), load_default=())
    delete = fields.List(fields.String(), load_default=())


def push_options(force: bool, on_problem: str) -> PushOptions:  # noqa: FBT001 - as it is read
    """Make the options of a `PushQuery`."""
    return PushOptions(skips_invalid=on_problem == "skip", is_forced=force)


def full_push(request: Request, version: int | None, entities: Sequence[Mapping[str, Any]]) -> Push:
    """Make a push of everything; raises `InputError`."""
    return Push(_number(request, "version", VERSION_HEADER, version, 1), entities)


def delta_push(
    request: Request,
    version: int | None,
    base: int | None,
    upsert: Sequence[Mapping[str, Any]],
    delete: Sequence[str],
) -> Push:
    """Make a push of a difference; raises `InputError`."""
    new = _number(request, "version", VERSION_HEADER, version, 1)
    old = _number(request, "base", BASE_HEADER, base, 0)
    if old >= new:
        raise InputError(f"request/body/version must be greater than base, which is {old}")
    return Push(new, upsert, delete, old)


def receipt_json(receipt: Receipt) -> dict[str, Any]:
    """Write what a push came to."""
    counts = receipt.counts
    return {
        "source": receipt.source,
        "version": receipt.version,
        "applied": receipt.is_applied,
        "written": counts.written,
        "unchanged": counts.unchanged,
        "removed": counts.removed,
        "changed": receipt.changed,
        "problems": [problem_json(problem) for problem in receipt.problems],
        "conflicts": list(receipt.conflicts),
    }


def _number(request: Request, name: str, header: str, written: int | None, least: int) -> int:
    """Read a number from the body or a header, which must not contradict each other."""
    sent = request.headers.get(header)
    if sent is not None and not (sent.isascii() and sent.isdigit() and len(sent) < len("1" * 17)):
        raise InputError(f"request/headers/{header.lower()} must be integer")
    found = {int(number) for number in (written, sent) if number is not None}
    if not found:
        raise InputError(f"request/body must have required property '{name}'")
    if len(found) > 1:
        raise InputError(f"request/body/{name} and the header {header} contradict each other")
    (number,) = found
    if not least <= number <= MAX_VERSION:
        raise InputError(f"request/body/{name} must be from {least} to {MAX_VERSION}")
    return number
