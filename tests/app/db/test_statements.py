"""Plain SQL that means the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.db import tables
from app.db.engine import Database
from app.db.statements import Statements

NOON = datetime(2026, 5, 4, 12, 30, 15, 123456, tzinfo=UTC)
# What PostgreSQL refuses in a text (`\0`) or no UTF-8 can write (halves of pairs) never gets here.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@pytest.fixture
def sql(database: Database):
    with database.begin() as connection:
        yield Statements.on(connection)


def add_refs(sql, *refs):
    sql.insert(tables.ref, ["id", "ref"], list(enumerate(refs, 1)))


def emissions(*rows):
    """Fill in the columns that are not of interest."""
    return [
        (number, 1, 0, f"s{number}", "x", b"h", claimed, document, None, NOON)
        for number, claimed, document in rows
    ]


COLUMNS = ["id", "ref_id", "parent", "source", "location", "hash", "claimed", "document",
           "unprocessed", "discovered_at"]  # fmt: skip


def add_emissions(sql, *rows):
    names = [*COLUMNS, "line"]
    sql.insert(tables.emission, names, [(*row, 0) for row in emissions(*rows)])


def test_a_query_answers_all_rows_or_the_first_or_none(sql):
    add_refs(sql, "a", "b")

    assert sql.rows("SELECT ref FROM ref ORDER BY id") == [("a",), ("b",)]
    assert sql.row("SELECT ref FROM ref WHERE id = ?", 2) == ("b",)
    assert sql.row("SELECT ref FROM ref WHERE id = ?", 3) is None


def test_a_statement_answers_how_many_rows_it_touched(sql):
    add_refs(sql, "a", "b")

    assert sql.execute("DELETE FROM ref WHERE id > ?", 1) == 1
    assert sql.execute("DELETE FROM ref WHERE id > ?", 1) == 0


@pytest.mark.parametrize("wanted", [[], [2], [1, 3, 9_000_000_000]])
def test_membership_takes_a_list_of_numbers(sql, wanted):
    add_refs(sql, "a", "b", "c")

    found = sql.rows("SELECT id FROM ref WHERE id = ANY(?) ORDER BY id", wanted)

    assert [row[0] for row in found] == [i for i in wanted if i < 4]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sets(TEXTS, max_size=5), st.lists(TEXTS, max_size=5))
def test_membership_takes_a_list_of_any_texts(sql, stored, wanted):
    sql.execute("DELETE FROM ref")
    add_refs(sql, *sorted(stored))

    found = sql.rows("SELECT ref FROM ref WHERE ref = ANY(?)", [*wanted, *list(stored)[:2]])

    assert {row[0] for row in found} == stored & {*wanted, *list(stored)[:2]}


def test_a_percent_sign_is_nothing_special(sql):
    add_refs(sql, "a%b", "a%%b", "ab")

    found = sql.rows("SELECT ref FROM ref WHERE ref LIKE 'a%b' AND ref <> ? ORDER BY id", "a%b")

    assert found == [("a%%b",), ("ab",)]


def test_values_of_every_type_come_back_as_they_were(sql):
    add_refs(sql, "a")
    add_emissions(sql, (1, True, b"\0\xff"), (2, False, None))

    rows = sql.rows("SELECT claimed, document, parent FROM emission ORDER BY id")

    assert [(bool(claimed), document, parent) for claimed, document, parent in rows] == [
        (True, b"\0\xff", 0),
        (False, None, 0),
    ]


def test_a_column_of_nothing_but_nulls_can_be_written(sql):
    add_refs(sql, "a")

    add_emissions(sql, (1, False, None), (2, False, None))
    sql.update(tables.emission, ["document", "unprocessed"], [(None, None, 1), (None, None, 2)])

    assert sql.row("SELECT count(*) FROM emission WHERE document IS NULL") == (2,)


def test_writing_nothing_does_nothing(sql):
    sql.insert(tables.ref, ["ref"], [])
    sql.insert(tables.ref, ["ref"], iter(()))
    sql.update(tables.ref, ["ref"], iter(()))

    assert sql.rows("SELECT * FROM ref") == []


def test_rows_may_come_from_an_iterator(sql):
    sql.insert(tables.ref, ["id", "ref"], ((number, f"r{number}") for number in range(1, 4)))
    sql.update(tables.ref, ["ref"], ((f"s{number}", number) for number in range(1, 3)))

    assert sql.rows("SELECT ref FROM ref ORDER BY id") == [("s1",), ("s2",), ("r3",)]


def test_many_rows_are_updated_each_with_its_own_values(sql):
    add_refs(sql, "a", "b", "c")

    sql.update(tables.ref, ["ref"], [("x", 1), ("y", 3), ("nobody", 9)])

    assert sql.rows("SELECT ref FROM ref ORDER BY id") == [("x",), ("b",), ("y",)]


def test_a_clash_is_an_error_or_what_the_caller_says(sql):
    add_refs(sql, "a")

    sql.insert(tables.ref, ["ref"], [("a",), ("b",), ("b",)], conflict="DO NOTHING")

    assert sql.rows("SELECT ref FROM ref ORDER BY ref") == [("a",), ("b",)]
    with pytest.raises(Exception, match=r"(?i)unique"):
        sql.insert(tables.ref, ["ref"], [("a",)])


def test_a_column_that_is_a_word_of_the_language_can_be_written(sql):
    add_refs(sql, "a")
    add_emissions(sql, (1, False, None))

    names = ["emission_id", "location", "line", "column", "pointer", "error", "at"]
    sql.insert(tables.problem, names, [(1, "x", 3, 7, "/a", "{}", NOON)])

    assert sql.rows('SELECT line, "column" FROM problem') == [(3, 7)]


def test_times_keep_their_zone_and_their_order(sql):
    moments = [NOON - timedelta(days=1), NOON, NOON + timedelta(microseconds=1)]
    sql.insert(
        tables.refresh,
        ["ref_id", "request", "asked_at"],
        [(number, "r", moment) for number, moment in enumerate(moments)],
    )

    found = sql.rows("SELECT ref_id FROM refresh WHERE asked_at >= ? ORDER BY asked_at", NOON)

    assert found == [(1,), (2,)]
    (read,) = sql.row("SELECT asked_at FROM refresh WHERE ref_id = 2")
    assert (datetime.fromisoformat(read) if isinstance(read, str) else read) == moments[2]


def test_a_time_of_another_zone_is_the_same_time(sql):
    elsewhere = NOON.astimezone(timezone(timedelta(hours=-7)))
    sql.insert(tables.refresh, ["ref_id", "request", "asked_at"], [(1, "r", elsewhere)])

    assert sql.rows("SELECT ref_id FROM refresh WHERE asked_at < ?", NOON) == []
    assert sql.rows("SELECT ref_id FROM refresh WHERE asked_at <= ?", NOON) == [(1,)]


# -- writing together -----------------------------------------------------------------------------


def test_a_query_sees_what_was_written_before_it_in_one_go(sql):
    with sql.together():
        add_refs(sql, "component:default/a", "component:default/b")
        found = sql.rows("SELECT ref FROM ref ORDER BY id")
        sql.execute("DELETE FROM ref WHERE id = ?", 1)

    assert found == [("component:default/a",), ("component:default/b",)]
    assert sql.rows("SELECT id FROM ref") == [(2,)]


def test_what_fails_in_one_go_is_raised_and_nothing_of_it_stays(database):
    def write():
        with database.begin() as connection, Statements.on(connection).together():
            add_refs(Statements.on(connection), "component:default/a", "component:default/a")

    with pytest.raises(Exception, match=r"(?i)unique"):
        write()

    with database.begin() as connection:
        sql = Statements.on(connection)
        assert sql.rows("SELECT id FROM ref") == []
        add_refs(sql, "component:default/a")
