"""Times as a database has them and as answers have them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.db.instants import instant, read_instant

NOON = datetime(2026, 1, 31, 12, 0, 0, 5678, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-31 12:00:00.005678+00:00",
        "2026-01-31T12:00:00.005678Z",
        NOON,
        NOON.astimezone(timezone(timedelta(hours=-5))),
    ],
)
def test_a_time_is_read_whichever_database_has_it(value):
    assert read_instant(value) == NOON
    assert read_instant(value).tzinfo is UTC


def test_what_is_no_time_is_not_read():
    with pytest.raises(TypeError, match="17 is not a time"):
        read_instant(17)


BEGINNING = datetime(1970, 1, 1)  # noqa: DTZ001 - hypothesis wants it without a zone


@given(st.datetimes(min_value=BEGINNING), st.integers(-14, 14))
def test_every_time_is_written_in_utc_with_milliseconds(moment, hours):
    moment = moment.replace(tzinfo=timezone(timedelta(hours=hours)))

    text = instant(moment)

    assert len(text) == len("2026-01-31T12:00:00.005Z")
    assert text.endswith("Z")
    assert timedelta(0) <= moment - read_instant(text) < timedelta(milliseconds=1)
