"""Moments of the graph: sequence numbers and times as callers write them, and which there are."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from app.catalog.change_store import ChangeStore
from app.db.instants import instant
from app.errors import InputError

_SEQ = re.compile(r"[0-9]{1,18}", re.ASCII)
# A plus in a query string that was not percent-encoded arrives as a space.
_LOST_PLUS = re.compile(r" (?=[0-9]{2}:?[0-9]{2}$)", re.ASCII)
LONGEST = 64


def read_moment(text: str, name: str) -> int | datetime:
    """Read a sequence number, or a time as ISO 8601 writes it; without a zone it is UTC.

    Raises `InputError`, in which the parameter is called `name`.
    """
    text = text[: LONGEST + 1].strip()
    if _SEQ.fullmatch(text):
        return int(text)
    try:
        # No time is as long; what is not ASCII is none of ours either.
        text = text if len(text) <= LONGEST and text.isascii() else ""
        moment = datetime.fromisoformat(_LOST_PLUS.sub("+", text))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InputError(
            f"{name} must be a sequence number or a time such as 2026-01-31T12:00:00Z"
        ) from None


def seq_of(store: ChangeStore, moment: int | datetime, name: str) -> int:
    """Answer which state a moment means; raises `InputError` if that cannot be told."""
    span = store.span()
    if isinstance(moment, datetime):
        if moment > datetime.now(UTC):
            raise _outside(store, name, "is in the future")
        begins = store.at(max(span.oldest, 1))
        if begins is None or moment < begins:
            raise _outside(store, name, "is before the history begins")
        return max(span.oldest, store.seq_at(moment))
    if moment > span.newest:
        raise _outside(store, name, "is in the future")
    if moment < span.oldest:
        raise _outside(store, name, "is before the history begins")
    return moment


def _outside(store: ChangeStore, name: str, why: str) -> InputError:
    span = store.span()
    begins = store.at(max(span.oldest, 1))
    if begins is None:
        return InputError(f"{name} {why}; nothing has happened yet")
    return InputError(
        f"{name} {why}; it may be a sequence number from {span.oldest} to {span.newest}, "
        f"or a time from {instant(begins)} until now"
    )
